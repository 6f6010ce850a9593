"""A secret in the form of every type, a server that asks for it, and all that errors say."""

from __future__ import annotations

import logging
import pickle
import random
import secrets
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from domain.errors import KitError, UnitOfWorkError
from infrastructure.database import BaseUnitOfWork
from tests.transactions.servers import Cluster


class Canary:
    """One secret in the form of each type.

    Made at run time: a traceback prints lines of source, and none of them has it.
    """

    def __init__(self) -> None:
        self.head, self.tail = secrets.token_hex(6), secrets.token_hex(6)
        self.text = f"{self.head}@/%é {self.tail}"
        self.encoded = quote(self.text, safe="")
        self.whole = random.randrange(10**9, 2 * 10**9)
        self.big = random.randrange(10**17, 10**18)
        self.amount = Decimal(random.randrange(10**8, 10**9) * 10 + 1) / 100  # never whole
        self.ratio = random.randrange(10**8, 10**9) + 0.25
        self.day = date(random.randrange(2300, 2900), 11, random.randrange(10, 29))
        self.moment = datetime(self.day.year + 1, 10, self.day.day, 23, 59, 58, tzinfo=UTC)
        self.uuid = uuid4()
        self.bytes = self.head.encode()
        self.json: dict[str, Any] = {self.head: [self.tail, self.whole]}
        self.forms = self._forms()

    def _forms(self) -> Mapping[str, str]:
        """What to look for; nothing of it stands in a text by chance."""
        days = {"day": self.day, "moment": self.moment.date()}
        return {
            "text": self.head,
            "end of text": self.tail,
            "whole": str(self.whole),
            "big": str(self.big),
            "amount": str(self.amount),
            "ratio": str(self.ratio),
            "bytes": self.bytes.hex(),
            "uuid": str(self.uuid),
            "digits of uuid": self.uuid.hex,
            **{name: day.isoformat() for name, day in days.items()},
            **{f"repr of {name}": f"({day:%Y, %-m, %-d}" for name, day in days.items()},
        }

    def found_in(self, said: str) -> set[str]:
        """The forms of it that stand in a text."""
        said = said.lower()
        return {name for name, form in self.forms.items() if form in said}


CANARY = Canary()


def spelt(url: str) -> list[str]:
    """The URL with the secret in the usual place, as a parameter, in both, and twice."""
    usual = make_url(url).set(password=CANARY.text).render_as_string(hide_password=False)
    asked = f"?password={CANARY.encoded}"
    return [usual, url + asked, usual + asked, f"{url}{asked}&password={CANARY.encoded}"]


class Guarded(Cluster):
    """A server that asks for the secret."""

    def __init__(self) -> None:
        super().__init__()
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text(f"ALTER ROLE postgres PASSWORD '{CANARY.text}'"))
        engine.dispose()
        (self.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        self._control("reload")


# -- what is said of an error ---------------------------------------------------------------------


def told_by(error: BaseException) -> dict[str, str]:
    """All that can be read of an error by those who do not ask for its ``driver_error``."""
    told = _said_of(error)
    with suppress(TypeError):  # what is none of the kit's may be impossible to pickle
        copy = pickle.loads(pickle.dumps(error))
        told |= {f"{what}, pickled": text for what, text in _said_of(copy).items()}
    return told


def _said_of(error: BaseException) -> dict[str, str]:
    told = {"traceback": "".join(traceback.format_exception(error))}
    for each in _chain(error):
        told |= {f"{what} of {type(each).__name__}": text for what, text in _parts(each)}
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that its traceback prints besides."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _parts(error: BaseException) -> Iterator[tuple[str, str]]:
    yield "str", str(error)
    yield "repr", repr(error)
    yield "args", repr(error.args)
    yield "notes", repr(getattr(error, "__notes__", ()))
    if isinstance(error, KitError):
        held = {name: value for name, value in vars(error).items() if name != "driver_error"}
        yield "attributes", repr(held)


def leaks_of(error: BaseException) -> list[str]:
    """Where an error tells the secret, and in which forms."""
    return [
        f"{what}: {', '.join(sorted(found))}"
        for what, text in told_by(error).items()
        if (found := CANARY.found_in(text))
    ]


def lines_of(records: Iterable[logging.LogRecord]) -> list[str]:
    """Log records as a handler writes them, their tracebacks included.

    Where somebody sets SQLAlchemy's own logger to DEBUG, he asks for the rows that are read.
    """
    formatter = logging.Formatter("%(levelname)s %(name)s %(message)s")
    return [formatter.format(record) for record in records if record.msg != "Row %r"]


def kept_silent(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """The body of a fixture: whatever a test does, no logger and no output has the secret."""
    engines = logging.getLogger("sqlalchemy.engine.Engine")
    handlers = list(engines.handlers)
    for logger in ("", "sqlalchemy", "sqlalchemy.engine", "psycopg", "alembic"):
        caplog.set_level(logging.DEBUG, logger=logger)
    yield
    engines.handlers[:] = handlers  # echo=True adds one
    told = [line for line in lines_of(caplog.get_records("call")) if CANARY.found_in(line)]
    assert not told, told
    printed = "".join(capfd.readouterr())
    assert not CANARY.found_in(printed), printed


# -- how errors are provoked ----------------------------------------------------------------------

Action = Callable[[Any], object]
Cases = dict[str, tuple[type[Exception], Action]]


def error_of(action: Callable[[], object]) -> Exception | None:
    """What an action raises, as its caller gets it."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 -- whatever it is, it must keep the secret
        return error
    return None


def raised_in(unit: BaseUnitOfWork, action: Action) -> Exception:
    """What an action raises in a unit, caught outside of its block."""

    def whole() -> None:
        with unit as uow:
            action(uow)

    error = error_of(whole)
    assert error is not None, "nothing was raised"
    return error


def leaks_in(unit: BaseUnitOfWork, kind: type[Exception], action: Action) -> list[str]:
    """The leaks of an error caught in the block, of a use after it, and caught outside."""
    found: list[str] = []
    try:
        with unit as uow:
            inside = error_of(lambda: action(uow))
            assert isinstance(inside, kind), repr(inside)
            found += [f"inside, {leak}" for leak in leaks_of(inside)]
            if (again := error_of(lambda: uow.session)) is not None:
                found += [f"used again, {leak}" for leak in leaks_of(again)]
            uow.rollback()
    except UnitOfWorkError as left:  # a change that came too late is noticed here, too
        found += [f"at the end, {leak}" for leak in leaks_of(left)]
    return found + [f"outside, {leak}" for leak in leaks_of(raised_in(unit, action))]


def leaks_in_all(unit: BaseUnitOfWork, cases: Cases) -> dict[str, list[str]]:
    """The leaks of each case that has some."""
    leaks = {name: leaks_in(unit, *case) for name, case in cases.items()}
    return {name: found for name, found in leaks.items() if found}
