"""Blocks within a unit, and what is called after its commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import AfterCommitError, UnitOfWorkError
from infrastructure.testing.contracts.subject import E, Stop, Subject, id_of, values_of


class SavepointsContract(Subject[E]):
    """``savepoint``."""

    def test_a_savepoint_that_is_left_in_peace_changes_nothing(self) -> None:
        with self.units() as uow:
            kept = self.repository(uow)
            kept.create(self.make(1))
            with uow.savepoint():
                kept.create(self.make(2))
                assert kept.count() == 2
            assert kept.count() == 2
            uow.commit()
        assert self.count() == 2

    def test_an_exception_undoes_the_part_of_its_savepoint_alone(self) -> None:
        (stored,) = self.fill(1)
        error = Stop()
        with self.units() as uow:
            kept = self.repository(uow)
            before = kept.create(self.make(2))
            with pytest.raises(Stop) as caught, uow.savepoint():
                kept.create(self.make(3))
                kept.delete(id_of(stored))
                assert kept.count() == 2
                raise error
            assert caught.value is error
            assert kept.count() == 2
            assert kept.get_by_id(id_of(before)) is before
            assert kept.get_by_id(id_of(stored)) is not None
            kept.create(self.make(4))
            uow.commit()
        assert self.count() == 3

    def test_savepoints_are_nested(self) -> None:
        with self.units() as uow:
            kept = self.repository(uow)
            with uow.savepoint():
                kept.create(self.make(1))
                with pytest.raises(Stop), uow.savepoint():
                    kept.create(self.make(2))
                    with uow.savepoint():
                        kept.create(self.make(3))
                    assert kept.count() == 3
                    raise Stop
                assert kept.count() == 1
                with uow.savepoint():
                    kept.create(self.make(4))
            with pytest.raises(Stop), uow.savepoint():
                with uow.savepoint():
                    kept.create(self.make(5))
                raise Stop
            assert kept.count() == 2
            uow.commit()
        assert self.count() == 2

    def test_what_a_savepoint_kept_is_lost_with_the_unit(self) -> None:
        with self.units() as uow:
            with uow.savepoint():
                self.repository(uow).create(self.make(1))
            uow.rollback()
            assert self.repository(uow).count() == 0
        assert self.count() == 0

    def test_changes_within_are_undone_and_those_before_are_kept(self) -> None:
        (stored,) = self.fill(1)
        with self.units() as uow:
            kept = self.repository(uow)
            loaded = kept.require(id_of(stored))
            before = values_of(loaded)
            with pytest.raises(Stop), uow.savepoint():
                self.change(loaded)
                kept.count()
                raise Stop
            assert values_of(loaded) == before
            change = self.changed(loaded)
            with pytest.raises(Stop), uow.savepoint():
                kept.create(self.make(2))
                raise Stop
            uow.commit()
        assert self.stored(id_of(stored)) == {**before, **change}

    def test_an_undone_savepoint_takes_the_ids_away_again(self) -> None:
        original: Any = self.make(1)
        given = original.id
        with self.units() as uow:
            with pytest.raises(Stop), uow.savepoint():
                self.repository(uow).create(original)
                raise Stop
            assert original.id == given
            self.repository(uow).create(original)
            uow.commit()
        assert self.stored(id_of(original)) == values_of(original)

    def test_commit_and_rollback_inside_a_savepoint_are_refused(self) -> None:
        with self.units() as uow:
            with uow.savepoint():
                self.repository(uow).create(self.make(1))
                for end in (uow.commit, uow.rollback):
                    with pytest.raises(UnitOfWorkError):
                        end()
            uow.commit()
        assert self.count() == 1


class HooksContract(Subject[E]):
    """``after_commit``."""

    def test_hooks_are_called_after_the_commit_once_and_in_order(self) -> None:
        called: list[str] = []
        with self.units() as uow:
            uow.after_commit(lambda: called.append(f"first {self.count()}"))
            uow.after_commit(lambda: called.append("second"))
            self.repository(uow).create(self.make(1))
            assert called == []
            uow.commit()
            assert called == ["first 1", "second"]
            uow.commit()
            uow.after_commit(lambda: called.append("third"))
            uow.commit()
        assert called == ["first 1", "second", "third"]

    def test_a_hook_that_is_given_twice_is_called_twice(self) -> None:
        called: list[int] = []
        hook: Callable[[], object] = lambda: called.append(1)  # noqa: E731 -- one object, twice
        with self.units() as uow:
            uow.after_commit(hook)
            uow.after_commit(hook)
            uow.commit()
        assert called == [1, 1]

    def test_hooks_of_what_is_not_stored_are_dropped(self) -> None:
        called: list[str] = []
        with self.units() as uow:
            uow.after_commit(lambda: called.append("rolled back"))
            uow.rollback()
            uow.commit()
            uow.after_commit(lambda: called.append("never committed"))
        with pytest.raises(Stop), self.units() as uow:
            uow.after_commit(lambda: called.append("left by an exception"))
            raise Stop
        with uow:
            uow.commit()
        assert called == []

    def test_hooks_of_a_savepoint_go_with_it_and_wait_for_the_commit(self) -> None:
        called: list[str] = []
        with self.units() as uow:
            uow.after_commit(lambda: called.append("before"))
            with uow.savepoint():
                uow.after_commit(lambda: called.append("kept"))
            with pytest.raises(Stop), uow.savepoint():
                uow.after_commit(lambda: called.append("undone"))
                with uow.savepoint():
                    uow.after_commit(lambda: called.append("undone, too"))
                raise Stop
            uow.after_commit(lambda: called.append("after"))
            assert called == []
            uow.commit()
        assert called == ["before", "kept", "after"]

    def test_hooks_of_a_commit_that_fails_are_dropped(self) -> None:
        self.needs("invalid")
        called: list[str] = []
        (stored,) = self.fill(1)
        field, value = next(iter(self.invalid.items()))
        with self.units() as uow:
            uow.after_commit(lambda: called.append("not stored"))
            setattr(self.repository(uow).require(id_of(stored)), field, value)
            with pytest.raises(Exception, match=field):
                uow.commit()
            assert called == []
            uow.rollback()
            uow.commit()
        assert called == []

    def test_all_hooks_are_called_though_some_fail_and_one_error_carries_the_failures(self) -> None:
        called: list[str] = []
        failures = [ValueError("first"), Stop("second")]

        def failing(error: Exception) -> Callable[[], object]:
            def hook() -> None:
                raise error

            return hook

        with self.units() as uow:
            self.repository(uow).create(self.make(1))
            uow.after_commit(failing(failures[0]))
            uow.after_commit(lambda: called.append("between"))
            uow.after_commit(failing(failures[1]))
            uow.after_commit(lambda: called.append("last"))
            with pytest.raises(AfterCommitError) as caught:
                uow.commit()
            assert caught.value.errors == tuple(failures)
            assert called == ["between", "last"]
            uow.commit()  # they are not called again
            assert self.repository(uow).count() == 1
        assert self.count() == 1

    def test_a_hook_may_open_another_unit(self) -> None:
        def write() -> None:
            with self.units() as other:
                self.repository(other).create(self.make(2))
                other.commit()

        with self.units() as uow:
            self.repository(uow).create(self.make(1))
            uow.after_commit(write)
            uow.commit()
        assert self.count() == 2

    def test_a_unit_that_only_reads_calls_its_hooks_too(self) -> None:
        called: list[int] = []
        with self.units(read_only=True) as uow:
            uow.after_commit(lambda: called.append(self.repository(uow).count()))
            uow.commit()
        assert called == [0]
