"""The version of a root counts the changes of all it owns, once for each commit."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import ConcurrencyConflict
from infrastructure.database import Database
from tests.database.order_tables import (
    CRATES,
    Bag,
    Clock,
    Crate,
    Piece,
    Units,
)
from tests.support import statements

pytestmark = pytest.mark.thorough(6)

Family = Bag | Crate
Change = Callable[[Any], Any]


@pytest.fixture
def tables() -> list[Any]:
    return CRATES


@pytest.fixture
def clock(database: Database) -> Clock:
    database.clock = clock = Clock()
    return clock


def swap(family: Family) -> None:
    family.pieces[0], family.pieces[1] = family.pieces[1], family.pieces[0]


def rewrite(family: Family) -> None:
    """Everything at once."""
    family.pieces.pop(0)
    family.pieces[0].name = "new"
    family.pieces.append(Piece(name="d"))
    family.pieces.reverse()


CHANGES: dict[str, Change] = {
    "changed": lambda family: setattr(family.pieces[1], "name", "new"),
    "added": lambda family: family.pieces.append(Piece(name="d")),
    "added in front": lambda family: family.pieces.insert(0, Piece(name="d")),
    "removed": lambda family: family.pieces.pop(),
    "all removed": lambda family: family.pieces.clear(),
    "reordered": swap,
    "moved": lambda family: family.pieces.append(family.pieces.pop(0)),
    "replaced": lambda family: family.pieces.__setitem__(0, Piece(name="d")),
    "all": rewrite,
}


@pytest.fixture(params=CHANGES.values(), ids=CHANGES.keys())
def change(request: pytest.FixtureRequest) -> Any:
    return request.param


ROOTS: dict[str, Callable[[], Family]] = {
    "versioned": lambda: Crate(pieces=[Piece(name=name) for name in "abc"]),
    "bags": lambda: Bag(pieces=[Piece(name=name) for name in "abc"]),
}


@pytest.fixture(params=ROOTS)
def name(request: pytest.FixtureRequest) -> str:
    """Where roots with a version are: with columns of their own, and without."""
    return str(request.param)


def create(database: Database, name: str) -> Any:
    with Units(database) as uow:
        root = getattr(uow, name).create(ROOTS[name]())
        uow.commit()
    return root.id


def load(database: Database, name: str, id: Any) -> Any:
    with Units(database) as uow:
        return getattr(uow, name).require(id)


def names(family: Family) -> list[str]:
    return [piece.name for piece in family.pieces]


# -- versioned ------------------------------------------------------------------------------------


def test_a_change_of_a_child_advances_the_version(
    database: Database, name: str, change: Change
) -> None:
    id = create(database, name)
    with Units(database) as uow:
        root = getattr(uow, name).require(id)
        change(root)
        wanted = names(root)
        uow.commit()
        assert root.version == 2

    again = load(database, name, id)
    assert (again.version, names(again)) == (2, wanted)


def test_many_changes_of_one_commit_are_one_version(database: Database, name: str) -> None:
    id = create(database, name)
    with Units(database) as uow:
        root = getattr(uow, name).require(id)
        for change in CHANGES.values():
            if len(root.pieces) < 2:
                root.pieces += [Piece(name="y"), Piece(name="z")]
            change(root)
        uow.commit()
        assert root.version == 2

    assert load(database, name, id).version == 2


def test_what_does_not_change_does_not_advance_the_version(database: Database, name: str) -> None:
    id = create(database, name)
    with Units(database) as uow:
        root = getattr(uow, name).require(id)
        for piece in root.pieces:
            piece.name = str(piece.name)
        root.pieces = list(root.pieces)
        swap(root)
        swap(root)
        root.pieces.append(root.pieces.pop())
        with statements(database) as sent:
            uow.commit()
        assert sent == []

    assert load(database, name, id).version == 1


def test_a_piece_that_comes_and_goes_before_the_flush_is_no_change(
    database: Database, name: str
) -> None:
    id = create(database, name)
    with Units(database) as uow:
        root = getattr(uow, name).require(id)
        piece = Piece(name="d")
        root.pieces.append(piece)
        root.pieces.remove(root.pieces[-1])
        uow.commit()
        assert piece.id is None

    again = load(database, name, id)
    assert (again.version, names(again)) == (1, ["a", "b", "c"])


def test_two_commits_in_one_block_are_two_versions(database: Database, name: str) -> None:
    id = create(database, name)
    with Units(database) as uow:
        getattr(uow, name).require(id).pieces[0].name = "first"
        uow.commit()
        getattr(uow, name).require(id).pieces[1].name = "second"
        uow.commit()

    again = load(database, name, id)
    assert (again.version, names(again)) == (3, ["first", "second", "c"])


def test_a_change_advances_the_version_of_one_root_only(database: Database, name: str) -> None:
    first, second = create(database, name), create(database, name)
    with Units(database) as uow:
        changed, other = getattr(uow, name).get_many([first, second])
        swap(changed)
        uow.commit()
        assert (changed.version, other.version) == (2, 1)


def test_update_advances_the_version(database: Database, name: str, change: Change) -> None:
    id = create(database, name)
    with Units(database, read_only=True) as uow:
        root = getattr(uow, name).require(id)
    change(root)
    with Units(database) as uow:
        getattr(uow, name).update(root)
        uow.commit()

    again = load(database, name, id)
    assert (again.version, names(again)) == (2, names(root))


def test_two_changes_of_children_conflict(database: Database, name: str, change: Change) -> None:
    id = create(database, name)
    with Units(database, read_only=True) as uow:
        mine = getattr(uow, name).require(id)
    yours = load(database, name, id)
    change(mine)
    yours.pieces[2].name = "yours"
    with Units(database) as uow:
        getattr(uow, name).update(mine)
        uow.commit()
    with pytest.raises(ConcurrencyConflict, match=f" {id}"), Units(database) as uow:
        getattr(uow, name).update(yours)
        uow.commit()

    assert names(load(database, name, id)) == names(mine)


def test_a_change_after_the_row_was_changed_elsewhere_conflicts(
    shared_database: Database, name: str, change: Change
) -> None:
    id = create(shared_database, name)
    table = "aggregates_bags" if name == "bags" else "aggregates_versioned_crates"
    with (
        pytest.raises(ConcurrencyConflict, match=f" {id}"),
        Units(shared_database) as uow,
    ):
        root = getattr(uow, name).require(id)
        uow.session.connection().exec_driver_sql(f"UPDATE {table} SET version = 7")
        change(root)
        uow.commit()

    assert names(load(shared_database, name, id)) == ["a", "b", "c"]


# -- timestamped ----------------------------------------------------------------------------------


def test_a_change_of_a_child_moves_updated_at(
    database: Database, clock: Clock, change: Change
) -> None:
    with Units(database) as uow:
        id = uow.stamped.create(Crate(pieces=[Piece(name=name) for name in "abc"])).id
        uow.commit()
    made = clock.now
    clock.tick()
    with Units(database) as uow:
        root: Any = uow.stamped.require(id)
        change(root)
        wanted = names(root)
        uow.commit()
        assert (root.created_at, root.updated_at) == (made, clock.now)

    again = load(database, "stamped", id)
    assert (again.created_at, again.updated_at) == (made, clock.now)
    assert names(again) == wanted


def test_a_plain_root_without_a_version_is_written_over(
    database: Database, clock: Clock, change: Change
) -> None:
    with Units(database) as uow:
        id = uow.stamped.create(Crate(pieces=[Piece(name=name) for name in "abc"])).id
        uow.commit()
    made = clock.now
    clock.tick()
    with Units(database, read_only=True) as uow:
        crate = uow.stamped.require(id)
    change(crate)
    with Units(database) as uow:
        uow.stamped.update(crate)
        uow.commit()

    again = load(database, "stamped", id)
    assert (again.created_at, again.updated_at) == (made, clock.now)
    assert names(again) == names(crate)
