"""How the rows of one table are found: by keys, by criteria, locked, and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import selectinload

from domain.errors import ValidationError
from infrastructure.database.models.rules import rules_of
from infrastructure.database.query import Translator
from infrastructure.database.session import UnitSession

Key = tuple[Any, ...]

_CHUNK = 500


class Rows:
    """The rows of one table, seen from one session."""

    def __init__(self, session: UnitSession, model: Any) -> None:
        self.session = session
        self.model = model
        self.rules = rules_of(model)
        self.say = Translator(self.rules, session.database.dialect)

    def select(
        self, criteria: Sequence[Any], order_by: Any, load: Sequence[str] = ()
    ) -> Select[Any]:
        """The query for what satisfies the criteria."""
        query = select(self.model).where(*self.say.conditions(criteria))
        return query.order_by(*self.say.ordering(order_by)).options(*self.options(load))

    def options(self, load: Sequence[str]) -> list[Any]:
        """One more query for each relationship, however many rows there are."""
        unknown = [name for name in load if name not in self.rules.relationships]
        if unknown:
            raise ValidationError(
                self.rules.entity,
                dict.fromkeys(unknown, "is no relationship, so cannot be loaded"),
            )
        return [selectinload(getattr(self.model, name)) for name in load]

    def locked(self, key: Key, load: Sequence[str] = ()) -> Any | None:
        """The row with this key, locked, and read again even if it is loaded."""
        query = select(self.model).filter_by(**dict(zip(self.rules.keys, key, strict=True)))
        query = query.with_for_update().options(*self.options(load))
        return self.session.scalars(query.execution_options(populate_existing=True)).one_or_none()

    def loaded(self, key: Key) -> Any | None:
        """The row with this key if the session has it."""
        identity = mapping_of(self.model).identity_key_from_primary_key(key)
        return self.session.identity_map.get(identity)

    def by_keys(self, keys: Sequence[Key], load: Sequence[str] = ()) -> dict[Key, Any]:
        """The rows with these keys, any number of them; missing ones left out."""
        loaded = ((key, self.loaded(key)) for key in keys)
        found = {key: row for key, row in loaded if row is not None and _has(row, load)}
        for criterion in self._among([key for key in keys if key not in found]):
            query = select(self.model).where(criterion).options(*self.options(load))
            for row in self.session.scalars(query):
                found[self.key_of(row)] = row
        return found

    def key_of(self, row: Any) -> Key:
        """The key of a stored row."""
        return tuple(row.__dict__[name] for name in self.rules.keys)

    def reload(self) -> None:
        """Read loaded rows again after a set-based write; those that are gone leave."""
        rows = [row for row in self.session.identity_map.values() if isinstance(row, self.model)]
        gone = {self.key_of(row): row for row in rows}
        for criterion in self._among(list(gone)):
            query = select(self.model).where(criterion)
            for row in self.session.scalars(query.execution_options(populate_existing=True)):
                gone.pop(self.key_of(row), None)
        for row in gone.values():
            self.session.expunge(row)

    def reserve_keys(self, rows: Sequence[Any]) -> None:
        """Give new rows their keys at once where INSERT would return them one by one."""
        column = mapping_of(self.model).local_table.autoincrement_column
        if column is None or len(rows) < 2:
            return
        name = self.rules.keys[0]
        without = [row for row in rows if getattr(row, name) is None]
        given = max((getattr(row, name) or 0 for row in rows), default=0)
        keys = self.session.database.dialect.reserve_keys(
            self.session.connection(), column, len(without), given
        )
        for row, key in zip(without, keys or (), strict=False):
            setattr(row, name, key)
            self.session.tracker.reserved.add(id(row))

    def _among(self, keys: Sequence[Key]) -> Iterator[ColumnElement[bool]]:
        """Criteria for any number of keys; composite ones go in parts."""
        columns = [self.rules.columns[name] for name in self.rules.keys]
        if keys and len(columns) == 1:
            among = self.session.database.dialect.among
            yield among(columns[0], [key[0] for key in keys])
        elif keys:
            for at in range(0, len(keys), _CHUNK):
                yield tuple_(*columns).in_(keys[at : at + _CHUNK])


def _has(row: Any, load: Sequence[str]) -> bool:
    return all(name in row.__dict__ for name in load)
