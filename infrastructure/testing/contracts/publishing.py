"""``publish()``: events that leave exactly when the unit is committed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from domain.errors import (
    Deadlock,
    MessagingError,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UnitOfWorkError,
    ValidationError,
)
from domain.event import Event
from domain.ports import UnitOfWork
from infrastructure.testing.contracts.subject import E, Stop
from infrastructure.testing.contracts.telling import TellingSubject, Told


@dataclass(kw_only=True)
class Loose(Event):
    """Somebody could change it."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Odd(Event):
    """What it holds has no JSON."""

    text: str
    thing: Any


NO_EVENTS: dict[str, Any] = {
    "None": None,
    "text": "joined",
    "a class": Told,
    "a function": lambda: Told(text="from a function"),
    "one that can be changed": Loose(text="loose"),
    "one that is no dataclass": Event(),
}
TOO_BIG = Told(text="x" * 2**20)
ODD = Odd(text="odd", thing=object())


class PublishingContract(TellingSubject[E]):
    """``publish``, and the messages that come of it."""

    # -- when ------------------------------------------------------------------------------

    def test_what_is_published_leaves_with_its_commit_once_and_in_order(self) -> None:
        with self.units() as uow:
            uow.publish(Told(text="first"))
            self.repository(uow).create(self.make(1))
            uow.publish(Told(text="second"))
            uow.commit()
            uow.commit()
            uow.publish(Told(text="third"))
            uow.commit()
        assert self.told() == ["first", "second", "third"]

    def test_a_message_says_what_the_event_says(self) -> None:
        with self.units() as uow:
            uow.publish(Told(text="naïve \N{SNOWMAN}", key="snow"))
            uow.publish(Told(text="naïve \N{SNOWMAN}"))
            uow.commit()
        first, second = self.published()
        assert (first.type, first.version) == (Told.event_type, Told.event_version)
        assert (first.key, second.key) == ("snow", None)
        assert json.loads(first.payload) == {"text": "naïve \N{SNOWMAN}", "key": "snow"}
        assert first.id.version == second.id.version == 7
        assert first.id != second.id
        assert first.created_at.utcoffset() is not None
        assert (first.attempts, first.losses) == (0, 0)

    def test_what_is_not_committed_is_not_published(self) -> None:
        unit = self.units()
        with unit as uow:
            uow.publish(Told(text="rolled back"))
            self.repository(uow).count()
            uow.rollback()
            uow.commit()
        with pytest.raises(Stop), unit as uow:
            uow.publish(Told(text="left by an exception"))
            self.repository(uow).create(self.make(1))
            self.repository(uow).count()
            raise Stop
        with pytest.warns(UncommittedChangesWarning), unit as uow:
            uow.publish(Told(text="never committed"))
        with unit as uow:
            self.repository(uow).create(self.make(1))
            uow.commit()
        assert self.told() == []

    def test_an_undone_savepoint_takes_its_part_along_and_nothing_else(self) -> None:
        with self.units() as uow:
            uow.publish(Told(text="before"))
            with uow.savepoint():
                uow.publish(Told(text="kept"))
            with pytest.raises(Stop), uow.savepoint():
                uow.publish(Told(text="undone"))
                with uow.savepoint():
                    uow.publish(Told(text="undone, too"))
                self.repository(uow).count()
                raise Stop
            with uow.savepoint():
                with pytest.raises(Stop), uow.savepoint():
                    uow.publish(Told(text="undone inside"))
                    raise Stop
                uow.publish(Told(text="kept inside"))
            uow.publish(Told(text="after"))
            uow.commit()
        assert self.told() == ["before", "kept", "kept inside", "after"]

    def test_what_a_savepoint_kept_is_undone_with_the_unit(self) -> None:
        with self.units() as uow:
            with uow.savepoint():
                uow.publish(Told(text="kept for nothing"))
            uow.rollback()
            uow.commit()
        assert self.told() == []

    def test_a_commit_that_fails_publishes_nothing(self) -> None:
        self.needs("unique")
        first, second = self.fill(2)
        with self.units() as uow:
            uow.publish(Told(text="not stored"))
            loaded = self.repository(uow).require(getattr(second, "id", None))
            for field in self.unique:
                setattr(loaded, field, getattr(first, field))
            with pytest.raises(Exception, match=self.name()):
                uow.commit()
            uow.rollback()
            uow.commit()
        assert self.told() == []

    def test_each_attempt_of_run_publishes_anew_and_only_the_last_one_counts(self) -> None:
        calls: list[int] = []

        def work(uow: UnitOfWork) -> None:
            calls.append(1)
            uow.publish(Told(text=f"attempt {len(calls)}"))
            self.repository(uow).create(self.make(1))
            if len(calls) < 3:
                raise Deadlock("again")

        self.units().run(work)
        assert self.told() == ["attempt 3"]

    # -- who is told -----------------------------------------------------------------------

    def test_those_who_wait_for_messages_are_woken_after_a_commit_that_has_some(self) -> None:
        woken: list[int] = []
        end = self.messages.subscribe(lambda: woken.append(1))
        with self.units() as uow:
            uow.publish(Told(text="rolled back"))
            uow.rollback()
            self.repository(uow).create(self.make(1))
            uow.commit()
            assert not woken
            uow.publish(Told(text="committed"))
            assert not woken
            uow.commit()
            assert woken
            woken.clear()
            end()
            uow.publish(Told(text="for nobody"))
            uow.commit()
        assert not woken
        assert self.told() == ["committed", "for nobody"]

    def test_whoever_is_woken_may_open_a_unit_and_finds_what_was_committed(self) -> None:
        found: list[int] = []

        def write() -> None:
            with self.units() as other:
                found.append(self.repository(other).count())
                self.repository(other).create(self.make(2))
                other.commit()

        end = self.messages.subscribe(write)
        try:
            with self.units() as uow:
                self.repository(uow).create(self.make(1))
                uow.publish(Told(text="created"))
                uow.commit()
        finally:
            end()
        assert found == [1]
        assert self.count() == 2
        assert self.told() == ["created"]

    # -- refused ---------------------------------------------------------------------------

    @pytest.mark.parametrize("what", NO_EVENTS)
    def test_what_is_no_event_is_refused_at_once_and_the_unit_goes_on(self, what: str) -> None:
        with self.units() as uow:
            self.repository(uow).create(self.make(1))
            with pytest.raises(ValidationError):
                uow.publish(NO_EVENTS[what])
            uow.publish(Told(text="an event"))
            uow.commit()
        assert self.told() == ["an event"]
        assert self.count() == 1

    def test_a_unit_that_only_reads_refuses_to_publish_and_goes_on(self) -> None:
        with self.units(read_only=True) as uow:
            with pytest.raises(ReadOnlyViolation):
                uow.publish(Told(text="refused"))
            assert self.repository(uow).count() == 0
            uow.commit()
        assert self.told() == []

    @pytest.mark.parametrize(("event", "field"), [(ODD, "thing"), (TOO_BIG, "payload")])
    def test_an_event_that_can_be_no_message_fails_the_commit(
        self, event: Event, field: str
    ) -> None:
        with self.units() as uow:
            self.repository(uow).create(self.make(1))
            uow.publish(Told(text="with it"))
            uow.publish(event)
            with pytest.raises(MessagingError) as caught:
                uow.commit()
            assert (caught.value.event, [*caught.value.errors]) == (event.event_type, [field])
            with pytest.raises(UnitOfWorkError) as refused:
                uow.commit()
            assert refused.value.__cause__ is caught.value
            uow.rollback()
            assert self.repository(uow).count() == 0
            uow.publish(Told(text="afterwards"))
            uow.commit()
        assert self.count() == 0
        assert self.told() == ["afterwards"]
