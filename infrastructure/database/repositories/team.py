"""Teams in the database."""

from domain import Team, where
from infrastructure.database.base_repository import BaseRepository
from infrastructure.database.models.team import TeamModel


class SqlTeamRepository(BaseRepository[Team]):
    """The queries of ``domain.team.TeamRepository``."""

    model = TeamModel

    def find_by_name(self, name: str, /) -> Team | None:
        """The team with exactly this name, or None."""
        return self.first(where("name") == name)
