"""Set-based writes of any number of rows: validated, in batches, all of them or none."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy import Table
from sqlalchemy import inspect as mapping_of

from domain.errors import KitError, ValidationError
from infrastructure.database.dialects import Statement
from infrastructure.database.intake import Intake
from infrastructure.database.session import UnitSession

BATCH = 1000
"""Rows that are validated, and sent, at once."""

Values = dict[str, Any]


class Row(NamedTuple):
    """A validated row, and which of its fields were given; the others have their defaults."""

    values: Values
    given: frozenset[str]


class Bulk:
    """Writes the rows of one table without making entities of them."""

    def __init__(self, session: UnitSession, intake: Intake) -> None:
        self.session = session
        self.intake = intake
        self.rules = intake.rules
        self.table = cast(Table, mapping_of(self.rules.model).local_table)
        self.dialect = session.database.dialect

    def create(self, rows: Any) -> int:
        """INSERT; how many."""
        return self._in_batches(rows, self._new, self._insert)

    def update(self, rows: Any) -> int:
        """UPDATE by key; how many were there."""
        return self._in_batches(rows, self._changed, self._update)

    def upsert(self, rows: Any, on: Sequence[str]) -> int:
        """INSERT, or UPDATE where this unique key is there already; how many."""

        def validated(row: Any) -> Row:
            found = self._whole(row)
            self.intake.refuse_none(found.values, on)
            return found

        return self._in_batches(rows, validated, lambda batch: self._upsert(batch, on))

    # -- batches -----------------------------------------------------------------------------

    def _in_batches(
        self, rows: Any, validated: Callable[[Any], Row], write: Callable[[list[Row]], int]
    ) -> int:
        batches = self._batches(rows, validated)
        first, second = next(batches, []), next(batches, [])
        if not second:  # there is nothing after it that could be refused
            return write(first)
        try:
            with self.session.savepoint():
                return sum(write(batch) for batch in chain([first, second], batches))
        except KitError as error:
            if error.driver_error is not None:  # as after any statement that failed
                self.session.fail(error)
            raise

    def _batches(self, rows: Any, validated: Callable[[Any], Row]) -> Iterator[list[Row]]:
        if isinstance(rows, str | bytes | Mapping | BaseModel) or not isinstance(rows, Iterable):
            raise ValidationError(self.rules.entity, {"rows": "must be a list of rows"})
        numbered = enumerate(rows)
        while batch := [_numbered(validated, *one) for one in islice(numbered, BATCH)]:
            yield batch

    # -- what a row must be --------------------------------------------------------------------

    def _new(self, row: Any) -> Row:
        """A row for INSERT, for which the domain's own rules hold."""
        values, given = self._whole(row)
        domain = self.intake.domain
        if domain is not self.rules.model and dataclasses.is_dataclass(domain):
            names = [field.name for field in dataclasses.fields(domain) if field.init]
            made = domain(**{name: values[name] for name in names if name in values}).__dict__
            own = [name for name in values if name in made and made[name] is not values[name]]
            if own:
                values |= self.rules.some({name: made[name] for name in own})
        return Row(values, given)

    def _whole(self, row: Any) -> Row:
        values, given = self.rules.whole(self.intake.fields_of(row))
        if self.rules.timestamped:
            now = self.session.database.clock()
            values |= dict.fromkeys({"created_at", "updated_at"} - given, now)
        return Row(values, frozenset(given))

    def _changed(self, row: Any) -> Row:
        """A row for UPDATE: its key, and what is to change."""
        fields = self.intake.given_fields_of(row)
        missing = [name for name in self.rules.keys if fields.get(name) is None]
        if missing:
            raise self._refused(missing, "is missing; it says which row is meant")
        key = self.rules.key([fields.pop(name) for name in self.rules.keys])
        if self.rules.version in fields:
            raise self._refused([str(self.rules.version)], "is counted by the kit; leave it out")
        if not fields:
            raise self._refused(["row"], "has nothing to change")
        changes = self.rules.some(fields)
        return Row(dict(zip(self.rules.keys, key, strict=True)) | changes, frozenset(changes))

    def _refused(self, names: Iterable[str], message: str) -> ValidationError:
        return ValidationError(self.rules.entity, dict.fromkeys(names, message))

    # -- statements ----------------------------------------------------------------------------

    def _insert(self, batch: list[Row]) -> int:
        for names, rows in self._alike(batch, lambda row: self._left_out(row.values)).items():
            self._send(self.dialect.insert_rows(self.table, self._columns(rows, without=names)))
        return len(batch)

    def _update(self, batch: list[Row]) -> int:
        self._refuse_twice(batch, self.rules.keys)
        keys = [self.rules.columns[name].key for name in self.rules.keys]
        return sum(
            self._send(
                self.dialect.update_rows(self.table, keys, self._columns(rows), self._also(given))
            )
            for given, rows in self._alike(batch, lambda row: row.given).items()
        )

    def _upsert(self, batch: list[Row], on: Sequence[str]) -> int:
        self._refuse_twice(batch, on)
        keys = [self.rules.columns[name].key for name in on]
        fixed = {*self.rules.keys, *on, self.rules.version, "created_at"}

        def kind(row: Row) -> tuple[frozenset[str], frozenset[str]]:
            return row.given, self._left_out(row.values)

        for (given, names), rows in self._alike(batch, kind).items():
            written = [self.rules.columns[name].key for name in given - fixed]
            self._send(
                self.dialect.upsert_rows(
                    self.table,
                    self._columns(rows, without=names),
                    keys,
                    written,
                    self._also(given),
                )
            )
        return len(batch)

    def _send(self, statement: Statement) -> int:
        done: Any = self.session.execute(*statement)
        return cast(int, done.rowcount)

    def _alike(self, batch: list[Row], kind: Callable[[Row], _Kind]) -> dict[_Kind, list[Row]]:
        """The rows that one statement can take, by what they have in common."""
        found: dict[_Kind, list[Row]] = {}
        for row in batch:
            found.setdefault(kind(row), []).append(row)
        return found

    def _left_out(self, values: Values) -> frozenset[str]:
        """The fields that the database fills in."""
        columns = self.rules.columns
        return frozenset(
            name
            for name in self._filled_in
            if values.get(name) is None or columns[name].computed is not None
        )

    @functools.cached_property
    def _filled_in(self) -> list[str]:
        by_itself = self.table.autoincrement_column
        return [
            name
            for name, column in self.rules.columns.items()
            if column is by_itself or column.server_default is not None
        ]

    def _columns(self, rows: Iterable[Row], without: Collection[str] = ()) -> list[Values]:
        columns = {name: c.key for name, c in self.rules.columns.items() if name not in without}
        return [
            {columns[name]: value for name, value in row.values.items() if name in columns}
            for row in rows
        ]

    def _also(self, given: Collection[str]) -> Values:
        """What an UPDATE writes besides."""
        return {
            self.rules.columns[name].key: value for name, value in self.intake.stamps(given).items()
        }

    def _refuse_twice(self, batch: Iterable[Row], names: Sequence[str]) -> None:
        seen = set()
        for row in batch:
            key = tuple(row.values[name] for name in names)
            if key in seen:
                raise self._refused(names, "is in two rows of one batch; leave one out")
            seen.add(key)


_Kind = TypeVar("_Kind")


def _numbered(validated: Callable[[Any], Row], number: int, row: Any) -> Row:
    try:
        return validated(row)
    except ValidationError as error:
        wrong = {name: f"{message} (row {number})" for name, message in error.errors.items()}
        raise ValidationError(error.entity, wrong) from None
