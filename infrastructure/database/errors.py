"""A driver's error becomes an error of the domain, here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy import inspect as mapping_of
from sqlalchemy.engine import ExceptionContext
from sqlmodel import SQLModel

from domain.errors import ConflictError, DatabaseUnavailable, KitError, UniqueViolation
from infrastructure.database.dialects import Dialect, Violation, dialect_named
from infrastructure.database.models.rules import entity_name

_NEXT_STEP = {
    "DatabaseUnavailable": "the database cannot be used; check that it is there, has room, and "
    "that the URL is right",
    "ReadOnlyViolation": "the database refused a write; open a writing unit: UnitOfWork()",
    "LockTimeout": "a lock was not granted in time; run the whole unit again",
    "Deadlock": "two transactions waited for each other; run the whole unit again",
    "SerializationFailure": "another transaction came in between; run the whole unit again",
    "TransientError": "the statement was cancelled, because of a timeout or by an operator",
}


def translate(context: ExceptionContext) -> KitError | None:
    """The domain's error for a driver's, or None for what is a bug and stays one."""
    dialect = dialect_named(context.dialect.name)
    kind = dialect.failure(context)
    if kind is None:
        return None
    if issubclass(kind, ConflictError):
        error: KitError = _conflict(dialect.violation(context, kind), context)
    else:
        error = kind(_message(kind, context))
    error.driver_error = context.original_exception
    return error


def hide_values(context: ExceptionContext) -> None:
    """Take out of the driver's words, and of SQLAlchemy's, what may be a value of a row.

    Whatever is raised is chained to them. What the server said stays in the driver's ``diag``.
    """
    original = context.original_exception
    if isinstance(original, UnicodeEncodeError | UnicodeDecodeError):
        _hide_text(original)
        return
    said = dialect_named(context.dialect.name).discreet(original)
    if said is None:
        return
    original.args = (said,)
    if context.sqlalchemy_exception is not None:
        kind = type(original)
        context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {said}",)


def _hide_text(error: UnicodeEncodeError | UnicodeDecodeError) -> None:
    """It keeps the whole text, which is a parameter or a stored value."""
    count = error.end - error.start
    hidden: Any = "\ufffd" * count if isinstance(error.object, str) else b"?" * count
    error.object, error.start, error.end = hidden, 0, count
    error.args = (error.encoding, hidden, 0, count, error.reason)


def _message(kind: type[KitError], context: ExceptionContext) -> str:
    message = _NEXT_STEP[kind.__name__]
    if issubclass(kind, DatabaseUnavailable) and context.engine is not None:
        return f"{context.engine.url.render_as_string(hide_password=True)}: {message}"
    return message


def _conflict(found: Violation, context: ExceptionContext) -> ConflictError:
    model = _model_of(found, context)
    if model is None:
        return found.kind(found.table or "row", found.columns, found.constraint)
    table: Table = model.__table__
    columns, constraint = found.columns, found.constraint
    if constraint is None and columns:
        constraint = _constraint_over(table, columns, found.kind)
    elif constraint is not None and not columns:
        columns = _columns_of(table, constraint, dialect_named(context.dialect.name))
    return found.kind(entity_name(model), _attributes(model, columns), constraint)


def _model_of(found: Violation, context: ExceptionContext) -> Any:
    """The model whose table has the violated constraint: that of the statement, if it can be."""
    statement: Any = getattr(
        getattr(context.execution_context, "compiled", None), "statement", None
    )
    metadata = getattr(getattr(statement, "table", None), "metadata", None)
    models = [model for model in _tables_below(SQLModel) if _holds(model.__table__, found)]
    models.sort(key=lambda model: model.__table__.metadata is metadata)
    return models[-1] if models else None


def _tables_below(base: type[Any]) -> Iterator[Any]:
    for model in base.__subclasses__():
        if "__table__" in model.__dict__:
            yield model
        yield from _tables_below(model)


def _holds(table: Table, found: Violation) -> bool:
    if found.table is not None:
        return bool(table.name == found.table)
    return found.constraint is not None and found.constraint in _constraints(table)


def _constraints(table: Table) -> dict[str, tuple[str, ...]]:
    """The columns of each constraint and unique index, by its name."""
    named: list[Any] = [*table.constraints, *table.indexes]
    return {
        str(item.name): tuple(str(column.name) for column in getattr(item, "columns", ()))
        for item in named
        if item.name is not None
    }


def _columns_of(table: Table, constraint: str, dialect: Dialect) -> tuple[str, ...]:
    return _constraints(table).get(constraint) or _unnamed(table, dialect).get(constraint, ())


def _unnamed(table: Table, dialect: Dialect) -> dict[str, tuple[str, ...]]:
    """The columns of constraints by the names that the database gives them if nobody else does."""
    named = {}
    for item in table.constraints:
        columns = tuple(str(column.name) for column in getattr(item, "columns", ()))
        name = dialect.default_name(item, str(table.name), columns)
        if name is not None:
            named[name] = columns
    return named


def _constraint_over(
    table: Table, columns: tuple[str, ...], kind: type[ConflictError]
) -> str | None:
    if issubclass(kind, UniqueViolation):
        unique = [index for index in table.indexes if index.unique]
        candidates: list[Any] = [
            table.primary_key,
            *(item for item in table.constraints if isinstance(item, UniqueConstraint)),
            *unique,
        ]
    else:
        candidates = [item for item in table.constraints if isinstance(item, ForeignKeyConstraint)]
        if kind.__name__ != "ForeignKeyViolation":
            return None
    for item in candidates:
        if {str(column.name) for column in item.columns} == set(columns) and item.name:
            return str(item.name)
    return None


def _attributes(model: Any, columns: tuple[str, ...]) -> tuple[str, ...]:
    mapper = mapping_of(model)
    named = {column.name: column for column in model.__table__.columns}
    return tuple(
        mapper.get_property_by_column(named[name]).key if name in named else name
        for name in columns
    )


__all__ = ["Dialect", "hide_values", "translate"]
