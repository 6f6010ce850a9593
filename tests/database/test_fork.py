"""A forked child must not talk on its parent's connections."""

import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

BACKENDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]

BARE = """
import os
from sqlalchemy import create_engine, text

engine = create_engine({url!r})
with engine.connect() as connection:
    mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
if os.fork() == 0:
    with engine.connect() as connection:
        shared = connection.execute(text("SELECT pg_backend_pid()")).scalar_one() == mine
    os._exit(42 if shared else 0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""

WORK = """
import os, traceback
from domain import Person
from infrastructure.database import Database, Model
from infrastructure.database.unit_of_work import UnitOfWork

database = Database({url!r}, pool_size=3)
database.create_all(Model.metadata)

def server_side(uow):
    raw = uow.session.connection().connection.driver_connection
    return raw.info.backend_pid if {server} else None

parents = set()
for read_only in (False, True):
    with UnitOfWork(database, read_only=read_only) as uow:
        uow.people.count()
        parents.add(server_side(uow))

def work(number):
    assert database.engine.pool.checkedin() == database.reader.pool.checkedin() == 0
    for step in range(20):
        email = f"{{number}}.{{step}}@example.com"
        with UnitOfWork(database) as uow:
            uow.people.create(Person(name="x", email=email))
            own = {{server_side(uow)}}
            uow.commit()
        with UnitOfWork(database, read_only=True) as uow:
            assert uow.people.find_by_email(email).email == email
            own.add(server_side(uow))
        assert not {server} or not own & parents, "a connection of the parent was used"

children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        try:
            work(number)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
for step in range(20):
    with UnitOfWork(database) as uow:
        uow.people.create(Person(name="x", email=f"parent.{{step}}@example.com"))
        uow.commit()
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0, 0, 0], codes
with UnitOfWork(database) as uow:
    assert uow.people.count() == 80
    assert server_side(uow) in parents, "the parent keeps its own"
database.close()
print("fine")
"""

OPEN = """
import os
from domain import Person
from infrastructure.database import Database, Model
from infrastructure.database.unit_of_work import UnitOfWork

database = Database({url!r})
database.create_all(Model.metadata)
with UnitOfWork(database) as uow:
    uow.people.create(Person(name="x", email="x@example.com"))
    child = os.fork()
    if child == 0:
        os._exit(0)  # the unit was the parent's
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    uow.people.create(Person(name="y", email="y@example.com"))
    uow.commit()
with UnitOfWork(database) as uow:
    assert uow.people.count() == 2
print("fine")
"""

MEMORY = """
import os
from domain import Team
from infrastructure.database import Database, Model
from infrastructure.database.unit_of_work import UnitOfWork

database = Database("sqlite://")
database.create_all(Model.metadata)
with UnitOfWork(database) as uow:
    uow.teams.create(Team(name="a"))
    uow.commit()
if os.fork() == 0:
    with UnitOfWork(database) as uow:
        uow.teams.create(Team(name="b"))
        uow.commit()
        os._exit(0 if uow.teams.count() == 2 else 1)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
with UnitOfWork(database) as uow:
    assert uow.teams.count() == 1
print("fine")
"""


def output(program: str) -> str:
    """What a program prints; it fails loudly."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.postgresql
def test_a_child_of_a_bare_engine_talks_on_its_parents_connection(postgresql_url: str) -> None:
    assert output(BARE.format(url=postgresql_url)) == "42"


@pytest.mark.parametrize("backend", BACKENDS)
def test_children_and_their_parent_work_at_the_same_time(
    request: pytest.FixtureRequest, backend: str
) -> None:
    url: Any = request.getfixturevalue(f"{backend}_url")

    assert output(WORK.format(url=url, server=backend == "postgresql")) == "fine"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_unit_that_is_open_while_its_process_forks_goes_on(
    request: pytest.FixtureRequest, backend: str
) -> None:
    url: Any = request.getfixturevalue(f"{backend}_url")

    assert output(OPEN.format(url=url)) == "fine"


def test_a_child_has_a_copy_of_a_memory_database() -> None:
    assert output(MEMORY) == "fine"
