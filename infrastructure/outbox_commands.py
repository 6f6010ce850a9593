"""``python -m infrastructure outbox``: the outbox of a database, from a terminal."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, Self
from uuid import UUID

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from domain.errors import KitError
from domain.messages import OutboxStatus
from domain.ports import MessagePublisher
from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from infrastructure.external_services import ApiClient, WebhookPublisher
from infrastructure.messaging import OutboxRelay, RelayPolicy, RelayReport
from infrastructure.messaging.holding import OUTAGES


class Unusable(Exception):
    """What was given cannot be used."""


def add_to(commands: Any) -> None:
    """Add ``outbox`` to the subcommands of a parser."""
    outbox = commands.add_parser("outbox", help="messages that are to be published")
    inner = outbox.add_subparsers(metavar="command", required=True)
    _add_relay(inner)
    _add(inner, "status", _status, "how much there is").add_argument(
        "--json", action="store_true", help="for machines"
    )
    replay = _add(inner, "replay", _replay, "publish parked messages again")
    replay.add_argument("ids", nargs="*", type=UUID, metavar="ID", help="only these")
    replay.add_argument("--type", help="only messages of this type")
    replay.add_argument("--all", action="store_true", help="all that are parked")
    purge = _add(inner, "purge", _purge, "forget what was sent")
    purge.add_argument(
        "--older-than", type=_time, required=True, metavar="TIME", help="so long ago: 90, 12h, 30d"
    )
    purge.add_argument("--parked", action="store_true", help="what was parked, instead")


def _add(commands: Any, name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
    parser.add_argument("--url", help="the database; DATABASE_URL if not given")
    parser.set_defaults(run=lambda arguments: _answer(run, arguments))
    return parser


def _add_relay(commands: Any) -> None:
    relay = _add(commands, "relay", _relay, "publish what is stored, until it is stopped")
    to = relay.add_mutually_exclusive_group(required=True)
    to.add_argument(
        "--publisher", metavar="MODULE:NAME",
        help="what publishes: an object with publish(), or a function that makes one",
    )  # fmt: skip
    to.add_argument("--webhook", metavar="URL", help="post each message to this URL")
    relay.add_argument("--once", action="store_true", help="end when nothing is due")
    relay.add_argument(
        "--every", type=_time, default=10.0, metavar="TIME", help="between two lines of progress"
    )
    for field in dataclasses.fields(RelayPolicy):
        kind: Any = {"int": int, "float": _time}.get(str(field.type))
        if kind is not None:
            option = f"--{field.name.replace('_', '-')}"
            relay.add_argument(option, type=kind, default=field.default, help=f"{field.default:g}")
    relay.add_argument(
        "--skip-parked", action="store_true", help="parked messages do not hold up their keys"
    )


def _answer(run: Callable[..., int], arguments: argparse.Namespace) -> int:
    """Run a command; 2 for what cannot be done."""
    try:
        with _database(arguments.url) as database, _saying_that_it_has_no_table(database):
            return run(database, arguments)
    except (Unusable, KitError) as error:
        _say(f"error: {error}", sys.stderr)
        return 2


@contextmanager
def _database(given: str | None) -> Iterator[Database]:
    url = given or os.environ.get("DATABASE_URL")
    if not url:
        raise Unusable("no database: give --url, or set DATABASE_URL")
    with Database(url) as database:
        yield database


@contextmanager
def _saying_that_it_has_no_table(database: Database) -> Iterator[None]:
    try:
        yield
    except DBAPIError:
        if inspect(database.engine).has_table(OutboxMessage.__tablename__):
            raise
        message = f"there is no table {OutboxMessage.__tablename__}; migrate the database"
        raise Unusable(message) from None


# -- relay -----------------------------------------------------------------------------------


def _relay(database: Database, arguments: argparse.Namespace) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    outbox, progress = SqlOutbox(database), _Progress(arguments.every)
    relay = OutboxRelay(
        outbox, _publisher(arguments), policy=_policy(arguments), observe=progress.note
    )
    with _Stop() as stop:
        progress.tell(outbox.status())
        stop.meanwhile = lambda: progress.tell_in_time(outbox)
        if arguments.once:
            _run_until_nothing_is_due(relay, stop)
        else:
            relay.run(stop)
    progress.tell(outbox.status())
    return 0


def _run_until_nothing_is_due(relay: OutboxRelay, stop: _Stop) -> None:
    while not stop.is_set():
        report = relay.run_once(stop)
        if report.unavailable:
            raise Unusable("the publisher is not available; what is due stays in the outbox")
        if not report.claimed:
            return


class _Stop:
    """Set by SIGTERM and SIGINT; a second one ends the process as usual.

    No ``threading.Event``: its lock may be held by the very thread that a signal interrupts.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._before: dict[int, Any] = {}
        self.meanwhile: Callable[[], object] = lambda: None

    def is_set(self) -> bool:
        """Whether to stop. It is asked often, which is the time for progress."""
        self.meanwhile()
        return self._is_set

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._set)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _set(self, number: int, _: object) -> None:
        self._is_set = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()


