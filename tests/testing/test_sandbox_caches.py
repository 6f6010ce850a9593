"""What is cached in a sandbox is undone with it."""

from __future__ import annotations

import pytest

from domain import Team, where
from domain.errors import EntityNotFound
from infrastructure.cache import CachePolicy
from infrastructure.database import BaseRepository, BaseUnitOfWork, cached_query
from infrastructure.database.models.team import TeamModel
from infrastructure.testing.sandbox import SandboxDatabase


class CachedTeams(BaseRepository[Team]):
    model = TeamModel
    cache = CachePolicy(ttl=3600)

    @cached_query
    def named(self, name: str) -> list[Team]:
        return self.get_all(where("name") == name)


class Unit(BaseUnitOfWork):
    teams: CachedTeams


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_no_test_is_served_what_another_has_stored(database: SandboxDatabase, name: str) -> None:
    with Unit(database, read_only=True) as uow:
        assert uow.teams.named(name) == uow.teams.named("first") == []
        assert uow.teams.get_by_id(1) is None
    with Unit(database) as uow:
        id = uow.teams.create(Team(name=name)).id
        uow.commit()
    for _ in range(2):
        with Unit(database, read_only=True) as uow:
            assert uow.teams.require(id).name == name
            assert [team.name for team in uow.teams.named(name)] == [name]
    with Unit(database) as uow:
        uow.teams.delete(id)
        uow.commit()
    with Unit(database, read_only=True) as uow:
        with pytest.raises(EntityNotFound):
            uow.teams.require(id)
        assert uow.teams.named(name) == []
        uow.teams.named("first")
    with Unit(database) as uow:
        uow.teams.create(Team(name=name, id=1))
        uow.commit()
    with Unit(database, read_only=True) as uow:
        assert uow.teams.require(1).name == name
        assert len(uow.teams.named(name)) == 1
