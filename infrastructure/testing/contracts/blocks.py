"""The block of a unit: what it stores, how it may be used, and what becomes of its entities."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import pytest

from domain.errors import (
    KitError,
    ReadOnlyViolation,
    UncommittedChangesWarning,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from domain.ports import UnitOfWork
from infrastructure.testing.contracts.subject import E, Stop, Subject, id_of, values_of
from infrastructure.testing.contracts.telling import Told

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds until two threads must have met."""

USES: dict[str, Callable[[UnitOfWork], object]] = {
    "commit": lambda uow: uow.commit(),
    "rollback": lambda uow: uow.rollback(),
    "savepoint": lambda uow: uow.savepoint().__enter__(),
    "publish": lambda uow: uow.publish(Told(text="too early, or too late")),
    "after_commit": lambda uow: uow.after_commit(int),
    "__exit__": lambda uow: uow.__exit__(None, None, None),
}


class BlocksContract(Subject[E]):
    """What is stored when, and the misuses of a unit."""

    # -- commit and rollback ---------------------------------------------------------------

    def test_the_block_is_the_unit_itself(self) -> None:
        unit = self.units()
        with unit as uow:
            assert uow is unit

    def test_what_is_committed_is_stored(self) -> None:
        self.fill(2)
        assert self.count() == 2

    def test_leaving_without_commit_stores_nothing_and_warns(self) -> None:
        with pytest.warns(UncommittedChangesWarning), self.units() as uow:
            self.repository(uow).create(self.make(1))
        assert self.count() == 0

    def test_there_is_no_warning_where_nothing_is_lost(self) -> None:
        self.fill(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UncommittedChangesWarning)
            with self.units():
                pass
            with self.units() as uow:
                self.repository(uow).get_all()
            with self.units() as uow:
                self.repository(uow).create(self.make(2))
                uow.commit()
                self.repository(uow).get_all()
            with self.units() as uow:
                self.repository(uow).create(self.make(3))
                uow.rollback()
            with pytest.raises(Stop), self.units() as uow:
                self.repository(uow).create(self.make(3))
                raise Stop
        assert self.count() == 2

    @pytest.mark.parametrize("kind", [Stop, ValidationError, KeyboardInterrupt, GeneratorExit])
    def test_an_exception_rolls_back_and_goes_on_unchanged(self, kind: type[BaseException]) -> None:
        error = kind("Thing", {}) if kind is ValidationError else kind()
        with pytest.raises(kind) as caught, self.units() as uow:
            self.repository(uow).create(self.make(1))
            raise error
        assert caught.value is error
        assert error.__cause__ is None
        assert self.count() == 0

    def test_commit_and_rollback_may_be_called_again_and_again(self) -> None:
        with pytest.warns(UncommittedChangesWarning), self.units() as uow:
            kept = self.repository(uow)
            for number in (1, 2):
                kept.create(self.make(number))
                uow.commit()
                kept.create(self.make(number + 4))
                uow.rollback()
                uow.rollback()
            kept.create(self.make(3))
            uow.commit()
            uow.commit()
            assert kept.count() == 3
            kept.create(self.make(4))
        assert self.count() == 3

    def test_an_exception_after_a_commit_keeps_what_was_committed(self) -> None:
        with pytest.raises(Stop), self.units() as uow:
            self.repository(uow).create(self.make(1))
            uow.commit()
            self.repository(uow).create(self.make(2))
            raise Stop
        assert self.count() == 1

    def test_commit_and_rollback_of_nothing_are_allowed(self) -> None:
        for read_only in (False, True):
            with self.units(read_only=read_only) as uow:
                uow.commit()
                uow.rollback()
                uow.commit()

    # -- misuse ----------------------------------------------------------------------------

    def uses(self) -> dict[str, Callable[[UnitOfWork], object]]:
        """Ways to use a unit."""
        return {
            **USES,
            "reading": lambda uow: self.repository(uow).count(),
            "writing": lambda uow: self.repository(uow).create(self.make(1)),
        }

    def test_use_before_entering_is_refused(self) -> None:
        for use in self.uses().values():
            with pytest.raises(UnitOfWorkError):
                use(self.units())
        assert self.count() == 0

    def test_use_after_leaving_is_refused(self) -> None:
        for use in self.uses().values():
            with self.units() as uow:
                self.repository(uow).count()
            with pytest.raises(UnitOfWorkError):
                use(uow)
        assert self.count() == 0

    def test_a_repository_that_was_kept_is_refused_after_leaving(self) -> None:
        unit = self.units()
        with unit:
            old = self.repository(unit)
            old.count()
        for use in (old.count, old.get_all, lambda: old.create(self.make(1))):
            with pytest.raises(UnitOfWorkError):
                use()
        with unit:
            assert self.repository(unit).count() == 0
            with pytest.raises(UnitOfWorkError):
                old.count()

    def test_entering_twice_is_refused_and_harms_nothing(self) -> None:
        with self.units() as uow:
            self.repository(uow).create(self.make(1))
            with pytest.raises(UnitOfWorkError):
                uow.__enter__()
            uow.commit()
        assert self.count() == 1

    def test_a_unit_may_be_entered_again_after_it_was_left(self) -> None:
        unit = self.units()
        for number in (1, 2):
            with unit as uow:
                self.repository(uow).create(self.make(number))
                uow.commit()
            with pytest.raises(Stop), unit as uow:
                self.repository(uow).create(self.make(9))
                raise Stop
        assert self.count() == 2

    def test_a_second_writing_unit_in_one_context_is_refused(self) -> None:
        """It would wait for the first one, which waits for it: savepoint() is what is meant."""
        with self.units() as outer:
            self.repository(outer).create(self.make(1))
            with self.units() as inner, pytest.raises(UnitOfWorkError, match=r"savepoint\(\)"):
                self.repository(inner).create(self.make(2))
            outer.commit()
        assert self.count() == 1

    # -- threads ---------------------------------------------------------------------------

    def test_a_unit_may_move_between_threads(self) -> None:
        unit = self.units()
        elsewhere(unit.__enter__)
        elsewhere(lambda: self.repository(unit).create(self.make(1)))
        assert elsewhere(lambda: self.repository(unit).count()) == 1
        elsewhere(unit.commit)
        self.repository(unit).create(self.make(2))
        unit.commit()
        elsewhere(lambda: unit.__exit__(None, None, None))
        assert self.count() == 2

    def test_two_threads_at_the_same_time_are_refused(self) -> None:
        self.fill(5)
        met: list[UnitOfWorkError] = []
        end = time.monotonic() + PATIENCE

        def work() -> None:
            while not met and time.monotonic() < end:
                try:
                    self.repository(uow).get_all()
                except UnitOfWorkError as error:
                    met.append(error)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with self.units() as uow, ThreadPoolExecutor(2) as pool:
                for done in [pool.submit(work) for _ in range(2)]:
                    done.result()
                assert met, "two threads used one unit at the same time, and neither was told"
                uow.rollback()
                assert self.repository(uow).count() == 5
        finally:
            sys.setswitchinterval(interval)

    # -- failed ----------------------------------------------------------------------------

    def fail(self, uow: UnitOfWork) -> UniqueViolation:
        """Let a statement of the unit fail; ``make(1)`` is stored."""
        with pytest.raises(UniqueViolation) as caught:
            self.repository(uow).create(self.twin(2, of=1))
        return caught.value

    def test_a_failed_unit_refuses_everything_until_rollback(self) -> None:
        self.needs("unique")
        self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(self.make(3))
            first = self.fail(uow)
            refused: list[Callable[[], object]] = [
                kept.count,
                kept.get_all,
                lambda: kept.create(self.make(4)),
                lambda: uow.savepoint().__enter__(),
                lambda: uow.publish(Told(text="refused")),
                uow.commit,
            ]
            for use in refused:
                with pytest.raises(UnitOfWorkError) as caught:
                    use()
                assert caught.value.__cause__ is first
            uow.rollback()
            assert kept.count() == 1
            kept.create(self.make(5))
            uow.commit()
        assert self.count() == 2

    def test_a_savepoint_brings_a_failed_unit_back(self) -> None:
        self.needs("unique")
        self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(self.make(3))
            with pytest.raises(UniqueViolation), uow.savepoint():
                kept.create(self.make(4))
                raise self.fail(uow)
            assert kept.count() == 2
            kept.create(self.make(5))
            uow.commit()
        assert self.count() == 3

    def test_a_savepoint_that_was_left_by_a_failed_unit_is_undone(self) -> None:
        """An error that is caught inside leaves nothing half done behind."""
        self.needs("unique")
        self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            with suppress(KitError), uow.savepoint():
                kept.create(self.make(3))
                self.fail(uow)
            assert kept.count() == 1
            uow.commit()
        assert self.count() == 1

    # -- entities afterwards ---------------------------------------------------------------

    def test_entities_stay_readable_after_commit_rollback_and_the_block(self) -> None:
        (stored,) = self.fill(1)
        expected = values_of(stored)
        with self.units() as uow:
            found = self.repository(uow).require(id_of(stored))
            created = self.repository(uow).create(self.make(2))
            uow.commit()
            new = values_of(created)
            assert values_of(found) == expected
            again = self.repository(uow).require(id_of(stored))
            uow.rollback()
            assert values_of(again) == expected
            last = self.repository(uow).require(id_of(stored))
        for one in (stored, found, again, last):
            assert values_of(one) == expected
            assert repr(one)
        assert values_of(created) == new == self.stored(id_of(created))

    def test_after_a_commit_entities_are_loaded_anew(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            found = self.repository(uow).require(id_of(stored))
            uow.commit()
            assert self.repository(uow).require(id_of(stored)) is not found

    def test_a_change_of_a_settled_entity_is_refused_not_lost(self) -> None:
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        with pytest.raises(Stop), self.units() as uow:
            settled = self.repository(uow).require(id_of(stored))
            uow.commit()
            self.change(settled)
            with pytest.raises(UnitOfWorkError, match=self.name()):
                uow.commit()
            raise Stop
        with pytest.raises(UnitOfWorkError, match=self.name()), self.units() as uow:
            settled = self.repository(uow).require(id_of(stored))
            uow.commit()
            self.change(settled)
        assert self.stored(id_of(stored)) == before

    # -- read only -------------------------------------------------------------------------

    def test_a_unit_that_only_reads_refuses_to_write_and_goes_on(self) -> None:
        (stored,) = self.fill(1)
        with self.units(read_only=True) as uow:
            kept = self.repository(uow)
            writes: list[Callable[[], object]] = [
                lambda: kept.create(self.make(2)),
                lambda: kept.create_many([self.make(2)]),
                lambda: kept.delete(id_of(stored)),
                lambda: kept.delete(kept.require(id_of(stored))),
            ]
            for write in writes:
                with pytest.raises(ReadOnlyViolation):
                    write()
                assert kept.count() == 1
            uow.commit()
            assert kept.count() == 1
        assert self.count() == 1

    def test_a_change_in_a_unit_that_only_reads_is_not_stored(self) -> None:
        """Nor is it where the unit knows of the change; then it refuses it."""
        (stored,) = self.fill(1)
        before = self.stored(id_of(stored))
        with suppress(ReadOnlyViolation), self.units(read_only=True) as uow:
            self.change(self.repository(uow).require(id_of(stored)))
            uow.commit()
        assert self.stored(id_of(stored)) == before


def elsewhere(work: Callable[[], T]) -> T:
    """Call this in a thread, and with a context, of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
