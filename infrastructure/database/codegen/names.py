"""Names for classes and attributes: what a person would have called them, and valid Python."""

from __future__ import annotations

import builtins
import functools
import keyword
import re
import unicodedata
from collections.abc import Collection, Iterator
from itertools import count

import inflect
import sqlalchemy

from infrastructure.database.models.base import Model

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# They look like plurals, or are used as both.
_AS_THEY_ARE = {
    "agenda", "analytics", "atlas", "basics", "bias", "canvas", "chaos", "corps", "data",
    "demographics", "dns", "economics", "electronics", "equipment", "ethics", "feedback", "gas",
    "goods", "gps", "graphics", "history", "https", "information", "kudos", "lens", "logistics",
    "mathematics", "media", "metadata", "news", "os", "physics", "politics", "pos", "redis",
    "sales", "schema", "series", "sms", "species", "staff", "statistics", "stats", "tls", "ttl",
}  # fmt: skip
_IRREGULAR = {
    "alumni": "alumnus", "canvases": "canvas", "gases": "gas", "histories": "history",
    "menus": "menu", "analyses": "analysis", "axes": "axis", "bases": "base", "caches": "cache",
    "children": "child",
    "cookies": "cookie", "criteria": "criterion", "crises": "crisis", "databases": "database",
    "feet": "foot", "geese": "goose", "indices": "index", "leaves": "leave", "licenses": "license",
    "matrices": "matrix", "men": "man", "mice": "mouse", "movies": "movie", "moves": "move",
    "people": "person", "phases": "phase", "phenomena": "phenomenon", "purchases": "purchase",
    "releases": "release", "responses": "response", "teeth": "tooth", "theses": "thesis",
    "vertices": "vertex", "women": "woman",
}  # fmt: skip
_PLURALS = {"datum": "data", "leave": "leaves", "move": "moves", "person": "people"}
_SINGULAR_ENDINGS = ("ss", "us", "is")

_IN_ANNOTATIONS = {"bool", "bytes", "dict", "float", "int", "list", "str"}
_USED = {
    "Any", "CheckConstraint", "ClassVar", "Column", "Computed", "Decimal", "Entity", "FetchedValue",
    "Field", "ForeignKey", "ForeignKeyConstraint", "Identity", "Index", "Json", "Model",
    "NaiveDatetime", "NumberAsDecimal", "Optional", "PrimaryKeyConstraint", "Range", "Relationship",
    "SQLModel", "UUID", "UniqueConstraint", "Unmapped", "View",
}  # fmt: skip

_PROTECTED = ("model_dump", "model_validate")  # pydantic warns of fields that begin so

RESERVED_ATTRIBUTES = frozenset(dir(Model)) | _IN_ANNOTATIONS | {"registry", "metadata"}
RESERVED_CLASSES = (
    _USED
    | set(dir(builtins))
    | {name for name, item in vars(sqlalchemy).items() if isinstance(item, type(sqlalchemy.Text))}
)
"""What modules import, or might: types above all."""


def words(name: str) -> list[str]:
    """The words of a name in the database, in lower case."""
    plain = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name))
    parts = _CAMEL.sub("_", plain).lower().split("_")
    return [part for part in parts if part]


def snake(name: str, otherwise: str = "column") -> str:
    """A name for an attribute or a module: no keyword, and it begins with a letter."""
    made = "_".join(words(name)) or otherwise
    if not made.isidentifier():
        made = f"{otherwise}_{made}"
    if not made.isidentifier():  # letters that Python does not want in a name
        made = "_".join(re.findall(r"[a-z0-9]+", made)) or otherwise
    return f"{made}_" if keyword.iskeyword(made) or keyword.issoftkeyword(made) else made


def module(name: str) -> str:
    """A name for a module, in letters that every file system has."""
    plain = unicodedata.normalize("NFKD", name)
    return snake(re.sub(r"[^\x00-\x7f]+", "", plain), "table")


def camel(name: str, otherwise: str = "Table") -> str:
    """A name for a class, of the same words."""
    parts = words(name)
    made = "".join(part[0].upper() + part[1:] for part in parts) or otherwise
    if not made.isidentifier():
        made = otherwise + made
    if not made.isidentifier():
        made = otherwise + "".join(re.findall(r"[A-Za-z0-9]+", made))
    return f"{made}Model" if made in RESERVED_CLASSES or keyword.iskeyword(made) else made


def singular(name: str) -> str:
    """The words with the last one in the singular, joined by underscores."""
    parts = words(name)
    return "_".join([*parts[:-1], _singular(parts[-1])]) if parts else name


def plural(name: str) -> str:
    """The words with the last one in the plural."""
    parts = words(name)
    return "_".join([*parts[:-1], _plural(_singular(parts[-1]))]) if parts else name


@functools.cache
def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    kept = word in _AS_THEY_ARE or word.endswith(_SINGULAR_ENDINGS)
    if kept or len(word) < 4 or not word.endswith("s") or not _is_english(word):
        return word
    made = _engine().singular_noun(word)
    return made if isinstance(made, str) and _plural(made) == word else word


@functools.cache
def _plural(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    if word in _AS_THEY_ARE or not _is_english(word):
        return word
    return str(_engine().plural_noun(word))


def _is_english(word: str) -> bool:
    return word.isascii() and word.isalpha()


@functools.cache
def _engine() -> inflect.engine:
    return inflect.engine()


def free(name: str, *taken: Collection[str]) -> str:
    """The name, or the next one like it that nobody has."""
    return next(tried for tried in _tries(name) if not any(tried in names for names in taken))


def _tries(name: str) -> Iterator[str]:
    yield name
    if not name.endswith("_"):
        yield f"{name}_"
    yield from (f"{name.rstrip('_')}_{number}" for number in count(2))


def attribute(name: str, taken: Collection[str]) -> str:
    """A free name for the attribute of a column or a relationship."""
    made = snake(name)
    if made.startswith(_PROTECTED):
        made = f"column_{made}"
    return free(made, RESERVED_ATTRIBUTES, taken)
