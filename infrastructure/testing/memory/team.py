"""Teams in memory."""

from domain import Team, where
from infrastructure.database.models.team import TeamModel
from infrastructure.testing.memory.repository import InMemoryRepository


class InMemoryTeamRepository(InMemoryRepository[Team]):
    """The queries of ``domain.team.TeamRepository``."""

    model = TeamModel

    def find_by_name(self, name: str, /) -> Team | None:
        """The team with exactly this name, or None."""
        return self.first(where("name") == name)
