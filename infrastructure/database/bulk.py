"""Set-based writes of any number of rows: validated, in batches, all of them or none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, cast

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Table, bindparam
from sqlalchemy import inspect as mapping_of

from domain.errors import KitError, ValidationError
from infrastructure.database.dialects.base import Write
from infrastructure.database.intake import Intake
from infrastructure.database.models.column_lists import Lists, Unfit, column_lists_of
from infrastructure.database.models.domain_rules import domain_rules_of
from infrastructure.database.row_batches import (
    BATCH,
    LARGE,
    Group,
    Row,
    RowBatches,
    Validation,
    Values,
)
from infrastructure.database.session import UnitSession

Batch = list[Group]

_FIRST = 3  # small batches: few rows wait for no more than they need
_ALL: frozenset[str] = frozenset()  # of a new row all is written, given or not


class Bulk:
    """Writes the rows of one table without making entities of them."""

    def __init__(self, session: UnitSession, intake: Intake) -> None:
        self.session = session
        self.intake = intake
        self.rules = intake.rules
        self.lists = column_lists_of(intake.model)
        self.domain = domain_rules_of(intake.domain, intake.model)
        self.table = cast(Table, mapping_of(self.rules.model).local_table)
        self.dialect = session.database.dialect
        self._writes: dict[Hashable, Write] = {}

    def create(self, rows: Any) -> int:
        """INSERT; how many."""
        how = Validation(self._fields_of, self._new, self._new_lists)
        sizes = chain(repeat(BATCH, _FIRST), repeat(LARGE))
        return self._in_batches(rows, how, self._insert, sizes)

    def update(self, rows: Any) -> int:
        """UPDATE by key; how many were there."""
        how = Validation(self.intake.given_fields_of, self._changed, self._changed_lists)
        return self._in_batches(rows, how, self._update, repeat(LARGE))

    def upsert(self, rows: Any, on: Sequence[str]) -> int:
        """INSERT, or UPDATE where this unique key is there already; how many."""

        def one(row: Any) -> Row:
            found = self._whole(row)
            self.intake.refuse_none(found.values, on)
            return found

        def many(columns: Lists) -> Group:
            found = self._whole_lists(columns)
            for name in on:
                if None in found.values[name]:
                    raise Unfit
            return found

        how = Validation(self._fields_of, one, many)
        return self._in_batches(rows, how, lambda batch: self._upsert(batch, on), repeat(LARGE))

    # -- batches -----------------------------------------------------------------------------

    def _in_batches(
        self, rows: Any, how: Validation, write: Callable[[Batch], int], sizes: Iterator[int]
    ) -> int:
        batches = self._batches(rows, how, sizes)
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

    def _batches(self, rows: Any, how: Validation, sizes: Iterator[int]) -> Iterator[Batch]:
        if isinstance(rows, str | bytes | Mapping | BaseModel) or not isinstance(rows, Iterable):
            raise ValidationError(self.rules.entity, {"rows": "must be a list of rows"})
        batches = RowBatches(self.rules, sizes, snapshots=self.lists.only_scalars)
        return batches.validated(rows, how)

    # -- what a row must be --------------------------------------------------------------------

    def _fields_of(self, row: Any) -> Values:
        held = row.__dict__ if type(row) is self.intake.domain and not self.domain.none else {}
        if held and held.keys() == self.domain.kept:  # a plain entity without a version or children
            return held.copy()
        return self.intake.fields_of(row)

    def _new(self, row: Any) -> Row:
        """A row for INSERT, for which the domain's own rules hold."""
        values, _ = self._whole(row)
        return Row(self.domain.applied(values), _ALL)

    def _new_lists(self, columns: Lists) -> Group:
        values, _ = self._whole_lists(columns)
        self.domain.apply(values)
        return Group(values, _ALL)

    def _whole(self, row: Any) -> Row:
        values, given = self.rules.whole(self.intake.fields_of(row))
        if self.rules.timestamped:
            now = self.session.database.clock()
            values |= dict.fromkeys({"created_at", "updated_at"} - given, now)
        return Row(values, frozenset(given))

    def _whole_lists(self, columns: Lists) -> Group:
        count = len(next(iter(columns.values())))
        values = self.lists.whole(columns, count)
        if self.rules.timestamped:
            clock = self.session.database.clock
            stamps = {"created_at", "updated_at"} - columns.keys()
            now = [clock() for _ in range(count)] if stamps else []
            values |= {name: now.copy() for name in stamps}
        return Group(values, frozenset(columns))

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

    def _changed_lists(self, columns: Lists) -> Group:
        keys = {
            name: self.lists.operands(name, columns.pop(name))
            for name in self.rules.keys
            if name in columns
        }
        if len(keys) < len(self.rules.keys) or None in keys.values():
            raise Unfit
        if not columns or self.rules.version in columns:
            raise Unfit
        changes = self.lists.some(columns)
        return Group(cast(Lists, keys) | changes, frozenset(changes))

    def _refused(self, names: Iterable[str], message: str) -> ValidationError:
        return ValidationError(self.rules.entity, dict.fromkeys(names, message))

    # -- statements ----------------------------------------------------------------------------

    def _insert(self, batch: Batch) -> int:
        for names, values in self._parts(batch):
            make = functools.partial(self.dialect.inserting, self.table, names)
            self._send(("insert", *names), make, values)
        return sum(map(len, batch))

    def _update(self, batch: Batch) -> int:
        batch = self._once_each(batch, self.rules.keys)
        keys = [self.rules.columns[name].key for name in self.rules.keys]
        count = 0
        for group in batch:
            names, values = self._columns(group.values)
            also, constants = self._also(group.given)
            make = functools.partial(self.dialect.updating, self.table, keys, names, also)
            count += self._send(("update", group.given, *names), make, values, constants)
        return count

    def _upsert(self, batch: Batch, on: Sequence[str]) -> int:
        batch = self._once_each(batch, on)
        keys = [self.rules.columns[name].key for name in on]
        fixed = {*self.rules.keys, *on, self.rules.version, "created_at"}
        for group in batch:
            written = [self.rules.columns[name].key for name in sorted(group.given - fixed)]
            also, constants = self._also(group.given)
            for names, values in self._parts([group]):
                make = functools.partial(
                    self.dialect.upserting, self.table, names, keys, written, also
                )
                self._send(("upsert", group.given, *names), make, values, constants)
        return sum(map(len, batch))

    def _send(
        self,
        kind: Hashable,
        make: Callable[[], Write],
        values: Lists,
        constants: Mapping[str, Any] | None = None,
    ) -> int:
        """Send rows by a statement that is made once for all that are alike."""
        if kind not in self._writes:
            self._writes[kind] = make()
        write = self._writes[kind]
        statement, parameters, options = write(self.session.connection(), values, constants or {})
        done: Any = self.session.execute(statement, parameters, execution_options=options)
        return cast(int, done.rowcount)

    def _parts(self, batch: Batch) -> Iterator[tuple[tuple[str, ...], Lists]]:
        """What one INSERT each can take: rows of which the database fills in the same fields."""
        alike: dict[frozenset[str], list[Lists]] = {}
        for group in batch:
            for left_out, values in self._by_left_out(group.values):
                alike.setdefault(left_out, []).append(values)
        for left_out, parts in alike.items():
            values = {
                name: parts[0][name] if len(parts) == 1 else [*chain(*(p[name] for p in parts))]
                for name in parts[0]
                if name not in left_out
            }
            yield self._columns(values)

    def _by_left_out(self, values: Lists) -> Iterator[tuple[frozenset[str], Lists]]:
        filled = {name: values[name] for name in self._filled_in if name in values}
        some = {name: column for name, column in filled.items() if None in column}
        mixed = {
            name: column for name, column in some.items() if any(v is not None for v in column)
        }
        left_out = frozenset(some.keys() - mixed.keys()) | self._computed
        if not mixed:
            yield left_out, values
            return
        places: dict[frozenset[str], list[int]] = {}
        for at, row in enumerate(zip(*mixed.values(), strict=True)):
            empty = frozenset(name for name, value in zip(mixed, row, strict=True) if value is None)
            places.setdefault(empty, []).append(at)
        for empty, rows in places.items():
            picked = {name: [column[at] for at in rows] for name, column in values.items()}
            yield left_out | empty, picked

    @functools.cached_property
    def _filled_in(self) -> list[str]:
        by_itself = self.table.autoincrement_column
        return [
            name
            for name, column in self.rules.columns.items()
            if column is by_itself or column.server_default is not None
        ]

    @functools.cached_property
    def _computed(self) -> frozenset[str]:
        columns = self.rules.columns
        return frozenset(name for name in self._filled_in if columns[name].computed is not None)

    def _columns(self, values: Lists) -> tuple[tuple[str, ...], Lists]:
        columns = {c.key: values[name] for name, c in self.rules.columns.items() if name in values}
        return tuple(columns), columns

    def _also(self, given: Collection[str]) -> tuple[Values, Values]:
        """What an UPDATE writes besides: expressions, and the parameters in them."""
        also: Values = {}
        constants: Values = {}
        for name, value in self.intake.stamps(given).items():
            column = self.rules.columns[name]
            also[column.key] = value
            if not isinstance(value, ColumnElement):
                also[column.key] = bindparam(f"all_{column.key}", type_=column.type)
                constants[f"all_{column.key}"] = value
        return also, constants

    def _once_each(self, batch: Batch, names: Sequence[str]) -> Batch:
        """Groups, in none of which a key is twice: one statement may write it once for both."""
        if self._refuse_twice(batch, names) or self.dialect.row_by_row:
            return batch
        return list(chain(*(group.parts(BATCH) for group in batch)))

    def _refuse_twice(self, batch: Batch, names: Sequence[str]) -> bool:
        """Refuse what is twice in one batch; whether nothing is twice at all."""
        keys: list[Iterable[Any]] = [group.values[names[0]] for group in batch]
        if len(names) > 1:
            keys = [zip(*(group.values[name] for name in names), strict=True) for group in batch]
        found = list(chain(*keys))
        if len(set(found)) == len(found):
            return True
        for at in range(0, len(found), BATCH):
            together = found[at : at + BATCH]
            if len(set(together)) < len(together):
                raise self._refused(names, "is in two rows of one batch; leave one out")
        return False
