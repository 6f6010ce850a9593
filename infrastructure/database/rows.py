"""How the rows of one table are found: by keys, by criteria, locked, and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Delete, Select, and_, delete, exists, select, true
from sqlalchemy import inspect as mapping_of
from sqlalchemy.orm import selectinload

from domain.errors import ValidationError
from infrastructure.database.keys import Key, among, key_of
from infrastructure.database.models.rules import family, rules_of
from infrastructure.database.query import Translator
from infrastructure.database.session import UnitSession


class Rows:
    """The rows of one table, seen from one session."""

    def __init__(self, session: UnitSession, model: Any) -> None:
        self.session = session
        self.model = model
        self.rules = rules_of(model)
        self.say = Translator(self.rules, session.database.dialect)

    def select(self, criteria: Sequence[Any], order_by: Any) -> Select[Any]:
        """The query for what satisfies the criteria."""
        query = select(self.model).where(*self.say.conditions(criteria))
        return query.order_by(*self.say.ordering(order_by))

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

    def with_key(self, values: Mapping[str, Any], *, lock: bool = False) -> Any | None:
        """The row with these values in a unique key; locked, and read again, if asked for."""
        query = select(self.model).filter_by(**values)
        if lock:
            query = query.with_for_update().execution_options(populate_existing=True)
        return self.session.scalars(query).one_or_none()

    def loaded(self, key: Key) -> Any | None:
        """The row with this key if the session has it."""
        identity = mapping_of(self.model).identity_key_from_primary_key(key)
        return self.session.identity_map.get(identity)

    def by_keys(self, keys: Sequence[Key], load: Sequence[str] = ()) -> dict[Key, Any]:
        """The rows with these keys, any number of them; missing ones left out."""
        loaded = ((key, self.loaded(key)) for key in keys)
        found = {key: row for key, row in loaded if row is not None and _has(row, load)}
        for query in self.with_keys([key for key in keys if key not in found]):
            for row in self.session.scalars(query.options(*self.options(load))):
                found[key_of(row)] = row
        return found

    def with_keys(self, keys: Sequence[Key]) -> Iterator[Select[Any]]:
        """Queries for any number of keys."""
        for criterion in among(self.rules, self.session.database.dialect, keys):
            yield select(self.model).where(criterion)

    def deletions(self, conditions: Sequence[Any]) -> Iterator[Delete]:
        """What deletes the rows that satisfy the conditions, children first."""
        for statement in _deletions(self.model, and_(true(), *conditions)):
            yield statement.execution_options(synchronize_session=False)

    def reload(self) -> None:
        """Read loaded rows again after a set-based write; those that are gone leave."""
        kinds = tuple(family(self.model))
        loaded = self.session.identity_map.values()
        rows = [row for row in loaded if isinstance(row, kinds)]
        self.session.tracker.bases.note_overwritten(kinds, rows)
        self.session.read_again(rows)


def _deletions(model: Any, condition: ColumnElement[bool]) -> Iterator[Delete]:
    for info in rules_of(model).children.values():
        links = [
            getattr(info.model, child) == getattr(model, root) for child, root in info.links.items()
        ]
        belongs = exists(select(1).select_from(model).where(*links, condition))
        yield from _deletions(info.model, belongs)
    yield delete(model).where(condition)


def _has(row: Any, load: Sequence[str]) -> bool:
    return all(name in row.__dict__ for name in load)
