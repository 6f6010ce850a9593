"""What entities record is stored with them, and what is not stored is not told."""

import json
from typing import Any

import pytest

from domain.entity import EVENTS
from domain.errors import (
    MessagingError,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from infrastructure.database import Database
from infrastructure.database.models.outbox_message import OutboxMessage
from tests.outbox.recording import (
    TABLES,
    Cup,
    CupModel,
    Garage,
    Jar,
    JarOpened,
    Kitchen,
    Shelf,
    ShelfFilled,
    Unreadable,
)
from tests.support import statements


@pytest.fixture
def tables() -> list[Any]:
    return TABLES


def stored(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with Kitchen(database, read_only=True) as uow:
        rows = uow.repository(OutboxMessage).get_all(order_by="position")
    return [(row.type, json.loads(row.payload)) for row in rows]


def notes(database: Database) -> list[str]:
    return [payload["note"] for type_, payload in stored(database) if type_ == "shelf.filled"]


def filled(name: str = "a", *told: str) -> Cup:
    cup = Cup(name=name)
    for note in told or ("first",):
        cup.fill(note)
    return cup


def test_what_a_new_entity_recorded_is_stored_with_its_id(database: Database) -> None:
    with Kitchen(database) as uow:
        cup = uow.cups.create(filled())
        uow.commit()
    assert stored(database) == [("shelf.filled", {"shelf": cup.id, "note": "first"})]


def test_a_message_has_all_that_is_known_of_the_event(database: Database) -> None:
    with Kitchen(database) as uow:
        cup = uow.cups.create(filled())
        uow.commit()
        row = uow.repository(OutboxMessage).one()
        assert (row.ordering_key, row.version) == (f"shelf {cup.id}", 1)
        assert (row.status, row.attempts, row.losses, row.claim) == ("pending", 0, 0, None)
        assert row.id.version == 7


def test_events_are_stored_in_the_order_in_which_they_were_recorded(database: Database) -> None:
    with Kitchen(database) as uow:
        one, two = uow.cups.create_many([Cup(name="a"), Cup(name="b")])
        two.fill("1")
        uow.publish(ShelfFilled(shelf=9, note="2"))
        one.fill("3")
        two.name = "c"
        uow.session.flush()
        two.fill("4")
        one.fill("5")
        uow.commit()
    assert notes(database) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("count", [2, 500])
def test_many_new_entities_tell_of_themselves(database: Database, count: int) -> None:
    plain = [filled(str(number), str(number)) for number in range(count)]
    plain[0].fill("again")
    with Kitchen(database) as uow:
        cups = uow.cups.create_many(plain)
        assert not any(EVENTS in vars(cup) for cup in plain)
        uow.commit()
    told = [payload["shelf"] for _, payload in stored(database)]
    assert told == [*(cup.id for cup in cups), cups[0].id]


def test_an_entity_that_is_loaded_only_records(database: Database) -> None:
    with Kitchen(database) as uow:
        id = uow.cups.create(Cup(name="a")).id
        uow.commit()
    with Kitchen(database) as uow:
        uow.cups.require(id).fill("only")
        uow.commit()
    assert notes(database) == ["only"]
    with Kitchen(database) as uow:
        assert uow.repository(CupModel).require(id).version == 1


def test_a_recorded_event_keeps_its_entity_alive(database: Database) -> None:
    with Kitchen(database) as uow:
        id = uow.cups.create(Cup(name="a")).id
        uow.commit()
        uow.cups.require(id).fill("kept")
        assert uow.cups.count() == 1
        uow.commit()
    assert notes(database) == ["kept"]


def test_an_update_of_a_plain_entity_tells_of_it(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.commit()
    with Kitchen(database, read_only=True) as uow:
        plain = uow.cups.one()
    plain.name = "b"
    plain.fill("changed")
    with Kitchen(database) as uow:
        uow.cups.update(plain)
        assert EVENTS not in vars(plain)
        uow.commit()
    assert notes(database) == ["changed"]


@pytest.mark.parametrize("tracked", [True, False])
def test_a_deleted_entity_tells_of_it(database: Database, tracked: bool) -> None:
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.commit()
    with Kitchen(database, read_only=not tracked) as uow:
        cup = uow.cups.one()
        if tracked:
            cup.fill("gone")
            uow.cups.delete(cup)
            uow.commit()
    if not tracked:
        cup.fill("gone")
        with Kitchen(database) as uow:
            uow.cups.delete(cup)
            uow.commit()
    assert notes(database) == ["gone"]


def test_children_tell_of_themselves(database: Database) -> None:
    jar = Jar(content="jam")
    jar.open()
    shelf = Shelf(name="top", jars=[jar])
    shelf.fill("shelf")
    with Kitchen(database) as uow:
        made = uow.shelves.create(shelf)
        uow.commit()
    with Kitchen(database) as uow:
        made = uow.shelves.one()
        made.jars[0].open()
        late = Jar(content="late")
        late.open()
        made.jars.append(late)
        uow.commit()
        ids = [jar.id for jar in uow.shelves.one().jars]
    opened = [payload["jar"] for type_, payload in stored(database) if type_ == "JarOpened"]
    assert opened == [ids[0], ids[0], ids[1]]
    assert notes(database) == ["shelf"]


def test_children_of_a_deleted_plain_aggregate_tell_of_themselves(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.shelves.create(Shelf(name="top", jars=[Jar(content="jam")]))
        uow.commit()
    with Kitchen(database, read_only=True) as uow:
        shelf = uow.shelves.one()
    shelf.fill("emptied")
    shelf.jars[0].open()
    with Kitchen(database) as uow:
        with pytest.raises(RuntimeError), uow.savepoint():
            uow.shelves.delete(shelf)
            raise RuntimeError
        uow.shelves.delete(shelf)
        uow.commit()
    assert [type_ for type_, _ in stored(database)] == ["shelf.filled", "JarOpened"]


def test_nothing_is_told_of_what_is_rolled_back(database: Database) -> None:
    plain = filled()
    with Kitchen(database) as uow:
        uow.cups.create(plain)
        uow.publish(ShelfFilled(shelf=1))
        uow.rollback()
        assert EVENTS in vars(plain)
        uow.commit()
    assert stored(database) == []
    with Kitchen(database) as uow:
        uow.cups.create(plain)
        uow.commit()
    assert notes(database) == ["first"]


def test_a_savepoint_that_is_undone_takes_its_events_along(database: Database) -> None:
    plain = filled("b", "again")
    with Kitchen(database) as uow:
        kept = uow.cups.create(Cup(name="a"))
        kept.fill("before")
        with pytest.raises(RuntimeError), uow.savepoint():
            kept.fill("undone, and not written yet")
            uow.cups.create(plain)
            uow.publish(ShelfFilled(shelf=2, note="undone"))
            kept.name = "other"
            uow.session.flush()
            kept.fill("undone, too")
            raise RuntimeError
        kept.fill("after")
        with uow.savepoint():
            kept.fill("in another")
        uow.cups.create(plain)
        uow.commit()
    assert notes(database) == ["again", "before", "after", "in another"]


def test_a_unit_that_is_run_again_tells_once(database: Database) -> None:
    plain, attempts = filled(), []

    def work(uow: Kitchen) -> None:
        uow.cups.create(plain)
        uow.publish(ShelfFilled(shelf=5, note="published"))
        attempts.append(None)
        if len(attempts) < 3:
            from domain.errors import SerializationFailure

            raise SerializationFailure("another transaction came in between")

    Kitchen(database).run(work)
    assert (len(attempts), notes(database)) == (3, ["first", "published"])


def test_a_failed_insert_leaves_the_events_with_the_entity(database: Database) -> None:
    plain = filled()
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        with pytest.raises(UniqueViolation), uow.savepoint():
            uow.cups.create(plain)
        plain.name = "b"
        uow.cups.create(plain)
        uow.commit()
    assert notes(database) == ["first"]


@pytest.mark.parametrize("count", [1, 200])
def test_recording_on_what_was_given_is_refused(database: Database, count: int) -> None:
    plain = [Cup(name=str(number)) for number in range(count)]
    with Kitchen(database) as uow:
        uow.cups.create_many(plain)
        plain[-1].fill()
        with pytest.raises(UnitOfWorkError, match="change the one that it returned"):
            uow.commit()
        uow.rollback()


@pytest.mark.parametrize("given", [True, False])
def test_recording_after_the_transaction_is_refused(database: Database, given: bool) -> None:
    with Kitchen(database) as uow:
        plain = Cup(name="a")
        cup = uow.cups.create(plain)
        uow.commit()
        (plain if given else cup).fill()
        with pytest.raises(UnitOfWorkError, match="after its transaction had ended"):
            uow.commit()
        vars(plain).pop(EVENTS, None)
        vars(cup).pop(EVENTS, None)


def test_leaving_without_commit_warns_of_what_was_recorded(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.commit()
    with pytest.warns(UncommittedChangesWarning), Kitchen(database) as uow:
        uow.cups.one().fill()
    with pytest.warns(UncommittedChangesWarning), Kitchen(database) as uow:
        uow.publish(ShelfFilled(shelf=1))
    assert stored(database) == []


def test_what_rolled_back_rows_had_recorded_is_forgotten(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.commit()
        cup = uow.cups.one()
        cup.fill()
        uow.rollback()
        assert EVENTS not in vars(cup)
        uow.commit()


def test_bulk_writes_refuse_entities_that_have_recorded_something(database: Database) -> None:
    with Kitchen(database) as uow:
        for write in (
            lambda: uow.cups.bulk_create([Cup(name="x"), filled()]),
            lambda: uow.cups.bulk_upsert([filled()], on="name"),
        ):
            with pytest.raises(ValidationError, match=r"events: .*create_many"):
                write()
        assert uow.cups.count() == 0


def test_upsert_and_get_or_create_tell_of_what_they_store(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.cups.upsert(filled("a", "made"), on="name")
        uow.cups.upsert(filled("a", "written over"), on="name")
        uow.cups.get_or_create(filled("b", "made, too"), on="name")
        unused = filled("b", "not stored")
        uow.cups.get_or_create(unused, on="name")
        uow.commit()
    assert EVENTS in vars(unused)
    assert notes(database) == ["made", "written over", "made, too"]


# -- what cannot be told -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "field"), [(object(), "value"), (float("nan"), "value"), ("x" * 300_000, "payload")]
)
def test_what_cannot_be_a_message_fails_the_unit(
    database: Database, value: object, field: str
) -> None:
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.publish(Unreadable(value=value))
        with pytest.raises(MessagingError) as caught:
            uow.commit()
        assert caught.value.errors.keys() == {field}
        assert caught.value.event == "Unreadable"
        with pytest.raises(UnitOfWorkError, match="has failed"):
            uow.commit()
        uow.rollback()
        assert uow.cups.count() == 0
        uow.commit()
    assert stored(database) == []


def test_the_limit_of_payloads_is_the_unit_s(database: Database) -> None:
    class Small(Kitchen):
        payload_limit = 30

    with Small(database) as uow:
        uow.publish(ShelfFilled(shelf=1, note="short"))
        uow.commit()
        uow.publish(ShelfFilled(shelf=1, note="somewhat longer"))
        with pytest.raises(MessagingError, match="octets of JSON, and 30 are the limit"):
            uow.commit()
        uow.rollback()


def test_a_unit_without_an_outbox_refuses_events(database: Database) -> None:
    with Garage(database) as uow:
        uow.cups.create(filled())
        with pytest.raises(MessagingError, match="outbox = OutboxMessage"):
            uow.commit()
        uow.rollback()
    with Kitchen(database) as uow:
        assert uow.cups.count() == 0


def test_a_function_that_fails_fails_the_unit(database: Database) -> None:
    cup = Cup(name="a")
    cup.record(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    with Kitchen(database) as uow:
        with pytest.raises(ZeroDivisionError):
            uow.cups.create(cup)
        with pytest.raises(UnitOfWorkError, match="has failed"):
            uow.commit()
        uow.rollback()


def test_what_is_no_event_is_refused_at_once(database: Database) -> None:
    with Kitchen(database) as uow:
        for wrong in ("text", 3, None):
            with pytest.raises(ValidationError, match="must be an Event"):
                uow.publish(wrong)  # type: ignore[arg-type]
            with pytest.raises(ValidationError, match="must be an Event"):
                Cup(name="a").record(wrong)  # type: ignore[arg-type]
        uow.commit()


def test_a_unit_that_reads_publishes_nothing(database: Database) -> None:
    with Kitchen(database, read_only=True) as uow, pytest.raises(ReadOnlyViolation):
        uow.publish(ShelfFilled(shelf=1))
    with pytest.raises(UnitOfWorkError, match="was left"):
        uow.publish(ShelfFilled(shelf=1))


# -- what it costs -------------------------------------------------------------------------


def test_events_cost_one_statement_a_unit(database: Database) -> None:
    def sent(events: int) -> int:
        with statements(database) as found, Kitchen(database) as uow:
            cup = uow.cups.create(Cup(name=f"cup {events}"))
            for _ in range(events):
                cup.fill()
            uow.commit()
        return len(found)

    sent(0)
    without = sent(-1)
    assert (sent(1), sent(5), sent(300)) == (without + 1,) * 3


def test_a_changed_entity_with_an_event_costs_one_more(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.commit()

    def sent(*, told: bool) -> list[str]:
        with statements(database) as found, Kitchen(database) as uow:
            cup = uow.cups.one()
            cup.name += "x"
            if told:
                cup.fill()
            uow.commit()
        return found

    sent(told=False)
    sent(told=True)
    assert len(sent(told=True)) == len(sent(told=False)) + 1


def test_subscribers_hear_of_commits_with_events_only(database: Database) -> None:
    heard: list[None] = []
    end = database.arrivals.subscribe(lambda: heard.append(None))
    with Kitchen(database) as uow:
        uow.cups.create(Cup(name="a"))
        uow.commit()
        assert heard == []
        uow.publish(ShelfFilled(shelf=1))
        assert heard == []
        uow.commit()
        assert len(heard) == 1
        end()
        uow.publish(ShelfFilled(shelf=1))
        uow.commit()
    assert len(heard) == 1


def test_a_subscriber_that_fails_is_an_error_after_commit(database: Database) -> None:
    from domain.errors import AfterCommitError

    database.arrivals.subscribe(lambda: 1 / 0)
    with Kitchen(database) as uow:
        uow.publish(JarOpened(jar=1))
        with pytest.raises(AfterCommitError):
            uow.commit()
    assert len(stored(database)) == 1


def test_no_value_of_an_event_is_in_the_error(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.publish(Unreadable(value={"secret canary": object()}))
        with pytest.raises(MessagingError) as caught:
            uow.commit()
        uow.rollback()
    assert "canary" not in f"{caught.value!r} {caught.value.errors}"


# -- what is undone, and what comes from elsewhere -------------------------------------------


def test_a_deletion_that_is_undone_takes_its_events_along(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.shelves.create(Shelf(name="top", jars=[Jar(content="jam")]))
        uow.commit()
    with Kitchen(database) as uow:
        shelf = uow.shelves.one()
        shelf.jars[0].open()
        shelf.fill("undone")
        uow.shelves.delete(shelf)
        uow.rollback()
        assert EVENTS not in vars(shelf)
        shelf = uow.shelves.one()
        with pytest.raises(RuntimeError), uow.savepoint():
            shelf.fill("undone, too")
            uow.shelves.delete(shelf)
            raise RuntimeError
        shelf.jars[0].open()
        uow.shelves.delete(shelf)
        uow.commit()
    assert [type_ for type_, _ in stored(database)] == ["JarOpened"]


def test_a_child_that_is_removed_tells_of_it(database: Database) -> None:
    with Kitchen(database) as uow:
        shelf = uow.shelves.create(Shelf(name="top", jars=[Jar(content="jam")]))
        jar = shelf.jars[0]
        jar.open()
        shelf.jars.remove(jar)
        uow.commit()
    assert [type_ for type_, _ in stored(database)] == ["JarOpened"]


def test_a_row_of_another_unit_tells_once(database: Database) -> None:
    with Kitchen(database) as uow:
        cup = uow.cups.create(Cup(name="a"))
        uow.commit()
    cup.name = "b"
    cup.fill("from elsewhere")
    with Kitchen(database) as uow:
        with pytest.raises(RuntimeError), uow.savepoint():
            uow.cups.update(cup)
            raise RuntimeError
        uow.cups.update(cup)
        uow.commit()
    assert notes(database) == ["from elsewhere"]


def test_a_deferred_entity_tells_of_itself(database: Database) -> None:
    with Kitchen(database) as uow:
        uow.cups.create_deferred(filled("a", "deferred"))
        uow.commit()
    assert notes(database) == ["deferred"]
