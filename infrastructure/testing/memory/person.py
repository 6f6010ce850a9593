"""People in memory."""

from domain import Person, where
from infrastructure.database.models.person import PersonModel
from infrastructure.testing.memory.repository import InMemoryRepository


class InMemoryPersonRepository(InMemoryRepository[Person]):
    """The queries of ``domain.person.PersonRepository``."""

    model = PersonModel

    def find_by_email(self, email: str, /) -> Person | None:
        """The person with exactly this address, or None."""
        return self.first(where("email") == email)

    def in_team(self, team_id: int, /) -> list[Person]:
        """The members of a team, by name; empty if there are none, or no such team."""
        return self.get_all(where("team_id") == team_id, order_by=("name", "id"))

    def count_in_team(self, team_id: int, /) -> int:
        """How many members a team has; 0 if there is no such team."""
        return self.count(where("team_id") == team_id)
