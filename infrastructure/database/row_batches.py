"""Rows out of any iterable, validated batch by batch: column by column, or each for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, cast

from domain.errors import ValidationError
from infrastructure.database.collecting import paused
from infrastructure.database.models.column_lists import Lists, Unfit, WrongValue
from infrastructure.database.models.rules import Rules

BATCH = 1000
"""Rows that are validated, and sent, at once."""

LARGE = 10 * BATCH
"""Rows that are sent at once where each is written for itself, or none is there yet."""

Values = dict[str, Any]


class Row(NamedTuple):
    """A validated row, and which of its fields were given; the others have their defaults."""

    values: Values
    given: frozenset[str]


class Group(NamedTuple):
    """Validated rows with the same fields, column by column."""

    values: Lists
    given: frozenset[str]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def parts(self, size: int) -> Iterator[Group]:
        """The same rows in smaller groups."""
        for at in range(0, len(self), size):
            part = {name: column[at : at + size] for name, column in self.values.items()}
            yield Group(part, self.given)


class Validation(NamedTuple):
    """How the rows of one kind are validated; both ways have one outcome."""

    fields: Callable[[Any], Values]
    """What a row has."""

    one: Callable[[Any], Row]
    many: Callable[[Lists], Group]
    """Raises whatever it likes: then the rows are validated one by one, to say which is wrong."""


class RowBatches:
    """The rows of one table."""

    def __init__(self, rules: Rules, sizes: Iterable[int], *, snapshots: bool) -> None:
        self.rules = rules
        self.sizes = sizes
        """Of the batches, one after the other; without an end."""
        self.snapshots = snapshots
        """Whether a copy of a row cannot change any more when its iterable goes on."""

    def validated(self, rows: Iterable[Any], how: Validation) -> Iterator[list[Group]]:
        """Batch by batch, each as groups of rows that one statement can take."""
        if type(rows) in (list, tuple):
            return self._of_list(cast(Sequence[Any], rows), how)
        if self.snapshots:
            return self._of_snapshots(iter(rows), how)
        return self._of_others(enumerate(rows), how)

    def _of_list(self, rows: Sequence[Any], how: Validation) -> Iterator[list[Group]]:
        first = 0
        for size in self.sizes:
            if first >= len(rows):
                return
            yield from self._batches(rows[first : first + size], first, how)
            first += size

    def _of_snapshots(self, rows: Iterator[Any], how: Validation) -> Iterator[list[Group]]:
        first = 0
        for size in self.sizes:
            pulled, error = _pulled(islice(rows, size), how.fields)
            if pulled:
                yield from self._batches(pulled, first, how)
            if error is not None:
                raise error
            if not pulled:
                return
            first += size

    def _of_others(self, rows: Iterator[tuple[int, Any]], how: Validation) -> Iterator[list[Group]]:
        while batch := [_numbered(how.one, *one) for one in islice(rows, BATCH)]:
            yield _grouped(batch)

    def _batches(self, rows: Sequence[Any], first: int, how: Validation) -> Iterator[list[Group]]:
        failed: Exception | None = None
        try:
            with paused():
                group = how.many(_columns(rows, how.fields))
        except Unfit:
            pass
        except WrongValue as error:
            wrong = {error.field: f"{error.message} (row {first + error.at})"}
            failed = ValidationError(self.rules.entity, wrong)
        except Exception as error:  # noqa: BLE001 -- it is looked at below
            failed = error
        else:
            yield [group]
            return
        yield from self._of_others(enumerate(rows, first), how)
        if failed is not None:  # a row that can be read only once was read the first time
            raise failed


def _pulled(
    rows: Iterator[Any], fields: Callable[[Any], Values]
) -> tuple[list[Any], Exception | None]:
    """Copies of some rows, and what the iterable raised: a row before that may be wrong, too."""
    pulled: list[Any] = []
    add = pulled.append
    try:
        for row in rows:
            add(row.copy() if type(row) is dict else _fields_or_itself(row, fields))
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is raised later
        return pulled, error
    return pulled, None


def _fields_or_itself(row: Any, fields: Callable[[Any], Values]) -> Any:
    try:
        return fields(row)
    except ValidationError:  # it will be raised again, with the number of the row
        return row


def _columns(rows: Sequence[Any], fields: Callable[[Any], Values]) -> Lists:
    """The columns of rows that all have the same fields; not of others."""
    given = rows if set(map(type, rows)) == {dict} else list(map(fields, rows))
    names = list(given[0])
    if not names or {*map(len, given)} != {len(names)} or {*map(type, names)} != {str}:
        raise Unfit
    try:
        return {name: list(map(itemgetter(name), given)) for name in names}
    except KeyError:
        raise Unfit from None


def _grouped(rows: Sequence[Row]) -> list[Group]:
    """By the fields that they have, and those that were given."""
    alike: dict[Any, list[Values]] = {}
    for row in rows:
        alike.setdefault((row.given, frozenset(row.values)), []).append(row.values)
    return [
        Group({name: [values[name] for values in found] for name in found[0]}, given)
        for (given, _), found in alike.items()
    ]


def _numbered(validated: Callable[[Any], Row], number: int, row: Any) -> Row:
    try:
        return validated(row)
    except ValidationError as error:
        wrong = {name: f"{message} (row {number})" for name, message in error.errors.items()}
        raise ValidationError(error.entity, wrong) from None
