"""What the other ways of writing publish, which only a repository on a database has."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import ConcurrencyConflict
from infrastructure.testing.contracts.sql_reading import SqlSubject
from infrastructure.testing.contracts.subject import E, id_of
from infrastructure.testing.contracts.telling import TellingSubject, Told, is_silent


class SqlRecordingContract(TellingSubject[E], SqlSubject[E]):
    """``update``, ``create_deferred``, ``get_or_create`` and ``upsert``."""

    def detached(self, id: Any, text: str, *, read_only: bool) -> Any:
        """An entity of a unit that was left, which has changed and recorded something since."""
        with self.units(read_only=read_only) as uow:
            entity: Any = self.repository(uow).require(id)
        self.change(entity)
        entity.record(Told(text=text))
        entity.record(lambda one: Told(text=f"{text} {id_of(one)}"))
        return entity

    def test_an_update_publishes_what_a_detached_entity_had_recorded(self) -> None:
        ids = self.loadable(2)
        for id, read_only in zip(ids, (True, False), strict=True):
            entity = self.detached(id, "before", read_only=read_only)
            with self.units() as uow:
                updated: Any = self.repository(uow).update(entity)
                assert updated is entity or is_silent(entity), "it would be published twice"
                updated.record(Told(text="after"))
                uow.commit()
            assert self.told() == ["before", f"before {id}", "after"]

    def test_an_update_that_is_rolled_back_can_be_tried_again(self) -> None:
        ids = self.loadable(2)
        for id, read_only in zip(ids, (True, False), strict=True):
            entity = self.detached(id, "once", read_only=read_only)
            for _ in range(2):
                with self.units() as uow:
                    self.repository(uow).update(entity)
                    self.repository(uow).count()
                    uow.rollback()
            with self.units() as uow:
                self.repository(uow).update(entity)
                uow.commit()
            assert self.told() == ["once", f"once {id}"]

    def test_an_update_that_comes_too_late_publishes_nothing(self) -> None:
        self.needs("versioned")
        (id,) = self.loadable(1)
        entity = self.detached(id, "too late", read_only=True)
        with self.units() as uow:
            self.change(self.repository(uow).require(id))
            uow.commit()
        with self.units() as uow:
            with pytest.raises(ConcurrencyConflict):
                self.repository(uow).update(entity)
            uow.rollback()
            uow.commit()
        assert self.told() == []
        assert not is_silent(entity)

    def test_an_update_of_a_tracked_entity_publishes_once(self) -> None:
        (id,) = self.loadable(1)
        with self.units() as uow:
            loaded: Any = self.repository(uow).require(id)
            loaded.record(Told(text="before"))
            self.repository(uow).update(loaded)
            loaded.record(Told(text="after"))
            uow.commit()
        assert self.told() == ["before", "after"]

    def test_a_deferred_entity_publishes_when_it_is_written(self) -> None:
        with self.units() as uow:
            self.repository(uow).create_deferred(self.recording(1, "rolled back"))
            uow.rollback()
            queued: Any = self.repository(uow).create_deferred(self.recording(2, "queued"))
            queued.record(lambda one: Told(text=f"id {id_of(one)}"))
            uow.commit()
        assert self.told() == ["queued", f"id {id_of(queued)}"]

    def test_what_is_there_already_is_not_stored_and_publishes_nothing(self) -> None:
        self.needs("unique")
        self.loadable(1)
        new, old = self.recording(2, "new"), self.recording(1, "old")
        with self.units() as uow:
            for entity in (old, new):
                self.repository(uow).get_or_create(entity, on=self.unique)
            uow.commit()
        assert self.told() == ["new"]
        assert not is_silent(old)

    def test_an_upsert_publishes_whichever_it_was(self) -> None:
        self.needs("unique")
        self.loadable(1)
        with self.units() as uow:
            for entity in (self.recording(1, "updated"), self.recording(2, "inserted")):
                self.repository(uow).upsert(entity, on=self.unique)
            uow.commit()
        assert self.told() == ["updated", "inserted"]
