"""Python types and column types for the types of a database."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import NullType, TypeEngine

from infrastructure.database.codegen.imports import Imports
from infrastructure.database.codegen.source import Named, Source, call, literal
from infrastructure.database.models.types import ExactDecimal, Text

STORED = "infrastructure.database.models.stored"
TYPES = "infrastructure.database.models.types"

_RANGES = {
    "INT4RANGE": "int", "INT8RANGE": "int", "NUMRANGE": "Decimal", "DATERANGE": "date",
    "TSRANGE": "datetime", "TSTZRANGE": "datetime",
}  # fmt: skip
_AS_TEXT = {"BIT", "CITEXT", "MONEY", "REGCONFIG", "TSQUERY", "TSVECTOR", "XML"}


@dataclass
class Mapped:
    """How one column is declared."""

    annotation: str
    sql: Source | None = None
    """Its type, where the annotation does not say it."""

    options: dict[str, Source] = field(default_factory=dict)
    """What ``Field`` is told of its size."""

    comment: str = ""
    any_value: bool = False
    members: dict[str, str] = field(default_factory=dict)
    """Of an enum: how the members are written, by their values."""


@dataclass(frozen=True)
class EnumClass:
    """The class of an enum: where it is, and its members by their values."""

    module: str
    name: str
    members: dict[str, str]


class TypeMapper:
    """Knows the types of one database."""

    def __init__(
        self, dialect: Dialect, enums: dict[str, EnumClass], *, by_code_point: bool
    ) -> None:
        self.dialect = dialect
        self.enums = enums
        """The classes of enums, by the full names of their types."""

        self.by_code_point = by_code_point

    def map(self, column: sa.Column[Any], adapted: TypeEngine[Any], imports: Imports) -> Mapped:
        """The declaration of a column; ``adapted`` is its type in SQLAlchemy's own words."""
        if "declared" in column.info and self._is_unknown(column):
            return self._unknown(column, imports)
        mapped = self._known(adapted, imports)
        if mapped is None:
            return Mapped("Any", self.expression(adapted, imports), any_value=True)
        return mapped

    def _is_unknown(self, column: sa.Column[Any]) -> bool:
        sqlite = self.dialect.name == "sqlite"
        return isinstance(column.type, NullType) or (sqlite and isinstance(column.type, sa.Numeric))

    def _unknown(self, column: sa.Column[Any], imports: Imports) -> Mapped:
        declared = str(column.info["declared"])
        name = "NUMERIC" if isinstance(column.type, sa.Numeric) else declared
        made = call(imports.use(STORED, "Unmapped"), *([literal(name)] if name else []))
        said = f"declared as {declared}" if declared else "declared without a type"
        return Mapped("Any", made, comment=f"{said}: values are the driver's own", any_value=True)

    def _known(self, type_: TypeEngine[Any], imports: Imports) -> Mapped | None:
        name = type(type_).__name__
        match type_:
            case sa.Enum():
                return self._enum(type_, imports)
            case sa.ARRAY():
                return self._array(type_, imports)
            case sa.JSON():
                return self._json(type_, imports)
            case _ if name == "DOMAIN":
                return self._domain(type_, imports)
            case _ if name in _RANGES:
                return self._range(type_, imports)
            case _ if name in _AS_TEXT:
                return Mapped("str", self.expression(type_, imports))
            case _ if name == "HSTORE":
                return Mapped("dict[str, str | None]", self.expression(type_, imports))
            case _ if name == "OID":
                return Mapped("int", self.expression(type_, imports))
            case sa.String():
                return self._text(type_, imports)
            case _:
                return self._scalar(type_, imports)

    def _text(self, type_: sa.String, imports: Imports) -> Mapped:
        options: dict[str, Source] = {"max_length": str(type_.length)} if type_.length else {}
        implied = Text(type_.length)
        same = self._same(type_, implied) and (
            type_.collation == "C" or (self.by_code_point and type_.collation is None)
        )
        return Mapped("str", None if same else self.expression(type_, imports), options)

    def _scalar(self, type_: TypeEngine[Any], imports: Imports) -> Mapped | None:
        sql = self.expression
        match type_:
            case sa.Boolean():
                return self._unless("bool", type_, sa.Boolean(), imports)
            case sa.Integer():
                return self._unless("int", type_, sa.Integer(), imports)
            case sa.Float():
                return self._unless("float", type_, sa.Float(), imports)
            case sa.Numeric():
                return self._decimal(type_, imports)
            case sa.DateTime():
                return self._moment(type_, imports)
            case sa.Date():
                annotation = imports.use("datetime", "date")
                return self._unless(annotation, type_, sa.Date(), imports)
            case sa.Time() if getattr(type_, "timezone", False):  # a Time of the kit has none
                made = call(imports.use(STORED, "Unmapped"), literal(self._compiled(type_)))
                return Mapped(imports.use("datetime", "time"), made)
            case sa.Time():
                annotation = imports.use("datetime", "time")
                return self._unless(annotation, type_, sa.Time(), imports)
            case sa.Interval():
                annotation = imports.use("datetime", "timedelta")
                return self._unless(annotation, type_, sa.Interval(), imports)
            case sa.LargeBinary():
                return self._unless("bytes", type_, sa.LargeBinary(), imports)
            case sa.Uuid() if type_.as_uuid:
                annotation = imports.use("uuid", "UUID")
                return self._unless(annotation, type_, sa.Uuid(), imports)
            case sa.BINARY() | sa.VARBINARY():
                return Mapped("bytes", sql(type_, imports))
            case _ if type(type_).__name__ == "INTERVAL":
                return Mapped(imports.use("datetime", "timedelta"), sql(type_, imports))
            case _:
                return None

    def _unless(
        self, annotation: str, type_: TypeEngine[Any], implied: TypeEngine[Any], imports: Imports
    ) -> Mapped:
        same = self._same(type_, implied)
        return Mapped(annotation, None if same else self.expression(type_, imports))

    def _decimal(self, type_: sa.Numeric[Any], imports: Imports) -> Mapped:
        annotation = imports.use("decimal", "Decimal")
        options: dict[str, Source] = {}
        if type_.precision is not None:
            options = {"max_digits": str(type_.precision), "decimal_places": str(type_.scale or 0)}
        if self.dialect.name == "sqlite":
            return self._decimal_of_sqlite(annotation, type_, imports)
        if (type_.scale or 0) < 0 or (type_.precision or 0) < (type_.scale or 0):
            return Mapped(annotation, self.expression(type_, imports))
        same = self._same(type_, ExactDecimal(type_.precision, type_.scale))
        return Mapped(annotation, None if same else self.expression(type_, imports), options)

    def _decimal_of_sqlite(self, annotation: str, type_: Any, imports: Imports) -> Mapped:
        """SQLite keeps what it is given, whatever size is declared: so may the model."""
        size = [type_.precision, type_.scale]
        said = [str(number) for number in size if number is not None]
        return Mapped(annotation, call(imports.use(STORED, "NumberAsDecimal"), *said))

    def _moment(self, type_: sa.DateTime, imports: Imports) -> Mapped:
        """Without a time zone they mean what the application says, and stay as they are."""
        if type_.timezone and self.dialect.name != "sqlite":
            size = getattr(type_, "precision", None)
            said = "" if size is None else f"declared as timestamp({size}) with time zone"
            return Mapped(imports.use("datetime", "datetime"), comment=said)
        annotation = imports.use("pydantic", "NaiveDatetime")
        return self._unless(annotation, type_, sa.DateTime(), imports)

    def _json(self, type_: sa.JSON, imports: Imports) -> Mapped:
        imports.use("typing", "Any")
        usual = "JSON" if self.dialect.name == "sqlite" else "JSONB"
        if type(type_).__name__ == usual:
            return Mapped("Any", imports.use(TYPES, "Json"), any_value=True)
        made = call(self._class(type_, imports), none_as_null="True")
        return Mapped("Any", made, any_value=True)

    def _enum(self, type_: sa.Enum, imports: Imports) -> Mapped:
        known = self.enums.get(enum_key(type_))
        if known is None:
            return Mapped("str", self.expression(type_, imports))
        annotation = imports.use(known.module, known.name)
        members = {value: f"{annotation}.{name}" for value, name in known.members.items()}
        made = self._enum_expression(type_, annotation, imports)
        return Mapped(annotation, made, members=members)

    def _enum_expression(self, type_: sa.Enum, name: str, imports: Imports) -> Source:
        options: dict[str, Source] = {"name": literal(type_.name)}
        if type_.schema:
            options["schema"] = literal(type_.schema)
        options["values_callable"] = "lambda kind: [one.value for one in kind]"
        return call(imports.use("sqlalchemy", "Enum"), name, **options)

    def _array(self, type_: sa.ARRAY[Any], imports: Imports) -> Mapped:
        item = self._known(type_.item_type, imports)
        annotation = item.annotation if item else imports.use("typing", "Any")
        for _ in range(type_.dimensions or 1):
            annotation = f"list[{annotation}]"
        return Mapped(annotation, self.expression(type_, imports))

    def _domain(self, type_: Any, imports: Imports) -> Mapped:
        below = self._known(type_.data_type, imports)
        made = self.expression(type_, imports)
        if below is None:
            return Mapped("Any", made, any_value=True)
        return Mapped(below.annotation, made, {}, below.comment, below.any_value)

    def _range(self, type_: TypeEngine[Any], imports: Imports) -> Mapped:
        inner = _RANGES[type(type_).__name__]
        module = {"Decimal": "decimal", "int": ""}.get(inner, "datetime")
        part = imports.use(module, inner) if module else inner
        outer = imports.use("sqlalchemy.dialects.postgresql", "Range")
        return Mapped(f"{outer}[{part}]", self.expression(type_, imports))

    def _same(self, one: TypeEngine[Any], other: TypeEngine[Any]) -> bool:
        """Whether both are the same for the database; how text sorts is not looked at."""
        return self._compiled(one) == self._compiled(other)

    def _compiled(self, type_: TypeEngine[Any]) -> str:
        made = str(type_.compile(dialect=self.dialect))
        bare = made.partition(" COLLATE ")[0]
        return "DOUBLE PRECISION" if bare == "FLOAT" else bare

    # -- as source ---------------------------------------------------------------------------

    def expression(self, type_: TypeEngine[Any], imports: Imports) -> Source:
        """The source of a type."""
        name = self._class(type_, imports)
        match type_:
            case sa.ARRAY():
                many = (type_.dimensions or 1) > 1
                size = {"dimensions": str(type_.dimensions)} if many else {}
                return call(name, self._item(type_.item_type, imports), **size)
            case sa.Enum():
                return self._plain_enum(type_, name, imports)
            case _ if name.endswith("DOMAIN"):
                return self._domain_expression(type_, name, imports)
        options = _options(type_)
        length = [options.pop("length")] if next(iter(options), None) == "length" else []
        return call(name, *length, **options) if options or length else name

    def _item(self, type_: TypeEngine[Any], imports: Imports) -> Source:
        known = self.enums.get(enum_key(type_)) if isinstance(type_, sa.Enum) else None
        if known is not None and isinstance(type_, sa.Enum):
            name = imports.use(known.module, known.name)
            return self._enum_expression(type_, name, imports)
        return self.expression(type_, imports)

    def _plain_enum(self, type_: sa.Enum, name: str, imports: Imports) -> Source:
        values = [literal(value) for value in type_.enums]
        options: dict[str, Source] = {"name": literal(type_.name)}
        if type_.schema:
            options["schema"] = literal(type_.schema)
        return call(imports.use("sqlalchemy", "Enum"), *values, **options)

    def _domain_expression(self, type_: Any, name: str, imports: Imports) -> Source:
        options: dict[str, Source] = {}
        if type_.schema:
            options["schema"] = literal(type_.schema)
        if type_.collation and type_.collation != "default":
            options["collation"] = literal(type_.collation)
        if type_.not_null:
            options["not_null"] = "True"
        if type_.default is not None:
            options["default"] = literal(str(type_.default))
        if type_.constraint_name is not None:
            options["constraint_name"] = literal(str(type_.constraint_name))
        if type_.check is not None:
            options["check"] = literal(str(type_.check))
        return call(name, literal(type_.name), self._item(type_.data_type, imports), **options)

    def _class(self, type_: TypeEngine[Any], imports: Imports) -> str:
        kind = type(type_)
        for module in ("sqlalchemy", f"sqlalchemy.dialects.{self.dialect.name}"):
            home = __import__(module, fromlist=["_"])
            if getattr(home, kind.__name__, None) is kind:
                return imports.use(module, kind.__name__)
        return imports.use(kind.__module__, kind.__name__)


def enum_key(type_: sa.Enum) -> str:
    """What an enum is known by."""
    return f"{type_.schema or ''}.{type_.name or '|'.join(type_.enums)}"


def _options(type_: TypeEngine[Any]) -> dict[str, Source]:
    """What the constructor was told, where it is not the default."""
    found: dict[str, Source] = {}
    for name, parameter in inspect.signature(type(type_).__init__).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name == "self":
            continue
        value = getattr(type_, name, parameter.default)
        plain = isinstance(value, str | int | float | bool)
        usual = name == "collation" and value == "default"
        if plain and value != parameter.default and not usual:
            found[name] = literal(value)
    return found


__all__ = ["Mapped", "Named", "TypeMapper", "enum_key"]
