"""``run()``: a whole unit, again if another transaction came in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domain.errors import (
    AfterCommitError,
    ConcurrencyConflict,
    Deadlock,
    EntityNotFound,
    KitError,
    LockTimeout,
    SerializationFailure,
    UniqueViolation,
    UnitOfWorkError,
    ValidationError,
)
from domain.ports import UnitOfWork
from infrastructure.testing.contracts.subject import E, Stop, Subject, id_of

AGAIN = [SerializationFailure, Deadlock, LockTimeout, ConcurrencyConflict]
NOT_AGAIN = [
    AfterCommitError([Stop()]),
    EntityNotFound("Thing", 1),
    UniqueViolation("Thing"),
    UnitOfWorkError("misuse"),
    ValidationError("Thing", {}),
    Stop(),
]


class RunningContract(Subject[E]):
    """``run``."""

    def test_run_commits_and_returns_what_the_work_returned(self) -> None:
        created = self.units().run(lambda uow: self.repository(uow).create(self.make(1)))
        assert self.stored(id_of(created))
        assert self.count() == 1

    def test_the_work_is_done_in_a_fresh_unit(self) -> None:
        unit = self.units()
        with unit as uow:
            old = self.repository(uow).create(self.make(1))
            uow.commit()
        found = unit.run(lambda fresh: self.repository(fresh).require(id_of(old)))
        assert found is not old
        with unit as uow:  # which has not taken part
            assert self.repository(uow).count() == 1

    def test_an_exception_stores_nothing_and_goes_on_unchanged(self) -> None:
        for error in NOT_AGAIN:
            calls: list[int] = []

            def work(uow: UnitOfWork, calls: list[int] = calls, error: Exception = error) -> None:
                calls.append(1)
                self.repository(uow).create(self.make(1))
                uow.after_commit(lambda: calls.append(100))
                raise error

            with pytest.raises(type(error)) as caught:
                self.units().run(work)
            assert caught.value is error
            assert calls == [1]
            assert self.count() == 0

    @pytest.mark.parametrize("kind", AGAIN)
    def test_the_whole_unit_is_run_again_if_another_came_between(
        self, kind: type[KitError]
    ) -> None:
        units: list[UnitOfWork] = []
        hooks: list[int] = []

        def work(uow: UnitOfWork) -> int:
            units.append(uow)
            attempt = len(units)
            assert self.repository(uow).count() == 0
            self.repository(uow).create(self.make(attempt))
            uow.after_commit(lambda: hooks.append(attempt))
            if attempt < 3:
                raise kind("Thing")
            return attempt

        assert self.units().run(work) == 3
        assert hooks == [3]
        assert len({id(unit) for unit in units}) == 3
        assert self.count() == 1

    def test_attempts_bound_it(self) -> None:
        for attempts in (1, 2):
            calls: list[int] = []

            def work(uow: UnitOfWork, calls: list[int] = calls) -> None:
                self.repository(uow).create(self.make(1))
                calls.append(1)
                raise Deadlock("again and again")

            with pytest.raises(Deadlock):
                self.units().run(work, attempts=attempts)
            assert len(calls) == attempts
            assert self.count() == 0

    def test_a_timeout_bounds_it(self) -> None:
        def work(uow: UnitOfWork) -> None:
            raise Deadlock("again and again")

        with pytest.raises(Deadlock):
            self.units().run(work, timeout=0.02)

    def test_bounds_that_cannot_be_are_refused(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"attempts": 0},
            {"attempts": 1.5},
            {"timeout": 0},
            {"timeout": "1"},
        ]
        for bounds in wrong:
            with pytest.raises(ValidationError) as caught:
                self.units().run(lambda uow: self.repository(uow).create(self.make(1)), **bounds)
            assert list(caught.value.errors) == list(bounds)
        assert self.count() == 0

    def test_run_inside_an_open_unit_is_refused(self) -> None:
        with self.units() as uow:
            assert self.repository(uow).count() == 0
            for unit in (uow, self.units()):
                with pytest.raises(UnitOfWorkError):
                    unit.run(lambda fresh: self.repository(fresh).create(self.make(1)))
        with pytest.raises(UnitOfWorkError):
            self.units().run(lambda uow: self.units().run(lambda fresh: None))
        assert self.count() == 0

    def test_work_that_would_be_done_too_late_is_refused(self) -> None:
        def generator(uow: UnitOfWork) -> Iterator[int]:
            self.repository(uow).create(self.make(1))
            yield 1

        async def coroutine(uow: UnitOfWork) -> None:
            self.repository(uow).create(self.make(1))

        for work in (generator, coroutine):
            with pytest.raises(UnitOfWorkError):
                self.units().run(work)
        assert self.count() == 0

    def test_what_is_stored_is_never_run_again(self) -> None:
        calls: list[int] = []

        def failing() -> None:
            raise Deadlock("in a hook")

        def work(uow: UnitOfWork) -> None:
            calls.append(1)
            self.repository(uow).create(self.make(1))
            uow.after_commit(failing)

        with pytest.raises(AfterCommitError) as caught:
            self.units().run(work)
        assert [type(error) for error in caught.value.errors] == [Deadlock]
        assert len(calls) == self.count() == 1

    def test_what_the_work_has_committed_itself_is_never_run_again(self) -> None:
        calls: list[int] = []

        def work(uow: UnitOfWork) -> None:
            calls.append(1)
            self.repository(uow).create(self.make(len(calls)))
            uow.commit()
            raise Deadlock("too late")

        with pytest.raises(Deadlock):
            self.units().run(work)
        assert len(calls) == self.count() == 1

    def test_a_unit_that_only_reads_can_be_run(self) -> None:
        self.fill(2)
        assert self.units(read_only=True).run(lambda uow: self.repository(uow).count()) == 2
