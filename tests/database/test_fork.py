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
for number in range({children}):
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
assert codes == [0] * {children}, codes
with UnitOfWork(database) as uow:
    assert uow.people.count() == 20 * ({children} + 1)
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

INHERITED = """
import gc, os, sys, traceback
from sqlalchemy import text
from domain import Person
from domain.errors import DatabaseUnavailable, UnitOfWorkError
from infrastructure.database import Database, Model
from infrastructure.database.unit_of_work import UnitOfWork

database = Database({url!r}, busy_timeout=5)
database.create_all(Model.metadata)

def refused(use):
    try:
        use()
    except UnitOfWorkError as error:
        assert "before this process was forked" in str(error), error
        return True

def use_what_is_the_parents(uow, reading, raw, people):
    assert refused(lambda: people.count())
    assert refused(lambda: uow.people.create(Person(name="c", email="c@example.com")))
    assert refused(uow.commit) and refused(uow.rollback) and refused(reading.people.count)
    assert ada.name == "ada", "what was loaded stays readable"
    if {server}:  # not refused because of the parent's
        with UnitOfWork(database) as own:
            assert own.people.count() == 1
        UnitOfWork(database).run(lambda own: own.people.count())
        return
    try:
        UnitOfWork(database).run(lambda own: own.people.count())
    except DatabaseUnavailable as error:
        assert "forked while a unit was writing" in str(error), error

with UnitOfWork(database) as uow:
    ada = uow.people.create(Person(name="ada", email="ada@example.com"))
    uow.commit()

units = [UnitOfWork(database)]
uow = units[0].__enter__()
people = uow.people
people.create(Person(name="x", email="x@example.com"))
options = database.dialect.unit_options(read_only=True, isolation_level=None)
raw = database.reader.connect().execution_options(**options)
with UnitOfWork(database, read_only=True) as reading:
    reading.people.count()
    raw.execute(text("SELECT 1"))
    children = []
    for way in ("thrown away", "left", "left by an error", "ended", "kept"):
        child = os.fork()
        children.append(child)
        if child:
            continue
        try:
            use_what_is_the_parents(uow, reading, raw, people)
            if way == "thrown away":
                units.clear()
                del uow, people
                gc.collect()
            elif way == "left":
                uow.__exit__(None, None, None)
            elif way == "left by an error":
                uow.__exit__(ValueError, ValueError(), None)
            database.close()
        except Exception:
            traceback.print_exc()
            os._exit(1)
        os._exit(0) if way == "kept" else sys.exit(0)  # everything is collected, at the end
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * len(children), codes
    reading.people.count()
    assert raw.execute(text("SELECT 1")).scalar() == 1
    raw.close()
people.create(Person(name="y", email="y@example.com"))
uow.commit()
uow.__exit__(None, None, None)
with UnitOfWork(database) as uow:
    assert sorted(person.name for person in uow.people.get_all()) == ["ada", "x", "y"]
database.close()
print("fine")
"""

READING = """
import os
from domain import Team
from infrastructure.database import Database, Model
from infrastructure.database.unit_of_work import UnitOfWork

database = Database({url!r}, busy_timeout=5)
database.create_all(Model.metadata)
with UnitOfWork(database) as uow:
    uow.teams.create_many([Team(name=str(number)) for number in range(2000)])
    uow.commit()
with UnitOfWork(database, read_only=True) as uow:
    teams = uow.teams.stream(batch_size=10)
    next(teams)
    child = os.fork()
    if child == 0:
        with UnitOfWork(database) as own:
            own.teams.create(Team(name="of the child"))
            own.commit()
            assert own.teams.count() == 2001
        os._exit(0)
    assert sum(1 for _ in teams) == 1999
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
with UnitOfWork(database) as uow:
    assert uow.teams.count() == 2001
database.close()
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

    assert output(WORK.format(url=url, server=backend == "postgresql", children=8)) == "fine"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_unit_that_is_open_while_its_process_forks_goes_on(
    request: pytest.FixtureRequest, backend: str
) -> None:
    url: Any = request.getfixturevalue(f"{backend}_url")

    assert output(OPEN.format(url=url)) == "fine"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_child_cannot_harm_the_open_units_of_its_parent(
    request: pytest.FixtureRequest, backend: str
) -> None:
    url: Any = request.getfixturevalue(f"{backend}_url")

    assert output(INHERITED.format(url=url, server=backend == "postgresql")) == "fine"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_child_may_write_while_its_parent_reads(
    request: pytest.FixtureRequest, backend: str
) -> None:
    url: Any = request.getfixturevalue(f"{backend}_url")

    assert output(READING.format(url=url)) == "fine"


def test_a_child_has_a_copy_of_a_memory_database() -> None:
    assert output(MEMORY) == "fine"
