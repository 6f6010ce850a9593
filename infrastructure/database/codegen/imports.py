"""What a module imports, under names that its attributes do not hide."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from infrastructure.database.codegen.source import Call, by_number, in_order, lines

_KNOWN = "  # noqa: F401  # their tables have to be known"
_STANDARD = ("datetime", "decimal", "enum", "ipaddress", "typing", "uuid")


@dataclass
class Imports:
    """Collects them while a module is written."""

    hidden: Collection[str]
    """The names that the classes of the module use for something else."""

    own_kit: bool = False
    """Whether the kit is part of the project, and no library."""

    project: str = "."
    """The package of the models, where it is not spoken of as a dot."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    for_types: dict[str, set[str]] = field(default_factory=dict)
    """What only type checkers import: the other models, which would import this one."""

    modules: set[str] = field(default_factory=set)
    """What is imported as a whole, so that its tables are known."""

    def use(self, module: str, name: str) -> str:
        """What to call something of another module here."""
        if name in self.hidden:
            alias = f"{name}_type" if module in _STANDARD else f"sql_{name}"
            self.found.setdefault(module, {})[name] = alias
            return alias
        self.found.setdefault(module, {})[name] = name
        return name

    def use_for_types(self, module: str, name: str) -> str:
        """The same for what is needed by type checkers alone."""
        self.for_types.setdefault(module, set()).add(name)
        return name

    def written(self) -> list[str]:
        """The lines, in the groups that isort makes."""
        if self.for_types:
            self.use("typing", "TYPE_CHECKING")
        groups: list[list[str]] = [[], [], [], []]
        groups[2] += [f"import {module}" for module in sorted(self.modules, key=by_number)]
        if self.modules:  # all of them are one name for ruff, which is given by the last
            groups[2][-1] += _KNOWN
        for module, found in sorted(
            self.found.items(), key=lambda item: by_number(item[0].lower())
        ):
            groups[self._group(module)] += _from(module, found)
        written = [line for group in groups if group for line in [*group, ""]]
        return [*written, *self._checked()]

    def _group(self, module: str) -> int:
        if module.startswith("."):
            return 3
        if module.startswith("infrastructure."):
            return 2 if self.own_kit else 1
        if f"{module}.".startswith(self.project):
            return 2
        return 0 if module in _STANDARD else 1

    def _checked(self) -> list[str]:
        if not self.for_types:
            return []
        inner = [
            line
            for module, found in sorted(self.for_types.items(), key=lambda item: by_number(item[0]))
            for line in _from(module, dict.fromkeys(found, ""), indent=4)
        ]
        return ["if TYPE_CHECKING:", *inner, ""]


def _from(module: str, found: dict[str, str], indent: int = 0) -> list[str]:
    said = [
        f"{name} as {alias}" if alias and alias != name else name
        for name, alias in sorted(found.items(), key=lambda item: in_order(item[0]))
    ]
    aliased = [one for one in said if " as " in one]
    plain = [one for one in said if " as " not in one]
    margin = " " * indent
    written = []
    whole = f"{margin}from {module} import {', '.join(plain)}"
    if plain and len(whole) <= 88:
        written.append(whole)
    elif plain:
        written += lines(f"from {module} import ", Call("(", plain), indent=indent)
    return written + [f"{margin}from {module} import {one}" for one in aliased]
