"""Which line of an application made the kit do what it is doing just now."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any


def place_in_application() -> str:
    """The innermost line that belongs neither to the kit nor to a library."""
    for frame in stack():
        if _is_applications(frame):
            code = frame.f_code
            return f"{_shown(code.co_filename)}:{frame.f_lineno} in {_function(code.co_qualname)}"
    return "no line of the application"


def stack() -> Iterator[FrameType]:
    """What is being called just now, from the inside to the outside."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


_KIT = re.compile(
    r"infrastructure(\.(database|testing|cache|messaging)\b|$)"
    r"|domain(\.(entity|errors|logic|pagination|ports|specification))?$"
)
_AMIDST_THE_KIT = re.compile(  # and yet the application's
    r"infrastructure\.(database\.(repositories|unit_of_work)|testing\.contracts)\b"
)
_OURS = (__name__, "infrastructure.testing.queries")
_MODELS = "infrastructure.database.models."
_DIALECTS = "infrastructure.database.dialects."


def _is_applications(frame: FrameType) -> bool:
    module = _module(frame)
    if _is_library(frame.f_code.co_filename):
        return False
    if not _KIT.match(module) or _AMIDST_THE_KIT.match(module):
        return True
    return module.startswith(_MODELS) and _defines_table(frame.f_globals)


def _defines_table(names: dict[str, Any]) -> bool:
    """Whether a module of models is one of the application's: the kit has no tables."""
    module = names.get("__name__")
    return any(
        hasattr(kind, "__table__") and kind.__module__ == module
        for kind in names.values()
        if isinstance(kind, type)
    )


def is_sent_by_dialect() -> bool:
    """Whether it is sent because of the kind of the database, and not because of the unit."""
    for frame in stack():
        if not _is_library(frame.f_code.co_filename) and _module(frame) not in _OURS:
            return _module(frame).startswith(_DIALECTS)
    return False


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


_LIBRARIES = tuple(
    os.path.join(sysconfig.get_path(name), "")  # noqa: PTH118 -- a text to begin with
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_INSTALLED = frozenset({"site-packages", "dist-packages"})


@cache
def _is_library(file: str) -> bool:
    """Whether a file came with Python or with a package; code without a file is nobody's."""
    return file.startswith(("<", *_LIBRARIES)) or not _INSTALLED.isdisjoint(Path(file).parts)


def _shown(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def _function(name: str) -> str:
    """A function or method, where the code may be of a comprehension or a lambda in it."""
    named = [part for part in name.split(".<locals>.") if not part.startswith("<")]
    return named[-1] if named else name
