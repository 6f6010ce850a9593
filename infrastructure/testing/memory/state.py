"""All rows at one moment, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, Self

from domain.errors import ForeignKeyViolation, NotNullViolation, UniqueViolation
from infrastructure.testing.memory.constraints import Reference, Row, Token, Unique

Key = tuple[Any, ...]


class RowRules(Protocol):
    """What must be known of a kind of entity here."""

    token: Token
    entity: str
    domain: type[Any]
    keys: tuple[str, ...]
    unique: tuple[Unique, ...]
    references: tuple[Reference, ...]
    required: tuple[str, ...]

    def key_of(self, row: Row, /) -> Key:
        """The key of a row."""
        ...


class Table:
    """The rows of one kind, with what finds them by unique keys and by what they refer to."""

    def __init__(self, rules: RowRules) -> None:
        self.rules = rules
        self.rows: dict[Key, Row] = {}
        self.taken: dict[Unique, dict[Key, Key]] = {unique: {} for unique in rules.unique}
        self.referring: dict[Reference, dict[Key, dict[Key, None]]] = {
            reference: {} for reference in rules.references
        }

    def copy(self) -> Table:
        copied = Table(self.rules)
        copied.rows = dict(self.rows)
        copied.taken = {unique: dict(known) for unique, known in self.taken.items()}
        copied.referring = {
            reference: {values: dict(keys) for values, keys in known.items()}
            for reference, known in self.referring.items()
        }
        return copied

    def put(self, key: Key, row: Row) -> None:
        """Insert a row, or replace it."""
        self.drop(key)
        self.rows[key] = row
        for unique, known in self.taken.items():
            if (values := unique.of(row)) is not None:
                known[values] = key
        for reference, refers in self.referring.items():
            if (values := reference.of(row)) is not None:
                refers.setdefault(values, {})[key] = None

    def drop(self, key: Key) -> None:
        row = self.rows.pop(key, None)
        if row is None:
            return
        for unique, known in self.taken.items():
            if (values := unique.of(row)) is not None:
                known.pop(values, None)
        for reference, refers in self.referring.items():
            if (values := reference.of(row)) is not None:
                refers.get(values, {}).pop(key, None)

    def refuse(self, key: Key | None, row: Row) -> None:
        """Raise if the row may not be here; ``key`` is that of the one that it replaces."""
        for field in self.rules.required:
            if row[field] is None:
                raise NotNullViolation(self.rules.entity, (field,))
        for unique, known in self.taken.items():
            values = unique.of(row)
            if values is not None and known.get(values, key) != key:
                raise UniqueViolation(self.rules.entity, unique.fields, unique.name)


class State:
    """All rows at one moment. A fork costs little: tables are copied when they are written."""

    def __init__(self, kinds: Mapping[Token, RowRules], tables: dict[Token, Table]) -> None:
        self._kinds = kinds
        self._tables = tables
        self._owned: set[Token] = set()

    def fork(self) -> Self:
        """The same rows; what is done to one of the two does not change the other."""
        self._owned = set()
        return type(self)(self._kinds, dict(self._tables))

    def rows(self, token: Token) -> Mapping[Key, Row]:
        """All rows of one kind by their keys."""
        table = self._tables.get(token)
        return {} if table is None else table.rows

    def row(self, token: Token, key: Key) -> Row | None:
        """The row with this key."""
        return self.rows(token).get(key)

    def referring(self, token: Token, reference: Reference, values: Key) -> list[Key]:
        """The keys of the rows that refer to these values."""
        table = self._tables.get(token)
        return [] if table is None else list(table.referring[reference].get(values, ()))

    # -- statements ------------------------------------------------------------------------

    def insert(self, rules: RowRules, rows: Iterable[Row]) -> None:
        """One INSERT: unique keys are looked at row by row, references at the end."""
        table, given = self._writable(rules), list(rows)
        for row in given:
            table.refuse(None, row)
            table.put(rules.key_of(row), row)
        for row in given:
            self._refuse_dangling(rules, row)

    def update(self, rules: RowRules, row: Row) -> None:
        """One UPDATE of a row that is there."""
        table, key = self._writable(rules), rules.key_of(row)
        table.refuse(key, row)
        table.put(key, row)
        self._refuse_dangling(rules, row)

    def delete(self, rules: RowRules, key: Key) -> None:
        """One DELETE, with what the table says about rows that refer to it."""
        row = self.row(rules.token, key)
        if row is None:
            return
        self._writable(rules).drop(key)
        for other, reference in self._references_to(rules.token):
            values = tuple(row[field] for field in reference.target_fields)
            for referring in self.referring(other.token, reference, values):
                self._loosen(other, reference, referring)

    # -- how -------------------------------------------------------------------------------

    def _loosen(self, rules: RowRules, reference: Reference, key: Key) -> None:
        if reference.on_delete == "CASCADE":
            self.delete(rules, key)
        elif reference.on_delete == "SET NULL":
            row = self.rows(rules.token)[key]
            self.update(rules, {**row, **dict.fromkeys(reference.fields)})
        else:
            raise ForeignKeyViolation(rules.entity, reference.fields, reference.name)

    def _writable(self, rules: RowRules) -> Table:
        if rules.token not in self._owned:
            table = self._tables.get(rules.token)
            self._tables[rules.token] = Table(rules) if table is None else table.copy()
            self._owned.add(rules.token)
        return self._tables[rules.token]

    def _refuse_dangling(self, rules: RowRules, row: Row) -> None:
        for reference in rules.references:
            values = reference.of(row)
            if values is not None and not self._is_there(reference, values):
                raise ForeignKeyViolation(rules.entity, reference.fields, reference.name)

    def _is_there(self, reference: Reference, values: Key) -> bool:
        target = self._target(reference)
        if target is None:
            return False
        if target.keys == reference.target_fields:
            return self.row(target.token, values) is not None
        return any(
            tuple(row[field] for field in reference.target_fields) == values
            for row in self.rows(target.token).values()
        )

    def _target(self, reference: Reference) -> RowRules | None:
        """A domain class that is referred to may have a table, or none."""
        kinds = list(self._kinds.values())
        return next((k for k in kinds if reference.target in (k.token, k.domain)), None)

    def _references_to(self, token: Token) -> Iterator[tuple[RowRules, Reference]]:
        for rules in list(self._kinds.values()):
            for reference in rules.references:
                target = self._target(reference)
                if target is not None and target.token == token:
                    yield rules, reference
