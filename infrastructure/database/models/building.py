"""Makes entities of rows, many at a time, by code that is made for their class.

As ``dataclasses`` does it for constructors: what is known of a class is written into the
code, so that it is not asked for again with each object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from inspect import getattr_static
from typing import Any

Converts = tuple[tuple[int, Callable[[Any], Any]], ...]
"""At which places values have to be converted, and how."""

Build = Callable[[Iterable[Sequence[Any]]], list[Any]]
"""Makes an object of each row."""


@cache
def builder(kind: Any, names: tuple[str, ...], converts: Converts = ()) -> Build:
    """Makes objects without their constructor; ``names`` are what the values of a row are."""
    values = [f"v{at}" for at in range(len(names))]
    plain = all(_is_plain(kind, name) for name in names)
    give = "    one.{name} = {value}" if plain else "    one.__dict__[{name!r}] = {value}"
    build: Build = compiled(
        "build(rows)",
        f"for {', '.join(values)}, in rows:",
        *converting(converts),
        "    one = new(kind)",
        *(give.format(name=name, value=v) for name, v in zip(names, values, strict=True)),
        "    add(one)",
        kind=kind,
        **converters(converts),
    )
    return build


@cache
def maker(kind: Any, names: tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
    """The same for one object."""
    build = builder(kind, names)
    values = ", ".join(f"v{at}" for at in range(len(names)))
    plain = all(_is_plain(kind, name) for name in names)
    if not plain:
        return lambda row: build((row,))[0]
    gives = "".join(f"\n    one.{name} = v{at}" for at, name in enumerate(names))
    source = f"def make(row):\n    {values}, = row\n    one = new(kind){gives}\n    return one\n"
    make: Callable[[Sequence[Any]], Any] = _defined(source, "make", kind=kind)
    return make


def converting(converts: Converts) -> list[str]:
    """The lines that convert the values of a row."""
    return [f"    v{at} = convert{at}(v{at})" for at, _ in converts]


def converters(converts: Converts) -> dict[str, Any]:
    """What those lines know."""
    return {f"convert{at}": convert for at, convert in converts}


def compiled(signature: str, *lines: str, **known: Any) -> Any:
    """A function that gives a list; its lines ``add`` to it, and know ``new`` and what is given."""
    body = "".join(f"\n    {line}" for line in lines)
    source = f"def {signature}:\n    made = []\n    add = made.append{body}\n    return made\n"
    return _defined(source, signature.partition("(")[0], **known)


def _defined(source: str, name: str, **known: Any) -> Any:
    space = {"new": object.__new__, **known}
    exec(source, space)  # noqa: S102 -- of names of fields, which are identifiers
    return space[name]


def _is_plain(kind: Any, name: str) -> bool:
    """Whether an assignment does no more than to put the value into ``__dict__``."""
    held = getattr_static(kind, name, None)
    return (
        kind.__setattr__ is object.__setattr__
        and name.isidentifier()
        and not hasattr(type(held), "__set__")
    )
