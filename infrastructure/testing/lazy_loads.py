"""Tests in which a relationship that nobody asked to load is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.orm import InstanceState, ORMExecuteState
from sqlalchemy.orm.attributes import InstrumentedAttribute

from infrastructure.database.models.rules import entity_name
from infrastructure.database.session import UnitSession
from infrastructure.testing.places import place_in_application, stack


@contextmanager
def no_lazy_loads() -> Iterator[None]:
    """A block in which no attribute sends a statement of its own to load a relationship.

    ``AssertionError`` instead, before it is sent, in every unit and every thread;
    the unit stays usable. For tables that are plain ``SQLModel``: those of the
    kit's ``Model`` load nothing late anyway, and raise ``UnitOfWorkError``.
    Enter and leave it while no other thread is using a unit, as around a test.
    """

    def refuse(execution: ORMExecuteState) -> None:
        entity = execution.lazy_loaded_from
        if entity is not None and (name := _attribute_being_read(entity)):
            raise AssertionError(_refusal(entity_name(entity.class_), name))

    event.listen(UnitSession, "do_orm_execute", refuse)
    try:
        yield
    finally:
        event.remove(UnitSession, "do_orm_execute", refuse)


# SQLAlchemy loads by the same means what a flush or a cascade needs, and what was asked for
# with immediateload(); but not through the descriptor that stands for an attribute.
_ACCESS = {
    InstrumentedAttribute.__get__.__code__,
    InstrumentedAttribute.__set__.__code__,
    InstrumentedAttribute.__delete__.__code__,
}


def _attribute_being_read(entity: InstanceState[object]) -> str | None:
    """The relationship of this entity that somebody is reading as an attribute."""
    for frame in stack():
        if frame.f_code in _ACCESS and frame.f_locals["instance"] is entity.obj():
            name = str(frame.f_locals["self"].key)
            return name if name in entity.mapper.relationships else None
    return None


def _refusal(entity: str, name: str) -> str:
    return (
        f"{entity}.{name} was loaded lazily by {place_in_application()}: one more statement for "
        f'each {entity}; declare load = ("{name}",) on the repository, or ask for it with '
        f'loading("{name}"): uow.….loading("{name}").get_all()'
    )
