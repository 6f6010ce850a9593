"""Events that entities record: published if, and only if, the entity is stored."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from domain.errors import (
    Deadlock,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from domain.event import Event
from domain.ports import UnitOfWork
from infrastructure.testing.contracts.subject import E, Stop, id_of, values_of
from infrastructure.testing.contracts.telling import TellingSubject, Told, is_silent


class RecordingContract(TellingSubject[E]):
    """What ``create``, ``create_many``, changes and ``delete`` publish."""

    # -- new entities ----------------------------------------------------------------------

    def test_what_a_new_entity_has_recorded_is_published_with_it(self) -> None:
        original = self.recording(1, "before")
        with self.units() as uow:
            created: Any = self.repository(uow).create(original)
            assert created is original or is_silent(original), "it would be published twice"
            created.record(Told(text="after"))
            uow.commit()
            assert is_silent(created)
        assert self.told() == ["before", "after"]

    def test_many_entities_publish_in_the_order_in_which_they_recorded(self) -> None:
        first, second = self.recording(1), self.recording(2)
        for number in range(3):
            first.record(Told(text=f"first {number}"))
            second.record(Told(text=f"second {number}"))
        with self.units() as uow:
            uow.publish(Told(text="unit"))
            created: list[Any] = self.repository(uow).create_many([second, first])
            created[1].record(Told(text="first 3"))
            self.repository(uow).count()
            created[0].record(Told(text="second 3"))
            uow.publish(Told(text="unit, at last"))
            uow.commit()
        assert self.told() == [
            *(f"{who} {number}" for number in range(3) for who in ("first", "second")),
            *("unit", "first 3", "second 3", "unit, at last"),
        ]

    def test_a_function_is_called_once_with_what_is_stored_when_its_id_is_known(self) -> None:
        called: list[Any] = []

        def event(entity: Any) -> Event:
            called.append(entity)
            return Told(text=f"id {id_of(entity)}")

        original = self.recording(1)
        original.record(event)
        assert not called
        with self.units() as uow:
            kept = self.repository(uow)
            created: Any = kept.create(original)
            created.record(event)
            kept.count()
            uow.publish(Told(text="last"))
            uow.commit()
            assert len(called) == 2
            assert all(one is created for one in called)
        id = id_of(created)
        assert self.told() == [f"id {id}", f"id {id}", "last"]

    def test_a_rollback_gives_a_new_entity_its_events_back(self) -> None:
        original = self.recording(1, "first")
        original.record(lambda entity: Told(text=f"id {id_of(entity)}"))
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(original)
            uow.rollback()
            kept.create_many([original])
            kept.count()
            uow.rollback()
            uow.commit()
            original.record(Told(text="last"))
            kept.create(original)
            uow.commit()
        assert self.told() == ["first", f"id {id_of(original)}", "last"]

    def test_an_undone_savepoint_gives_a_new_entity_its_events_back(self) -> None:
        original, other = self.recording(1, "first"), self.recording(2, "other")
        with self.units() as uow:
            kept = self.repository(uow)
            with pytest.raises(Stop), uow.savepoint():
                created: Any = kept.create(original)
                created.record(Told(text="undone"))
                kept.create(other)
                kept.count()
                raise Stop
            with uow.savepoint():
                kept.create(original)
            uow.commit()
        assert self.told() == ["first"]
        assert not is_silent(other)

    def test_a_unit_that_is_run_again_publishes_what_a_new_entity_had_recorded_once(self) -> None:
        original, attempts = self.recording(1, "created"), list[int]()

        def work(uow: UnitOfWork) -> None:
            attempts.append(1)
            created: Any = self.repository(uow).create(original)
            created.record(Told(text=f"attempt {len(attempts)}"))
            self.repository(uow).count()
            if len(attempts) < 3:
                raise Deadlock("again")

        self.units().run(work)
        assert self.told() == ["created", "attempt 3"]

    def test_what_could_not_be_created_keeps_its_events(self) -> None:
        self.needs("unique")
        self.fill(1)
        twin: Any = self.recording(2, "twin")
        free = [getattr(twin, field) for field in self.unique]
        for field in self.unique:
            setattr(twin, field, getattr(self.make(1), field))
        with self.units() as uow:
            with pytest.raises(UniqueViolation), uow.savepoint():
                self.repository(uow).create(twin)
            for field, value in zip(self.unique, free, strict=True):
                setattr(twin, field, value)
            self.repository(uow).create(twin)
            uow.commit()
        assert self.told() == ["twin"]

    def test_what_is_invalid_keeps_its_events(self) -> None:
        self.needs("invalid")
        for field, value in self.invalid.items():
            wrong = self.recording(1, "right at last")
            right = getattr(wrong, field)
            setattr(wrong, field, value)
            with self.units() as uow:
                with pytest.raises(ValidationError):
                    self.repository(uow).create_many([self.recording(2, "never"), wrong])
                setattr(wrong, field, right)
                self.repository(uow).create(wrong)
                uow.commit()
                self.repository(uow).delete(id_of(wrong))
                uow.commit()
            assert self.told() == ["right at last"]

    def test_what_an_original_records_afterwards_is_refused_because_it_would_be_lost(self) -> None:
        original = self.recording(1, "before")
        with self.units() as uow:
            created = self.repository(uow).create(original)
            original.record(Told(text="on the original"))
            if created is original:  # an adapter may track what it was given
                uow.commit()
            else:
                with pytest.raises(UnitOfWorkError, match=self.name()):
                    uow.commit()
                uow.rollback()
                self.repository(uow).create(original)
                uow.commit()
        assert self.told() == ["before", "on the original"]

    # -- loaded entities -------------------------------------------------------------------

    def test_an_entity_that_only_records_publishes_too_and_is_not_changed(self) -> None:
        (id,) = self.loadable(1)
        before = self.stored(id)
        with self.units() as uow:
            loaded: Any = self.repository(uow).require(id)
            loaded.record(Told(text="only recorded"))
            loaded.record(lambda entity: Told(text=f"by {id_of(entity)}"))
            uow.commit()
            assert is_silent(loaded)
        assert self.told() == ["only recorded", f"by {id}"]
        assert self.stored(id) == before

    def test_changed_entities_publish_in_the_order_in_which_they_recorded(self) -> None:
        ids = self.loadable(2)
        with self.units() as uow:
            loaded: list[Any] = [self.repository(uow).require(id) for id in ids]
            for one, text in zip([*loaded, *loaded], ("a", "b", "c", "d"), strict=True):
                one.record(Told(text=text))
            self.change(loaded[1])
            self.repository(uow).count()
            loaded[1].record(Told(text="e"))
            self.change(loaded[0])
            loaded[0].record(Told(text="f"))
            uow.commit()
        assert self.told() == ["a", "b", "c", "d", "e", "f"]
        assert self.stored(ids[0]) == values_of(loaded[0])

    def test_recording_without_commit_publishes_nothing_and_warns(self) -> None:
        (id,) = self.loadable(1)
        for flushed in (False, True):
            with pytest.warns(UncommittedChangesWarning), self.units() as uow:
                loaded: Any = self.repository(uow).require(id)
                loaded.record(Told(text="never committed"))
                if flushed:
                    self.repository(uow).get_all()
        assert self.told() == []

    def test_a_rollback_undoes_what_loaded_entities_have_recorded(self) -> None:
        (id,) = self.loadable(1)
        with self.units() as uow:
            for flushed in (False, True):
                loaded: Any = self.repository(uow).require(id)
                loaded.record(Told(text="rolled back"))
                if flushed:
                    self.repository(uow).get_all()
                uow.rollback()
                uow.commit()
            again: Any = self.repository(uow).require(id)
            again.record(Told(text="committed"))
            uow.commit()
        assert self.told() == ["committed"]

    def test_an_undone_savepoint_undoes_what_was_recorded_within_alone(self) -> None:
        (id,) = self.loadable(1)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded: Any = kept.require(id)
            loaded.record(Told(text="before"))
            for flushed in (False, True):
                with pytest.raises(Stop), uow.savepoint():
                    loaded.record(Told(text="undone"))
                    with uow.savepoint():
                        self.change(loaded)
                        loaded.record(Told(text="undone, too"))
                    if flushed:
                        kept.get_all()
                    raise Stop
                loaded.record(Told(text="between"))
            with uow.savepoint():
                loaded.record(Told(text="kept"))
            loaded.record(Told(text="after"))
            uow.commit()
        assert self.told() == ["before", "between", "between", "kept", "after"]

    def test_a_settled_entity_that_records_is_refused_not_lost(self) -> None:
        original = self.recording(1, "created")
        with pytest.raises(Stop), self.units() as uow:
            settled: Any = self.repository(uow).create(original)
            uow.commit()
            settled.record(Told(text="too late"))
            with pytest.raises(UnitOfWorkError, match=self.name()):
                uow.commit()
            raise Stop
        with pytest.raises(UnitOfWorkError, match=self.name()), self.units() as uow:
            settled = self.repository(uow).require(id_of(original))
            uow.commit()
            settled.record(Told(text="too late"))
        assert self.told() == ["created"]

    def test_what_is_recorded_in_a_unit_that_only_reads_is_not_published(self) -> None:
        """Where the unit knows of the entity, it is refused like a change."""
        (id,) = self.loadable(1)
        with suppress(ReadOnlyViolation), self.units(read_only=True) as uow:
            loaded: Any = self.repository(uow).require(id)
            loaded.record(Told(text="by a reader"))
            uow.commit()
        assert self.told() == []

    # -- entities that go ------------------------------------------------------------------

    def test_what_is_deleted_publishes_what_it_had_recorded(self) -> None:
        ids = self.loadable(3)
        with self.units() as uow:
            elsewhere: Any = self.repository(uow).require(ids[1])
        elsewhere.record(Told(text="of another unit"))
        with self.units() as uow:
            kept = self.repository(uow)
            loaded: list[Any] = [kept.require(ids[0]), kept.require(ids[2])]
            for one, text in zip(loaded, ("by the entity", "by its id"), strict=True):
                one.record(Told(text=text))
            kept.delete(ids[2])
            kept.delete(loaded[0])
            kept.delete(elsewhere)
            uow.commit()
        assert self.told() == ["of another unit", "by the entity", "by its id"]
        assert self.count() == 0

    def test_what_is_created_and_deleted_publishes_all_of_it(self) -> None:
        original = self.recording(1, "before")
        with self.units() as uow:
            created: Any = self.repository(uow).create(original)
            created.record(Told(text="between"))
            self.repository(uow).delete(created)
            uow.commit()
        assert self.told() == ["before", "between"]

    def test_an_undone_deletion_publishes_nothing(self) -> None:
        (id,) = self.loadable(1)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded: Any = kept.require(id)
            with pytest.raises(Stop), uow.savepoint():
                loaded.record(Told(text="deleted"))
                kept.delete(loaded)
                raise Stop
            again: Any = kept.require(id)
            again.record(Told(text="still there"))
            uow.commit()
        assert self.told() == ["still there"]

    # -- functions that fail ---------------------------------------------------------------

    def test_a_function_that_fails_stores_and_publishes_nothing(self) -> None:
        error = Stop("in a function")

        def failing(entity: Any) -> Event:
            raise error

        failures: list[tuple[Any, type[Exception]]] = [
            (failing, Stop),
            (lambda entity: "no event", ValidationError),
        ]
        for function, expected in failures:
            original = self.recording(1, "not stored")
            original.record(function)
            with pytest.raises(expected) as caught, self.units() as uow:
                self.repository(uow).create(original)
                uow.commit()
            assert expected is not Stop or caught.value is error
            assert self.count() == 0
        assert self.told() == []
