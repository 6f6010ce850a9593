"""How a table takes over the fields of its domain class, and what it refuses to."""

from __future__ import annotations

import dataclasses
import sys
import types
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

import pydantic
from pydantic_core import PydanticUndefined
from sqlmodel import Field
from sqlmodel.main import FieldInfoMetadata, RelationshipInfo, SQLModel

from domain.entity import Entity
from infrastructure.database.models.embedded import is_value_object, without_none
from infrastructure.database.models.types import Json


def domain_class(name: str, bases: tuple[type, ...]) -> type[Entity] | None:
    """The domain's dataclass among the bases of a table, if it has one."""
    found = [base for base in bases if _is_domain(base)]
    if not found:
        return None
    if len(found) > 1:
        raise TypeError(f"{name} has two domain classes; a table stores one")
    domain = found[0]
    tables = [base for base in bases if issubclass(base, SQLModel)]
    if bases.index(domain) > min(map(bases.index, tables)):
        raise TypeError(
            f"{name}: the entity comes first: class {name}({domain.__name__}, Model, table=True)"
        )
    _refuse_what_cannot_work(name, domain)
    return domain


def _is_domain(base: type) -> bool:
    return issubclass(base, Entity) and not issubclass(base, SQLModel)


def _refuse_what_cannot_work(name: str, domain: type[Entity]) -> None:
    label = f"{name}: {domain.__name__}"
    parameters: Any = getattr(domain, "__dataclass_params__", None)
    if parameters is None:
        raise TypeError(f"{label} is no dataclass; decorate it with @dataclass(eq=False)")
    if parameters.eq:
        raise TypeError(
            f"{label} compares by its fields; write @dataclass(eq=False), an entity is its identity"
        )
    if any("__slots__" in base.__dict__ for base in domain.__mro__ if base is not object):
        raise TypeError(f"{label} has __slots__, which cannot be tracked; leave slots=True out")
    hints = get_type_hints(domain, include_extras=True)
    for field, hint in hints.items():
        if isinstance(hint, dataclasses.InitVar):
            raise TypeError(
                f"{label}.{field} is an InitVar, which a loaded row would not have; make it a field"
            )


def adopt(namespace: dict[str, Any], domain: type[Entity]) -> None:
    """Put the fields of the domain class into the namespace of a table, theirs first.

    What the table declares itself stays, and takes the domain's default where it has none.
    """
    declared = own_annotations(namespace)
    order = list(declared)
    hints = get_type_hints(domain, include_extras=True)
    adopted: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, domain)):
        annotation = declared.pop(field.name, None)
        if annotation is None:
            adopted[field.name] = hints[field.name]
            if not isinstance(namespace.get(field.name), RelationshipInfo):
                namespace.update(_default(field))
        else:
            adopted[field.name] = _with_default(namespace, field, annotation)
    annotations = adopted | declared
    names = dict.fromkeys([*order, *annotations])
    keys = [name for name in names if _is_key(namespace.get(name), annotations[name])]
    namespace["__annotations__"] = {name: annotations[name] for name in [*keys, *annotations]}


def _is_key(value: Any, annotation: Any) -> bool:
    options = _declared_options(value, annotation)
    return options is not None and options.primary_key is True


def _declared_options(value: Any, annotation: Any) -> FieldInfoMetadata | None:
    annotated = get_args(annotation) if get_origin(annotation) is Annotated else ()
    found = (sql_options(candidate) for candidate in (value, *annotated))
    return next((options for options in found if options is not None), None)


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether the domain's constructor asks for this field."""
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing


def _default(field: dataclasses.Field[Any]) -> dict[str, Any]:
    if field.default is not dataclasses.MISSING:
        return {field.name: Field(default=field.default)}
    if field.default_factory is not dataclasses.MISSING:
        return {field.name: Field(default_factory=field.default_factory)}
    return {}


def _with_default(namespace: dict[str, Any], field: dataclasses.Field[Any], annotation: Any) -> Any:
    declared = namespace.get(field.name)
    if not isinstance(declared, pydantic.fields.FieldInfo) or not declared.is_required():
        return annotation
    if field.default is not dataclasses.MISSING:
        namespace[field.name] = pydantic.Field(default=field.default)
    elif field.default_factory is not dataclasses.MISSING:
        namespace[field.name] = pydantic.Field(default_factory=field.default_factory)
    else:
        return annotation
    return Annotated[annotation, declared]


