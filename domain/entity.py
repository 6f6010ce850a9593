"""What makes an entity one: its identity."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID


class Entity:
    """Something with an identity that outlives its values.

    Equal are two entities of the same domain class with the same id. Without
    an id an entity equals only itself and cannot be hashed, because its hash
    would change once it is stored.

    Subclasses are written ``@dataclass(eq=False)`` and have a field ``id``.
    """

    __entity_class__: ClassVar[type[Any]]
    """The domain class: what adapters derive from it counts as the same."""

    if TYPE_CHECKING:
        id: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__entity_class__ = cls

    def _identity(self) -> Any:
        return getattr(self, "id", None)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Entity) or self.__entity_class__ is not other.__entity_class__:
            return NotImplemented
        identity = self._identity()
        return identity is not None and bool(identity == other._identity())

    def __hash__(self) -> int:
        identity = self._identity()
        if identity is None:
            name = self.__entity_class__.__name__
            raise TypeError(f"{name} has no id yet and cannot be hashed; store it first")
        return hash((self.__entity_class__, identity))


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): unique, and ordered by the time of its making.

    Microseconds go where the RFC allows a finer clock (section 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    high = (milliseconds << 16 | 0x7000 | fraction) & (1 << 64) - 1
    low = 0b10 << 62 | secrets.randbits(62)
    return UUID(int=high << 64 | low)
