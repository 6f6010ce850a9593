"""Columns that many tables share."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import declared_attr
from sqlmodel import Field

from infrastructure.database.models.base import Model


def _now() -> datetime:
    return datetime.now(UTC)


class Timestamped(Model):
    """When a row was made and last changed: aware, in UTC, by the clock of the database object."""

    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)

    def stamp(self, now: datetime) -> None:
        """Set both times of a new row, unless the caller gave them."""
        for name in {"created_at", "updated_at"} - self.model_fields_set:
            object.__setattr__(self, name, now)


class Versioned(Model):
    """An optimistic lock: a change of a row that somebody else changed is refused.

    The kit counts the version; nobody else sets it.
    """

    version: int = Field(default=1)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  # pyright: ignore[reportIncompatibleVariableOverride]
        """Tell SQLAlchemy; for a table only, because a mixin has no column yet."""
        table: Any = cls.__dict__.get("__table__")
        counted = {} if table is None else {"version_id_col": table.c.version}
        return {"eager_defaults": True, **counted}