def refuse_what_has_no_column(name: str, namespace: dict[str, Any]) -> None:
    """Entities and value objects are stored as the table says, and not without a word."""
    for field, annotation in own_annotations(namespace).items():
        value = namespace.get(field)
        options = _declared_options(value, annotation)
        chosen = options is not None and (
            options.sa_type is not PydanticUndefined or options.sa_column is not PydanticUndefined
        )
        if chosen or isinstance(value, RelationshipInfo):
            continue
        hint = _resolved(annotation, namespace)
        hint = without_none(get_args(hint)[0] if get_origin(hint) is Annotated else hint)
        inner = [kind for kind in get_args(hint) if isinstance(kind, type)]
        for message in filter(None, [_instead(field, hint), *(_instead_of_many(field, inner))]):
            raise TypeError(f"{name}.{field}: {message}")


def _instead(field: str, kind: Any) -> str | None:
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        return None
    if issubclass(kind, Entity):
        return f"another aggregate is referred to by its id; write {field}_id"
    if is_value_object(kind):
        return (
            f"a value object is redeclared on the table: {field}: {kind.__name__} = "
            f"Field(sa_type=Embedded({kind.__name__}))"
        )
    return f"{kind.__name__} is no value object; write @dataclass(frozen=True), and embed it"


def _instead_of_many(field: str, kinds: list[type]) -> list[str]:
    return [
        f"children are redeclared on the table: {field}: list[{kind.__name__}] = "
        f'Children("{kind.__name__}Model")'
        if issubclass(kind, Entity)
        else "many value objects have no column; put them as a tuple into one value object, "
        "or make children of them"
        for kind in kinds
        if dataclasses.is_dataclass(kind)
    ]


def store_lists_and_dicts_as_json(namespace: dict[str, Any]) -> None:
    """Give the fields that SQLModel has no column type for theirs."""
    annotations = own_annotations(namespace)
    for name, annotation in annotations.items():
        value = namespace.get(name, PydanticUndefined)
        if isinstance(value, RelationshipInfo) or not _is_collection(
            _resolved(annotation, namespace)
        ):
            continue
        options = _declared_options(value, annotation)
        if options is None and isinstance(value, pydantic.fields.FieldInfo):
            annotations[name] = Annotated[annotation, Field(sa_type=Json)]
        elif options is None:
            namespace[name] = Field(default=value, sa_type=Json)
        elif options.sa_type is PydanticUndefined and options.sa_column is PydanticUndefined:
            options.sa_type = Json
    if annotations:
        namespace["__annotations__"] = annotations


def _resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    """An annotation that is a string, where what it names is known already."""
    if not isinstance(annotation, str):
        return annotation
    module = sys.modules[namespace["__module__"]].__dict__
    try:
        return get_type_hints(type("_", (), {"__annotations__": {"_": annotation}}), module)["_"]
    except NameError:
        return None


def _is_collection(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return len(members) == 1 and _is_collection(members[0])
    return (get_origin(annotation) or annotation) in (list, dict)


def sql_options(field: Any) -> FieldInfoMetadata | None:
    """What SQLModel's ``Field`` was told about the column."""
    metadata = getattr(field, "metadata", ())
    return next((item for item in metadata if isinstance(item, FieldInfoMetadata)), None)


def own_annotations(namespace: dict[str, Any]) -> dict[str, Any]:
    """The annotations of a class that is being made."""
    if "__annotations__" not in namespace and sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 -- newer than the oldest Python

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is not None:
            return annotationlib.call_annotate_function(
                annotate, format=annotationlib.Format.FORWARDREF
            )
    return dict(namespace.get("__annotations__", {}))


def refuse_string_annotations(name: str, namespace: dict[str, Any]) -> None:
    """Relationships break where annotations are strings."""
    annotations = own_annotations(namespace)
    for field, value in namespace.items():
        annotation = annotations.get(field)
        if not isinstance(value, RelationshipInfo) or not isinstance(annotation, str):
            continue
        if not annotation.strip("'\"").isidentifier():  # a quoted class name is fine
            raise TypeError(
                f"{name}.{field}: relationships do not work in a module with "
                "`from __future__ import annotations`; remove that line"
            )
