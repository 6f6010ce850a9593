"""``python -m infrastructure outbox``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infrastructure.__main__ import main
from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from infrastructure.database.outbox import SqlOutbox
from tests.conftest import ROOT, MakeDatabase
from tests.external_services.server import Server
from tests.messaging.receivers import messages
from tests.messaging.shop import move_back, store

HANDLERS = """
import time

from domain.errors import PublisherUnavailable
from domain.messages import Accepted, Refused

class Slow:
    def publish(self, messages):
        for message in messages:
            print("begins", message.payload, flush=True)
            time.sleep(0.3)
            print("ends", message.payload, flush=True)
        return [Accepted()] * len(messages)

class Quick:
    def publish(self, messages):
        return [Accepted()] * len(messages)

class Down:
    def publish(self, messages):
        raise PublisherUnavailable("closed")

class Picky:
    def publish(self, messages):
        return [Refused("never") for _ in messages]

class box:
    quick = Quick()

def make():
    return Quick()

def nothing():
    return None

number = 7
"""


@pytest.fixture
def tables() -> list[Any]:
    return [OutboxMessage]


@pytest.fixture
def database(sqlite_url: str, make_database: MakeDatabase) -> Database:
    return make_database(sqlite_url)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of publishers, where the command is called."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "handlers", raising=False)
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], folder: Path, sqlite_url: str) -> Run:
    """Give a command of the outbox; its status and what it says."""

    def call(*arguments: str, url: str | None = sqlite_url) -> tuple[int, str, str]:
        place = ["--url", url] if url else []
        try:
            status = main(["outbox", arguments[0], *place, *arguments[1:]])
        except SystemExit as error:  # of argparse
            status = int(str(error.code))
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


# -- status, replay, purge -------------------------------------------------------------------


def park(database: Database, count: int) -> list[str]:
    outbox = SqlOutbox(database)
    store(database, messages(*[None] * count))
    claim = outbox.claim(count, lease=60)
    outbox.settle(claim, parked={one.id: "no" for one in claim.messages})
    return [str(one.id) for one in claim.messages]


def test_the_status_is_a_line_for_people(run: Run, database: Database) -> None:
    assert run("status") == (0, "pending 0, parked 0, claimed 0, sent 0\n", "")
    store(database, messages("a", "b"))
    status, said, _ = run("status")
    assert status == 0
    assert re.fullmatch(
        r"pending 2 \(the oldest for \d+\.\d s\), parked 0, claimed 0, sent 0\n", said
    )


def test_the_status_is_json_for_machines(run: Run, database: Database) -> None:
    park(database, 3)
    status, said, _ = run("status", "--json")
    assert (status, json.loads(said)) == (
        0,
        {"pending": 0, "claimed": 0, "parked": 3, "sent": 0, "oldest_pending": None},
    )


def test_the_database_may_come_from_the_environment(
    run: Run, database: Database, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    assert run("status", url=None)[0] == 0
    monkeypatch.delenv("DATABASE_URL")
    assert run("status", url=None) == (
        2, "", "error: no database: give --url, or set DATABASE_URL\n",
    )  # fmt: skip


def test_parked_messages_are_replayed_by_id_by_type_or_all(run: Run, database: Database) -> None:
    ids = park(database, 4)
    assert run("replay", ids[0], ids[1])[:2] == (0, "2 to be published again\n")
    assert run("replay", "--type", "happened", ids[2])[:2] == (0, "1 to be published again\n")
    assert run("replay", "--type", "unknown")[:2] == (0, "0 to be published again\n")
    assert run("replay", "--all")[:2] == (0, "1 to be published again\n")


def test_to_replay_all_has_to_be_said(run: Run, database: Database) -> None:
    status, _, error = run("replay")
    assert (status, error) == (2, "error: which ones? give ids, --type, or --all\n")


def test_what_is_old_is_purged(run: Run, database: Database) -> None:
    store(database, messages("a", "b"))
    outbox = SqlOutbox(database)
    claim = outbox.claim(10, lease=60)
    outbox.settle(claim, sent=[one.id for one in claim.messages])
    park(database, 1)
    move_back(database, 3 * 86400)
    assert run("purge", "--older-than", "4d")[:2] == (0, "0 purged\n")
    assert run("purge", "--older-than", "71h")[:2] == (0, "2 purged\n")
    assert run("purge", "--older-than", "1d", "--parked")[:2] == (0, "1 purged\n")


# -- relay -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Quick", "make", "box.quick"])
def test_a_relay_publishes_what_is_due_and_says_what_it_did(
    run: Run, database: Database, name: str
) -> None:
    store(database, messages("a", "a", None))
    status, said, error = run("relay", "--once", "--publisher", f"handlers:{name}")
    first, last = said.splitlines()
    assert (status, error) == (0, "")
    assert re.search(r"sent 0, .+; pending 3 \(the oldest", first)
    assert last.endswith("sent 3, retried 0, parked 0, lost 0; pending 0, parked 0")


def test_its_policy_can_be_given(run: Run, database: Database) -> None:
    store(database, messages("a", "a", "b"))
    options = ["--batch", "1", "--lease", "5m", "--attempts", "1", "--skip-parked"]
    status, said, _ = run("relay", "--once", "--publisher", "handlers:Picky", *options)
    assert status == 0
    assert said.splitlines()[-1].endswith("parked 3, lost 0; pending 0, parked 3")


def test_one_that_cannot_publish_now_says_so(run: Run, database: Database) -> None:
    store(database, messages("a"))
    status, _, error = run("relay", "--once", "--publisher", "handlers:Down")
    assert status == 2
    assert error.endswith(
        "error: the publisher is not available; what is due stays in the outbox\n"
    )
    assert SqlOutbox(database).status().claimed == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_message_under_way_and_the_rest_is_given_back(
    shared_database: Database, folder: Path, shared_url: str, number: signal.Signals
) -> None:
    store(shared_database, messages("a", "a", "b", None))
    relay = start(folder, shared_url, "handlers:Slow")
    assert relay.stdout is not None
    while "begins" not in relay.stdout.readline():
        pass
    relay.send_signal(number)
    said, error = relay.communicate(timeout=20)
    assert (relay.returncode, error) == (0, "")
    assert "begins" not in said, "it took another one"
    assert said.startswith("ends 0\n")
    assert said.splitlines()[-1].split("; ")[1].startswith("pending 3")
    status = SqlOutbox(shared_database).status()
    assert (status.sent, status.pending, status.claimed) == (1, 3, 0)


def test_progress_is_told_now_and_then(database: Database, folder: Path, sqlite_url: str) -> None:
    relay = start(folder, sqlite_url, "handlers:Quick", "--every", "0.1s", "--poll", "0.05")
    assert relay.stdout is not None
    lines = [relay.stdout.readline()]
    for _ in range(2):
        store(database, messages("a", "b"))
        lines.append(relay.stdout.readline())
        time.sleep(0.1)
    relay.terminate()
    relay.communicate(timeout=20)
    assert [re.findall(r" sent (\d+)", line)[0] for line in lines] == ["0", "2", "4"]


def start(folder: Path, url: str, publisher: str, *options: str) -> subprocess.Popen[str]:
    command = ["outbox", "relay", "--url", url, "--publisher", publisher, *options]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "infrastructure", *command],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_relay_posts_to_a_url(run: Run, database: Database) -> None:
    store(database, messages("a", None))
    with Server() as server:
        status, _, _ = run("relay", "--once", "--webhook", f"{server.url}/hooks/jars")
    assert status == 0
    assert [(each.method, each.target) for each in server.requests] == [("POST", "/hooks/jars")] * 2
    assert SqlOutbox(database).status().sent == 2


@pytest.mark.parametrize("url", ["hooks/jars", "ftp://127.0.0.1/jars", "http://user:pw@host/"])
def test_a_url_that_cannot_be_posted_to_is_refused(run: Run, database: Database, url: str) -> None:
    status, _, error = run("relay", "--once", "--webhook", url)
    assert status == 2
    assert error.startswith("error: ApiClient is not valid: base_url: ")


# -- what cannot be done ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("publisher", "error"),
    [
        ("handlers", "must be written package.module:name"),
        (":make", "must be written package.module:name"),
        ("nowhere:make", "there is no module nowhere"),
        ("nowhere.at.all:make", "there is no module nowhere"),
        ("handlers:missing", "there is no missing in handlers"),
        ("handlers:box.missing", "there is no missing in handlers"),
        ("handlers:number", "a int has no publish(messages)"),
        ("handlers:nothing", "a NoneType has no publish(messages)"),
    ],
)
def test_a_publisher_that_is_none_is_refused(
    run: Run, database: Database, publisher: str, error: str
) -> None:
    status, _, said = run("relay", "--once", "--publisher", publisher)
    assert (status, said) == (2, f"error: --publisher {publisher}: {error}\n")


def test_a_module_that_lacks_another_one_shows_where(
    run: Run, database: Database, folder: Path
) -> None:
    (folder / "broken.py").write_text("import not_installed_at_all")
    with pytest.raises(ModuleNotFoundError, match="not_installed_at_all"):
        run("relay", "--once", "--publisher", "broken:make")


@pytest.mark.parametrize(
    "arguments",
    [
        ("purge",),
        ("purge", "--older-than", "soon"),
        ("purge", "--older-than", "-1d"),
        ("purge", "--older-than", "inf"),
        ("purge", "--older-than", ""),
        ("replay", "no-id"),
        ("relay",),
        ("relay", "--publisher", "handlers:make", "--batch", "many"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    run: Run, database: Database, arguments: tuple[str, ...]
) -> None:
    status, _, error = run(*arguments)
    assert status == 2
    assert "error: " in error


def test_a_policy_that_cannot_be_is_refused(run: Run, database: Database) -> None:
    status, _, error = run("relay", "--publisher", "handlers:make", "--batch", "0")
    assert (status, error) == (
        2, "error: RelayPolicy is not valid: batch: must be a whole number from 1\n",
    )  # fmt: skip


def test_a_database_without_the_table_says_what_to_do(run: Run, tmp_path: Path) -> None:
    for command in (["status"], ["relay", "--publisher", "handlers:make"]):
        status, _, error = run(*command, url=f"sqlite:///{tmp_path}/empty.db")
        assert status == 2
        assert error.endswith("no table outbox_messages; migrate the database\n")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/a.db"])
def test_a_database_that_cannot_be_reached_is_an_error(run: Run, url: str) -> None:
    status, _, error = run("status", url=url)
    assert status == 2
    assert error.startswith("error: ")