class _Progress:
    """What a relay has done so far, and how much is left."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._counts = dict.fromkeys(("sent", "retried", "parked", "lost"), 0)
        self._told_at = time.monotonic()
        self._is_told = True

    def note(self, report: RelayReport) -> None:
        for name in self._counts:
            self._counts[name] += getattr(report, name)
        self._is_told = False

    def tell_in_time(self, outbox: SqlOutbox) -> None:
        """A line, if something has happened and the last one was long ago."""
        if self._is_told or time.monotonic() - self._told_at < self._every:
            return
        self._told_at = time.monotonic()
        with suppress(*OUTAGES):  # the relay says so itself
            self.tell(outbox.status())

    def tell(self, status: OutboxStatus) -> None:
        self._is_told, self._told_at = True, time.monotonic()
        done = ", ".join(f"{name} {count}" for name, count in self._counts.items())
        _say(f"{time.strftime('%H:%M:%S')} {done}; {_left(status)}")


def _publisher(arguments: argparse.Namespace) -> MessagePublisher:
    if arguments.webhook is None:
        return _named(arguments.publisher)
    return WebhookPublisher(ApiClient(arguments.webhook))


def _named(name: str) -> MessagePublisher:
    """What was named, or what it makes."""
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise Unusable(f"--publisher {name}: must be written package.module:name")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # one that the module needs: its traceback says where
        raise Unusable(f"--publisher {name}: there is no module {error.name}") from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise Unusable(f"--publisher {name}: there is no {part} in {module}")
        found = getattr(found, part)
    return _made(name, found)


def _made(name: str, found: Any) -> MessagePublisher:
    if isinstance(found, type) or not hasattr(found, "publish"):
        found = found() if callable(found) else found
    if not callable(getattr(found, "publish", None)):
        kind = type(found).__name__
        raise Unusable(f"--publisher {name}: a {kind} has no publish(messages)")
    publisher: MessagePublisher = found
    return publisher


def _policy(arguments: argparse.Namespace) -> RelayPolicy:
    given = vars(arguments)
    names = [field.name for field in dataclasses.fields(RelayPolicy) if field.name in given]
    head: Literal["skip", "block"] = "skip" if arguments.skip_parked else "block"
    return RelayPolicy(**{name: given[name] for name in names}, parked_head=head)


# -- status, replay, purge -------------------------------------------------------------------


def _status(database: Database, arguments: argparse.Namespace) -> int:
    status = SqlOutbox(database).status()
    plain = f"{_left(status)}, claimed {status.claimed}, sent {status.sent}"
    _say(json.dumps(dataclasses.asdict(status)) if arguments.json else plain)
    return 0


def _left(status: OutboxStatus) -> str:
    oldest = status.oldest_pending
    age = "" if oldest is None else f" (the oldest for {oldest:.1f} s)"
    return f"pending {status.pending}{age}, parked {status.parked}"


def _replay(database: Database, arguments: argparse.Namespace) -> int:
    if not (arguments.ids or arguments.type or arguments.all):
        raise Unusable("which ones? give ids, --type, or --all")
    count = SqlOutbox(database).replay(ids=arguments.ids or None, type=arguments.type)
    _say(f"{count} to be published again")
    return 0


def _purge(database: Database, arguments: argparse.Namespace) -> int:
    count = SqlOutbox(database).purge(older_than=arguments.older_than, parked=arguments.parked)
    _say(f"{count} purged")
    return 0


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _time(text: str) -> float:
    """Seconds, or 90s, 15m, 12h, 30d."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 90, 90s, 15m, 12h or 30d")
    return seconds


def _say(text: str, file: Any = None) -> None:
    print(text, file=file, flush=True)
