"""What the constructor of a domain class does to the values of many rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cache
from typing import Any

from infrastructure.database.models.column_lists import ColumnLists, Lists, column_lists_of

_MADE = ("__new__", "__getattribute__", "__setattr__")


class DomainRules:
    """The rules of a domain class that has a table."""

    def __init__(self, domain: Any, lists: ColumnLists) -> None:
        self.domain = domain
        self.lists = lists
        fields = dataclasses.fields(domain) if dataclasses.is_dataclass(domain) else ()
        self.none = domain is lists.rules.model or not fields
        self.kept = {field.name for field in fields}
        self.asked = [field.name for field in fields if field.init]
        known = lists.rules.columns.keys()
        self.silent = self.none or (
            _only_sets(domain, fields) and all(f.name in known or _optional(f) for f in fields)
        )

    def applied(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of one row, after its entity was constructed."""
        if self.none:
            return values
        made = self.domain(**{n: values[n] for n in self.asked if n in values}).__dict__
        own = [name for name in values if name in made and made[name] is not values[name]]
        if own:
            return values | self.lists.rules.some({name: made[name] for name in own})
        return values

    def apply(self, values: Lists) -> None:
        """Construct an entity of each row, and take over what it made of its values."""
        if self.silent:
            return
        asked = [name for name in self.asked if name in values]
        rows = zip(*(values[name] for name in asked), strict=True)
        made = [self.domain(**dict(zip(asked, row, strict=True))).__dict__ for row in rows]
        for name, column in values.items():
            pairs = enumerate(zip(column, made, strict=True))
            own = [at for at, (value, new) in pairs if new.get(name, value) is not value]
            if own:
                fresh = self.lists.some({name: [made[at][name] for at in own]})[name]
                for at, value in zip(own, fresh, strict=True):
                    column[at] = value


def domain_rules_of(domain: Any, model: Any) -> DomainRules:
    """Those of a domain class and its table, made once."""
    return _made(domain, model)


@cache
def _made(domain: Any, model: Any) -> DomainRules:
    return DomainRules(domain, column_lists_of(model))


def _only_sets(domain: Any, fields: Iterable[dataclasses.Field[Any]]) -> bool:
    """Whether constructing one does nothing but store what it was given."""
    code = getattr(domain.__init__, "__code__", None)
    return (
        code is not None
        and code.co_qualname.startswith("__create_fn__.")  # written by dataclasses
        and not hasattr(domain, "__post_init__")
        and all(getattr(domain, name) is getattr(object, name) for name in _MADE)
        and all(field.init for field in fields)
        and not any(hasattr(getattr(domain, field.name, None), "__set__") for field in fields)
    )


def _optional(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or (
        field.default_factory is not dataclasses.MISSING
    )
