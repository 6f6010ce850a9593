"""What type checkers reject in users' code: an ignore that is not needed is an error, too."""

from domain import Person, PersonRepository, Team, where
from domain import unit_of_work as domain_ports
from infrastructure.database import BaseRepository, Database
from infrastructure.database.models.person import PersonModel
from infrastructure.database.repositories.person import SqlPersonRepository
from infrastructure.database.repositories.team import SqlTeamRepository
from infrastructure.database.unit_of_work import UnitOfWork

ADA = Person(name="Ada", email="ada@example.com")


def a_repository_that_is_not_there(uow: UnitOfWork, port: domain_ports.UnitOfWork) -> None:
    uow.persons  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    port.persons  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    uow.people.find_by_mail("ada@example.com")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    uow.people.commit()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def a_repository_cannot_be_replaced(
    uow: UnitOfWork, port: domain_ports.UnitOfWork, people: SqlPersonRepository
) -> None:
    port.people = people  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    uow.people = uow.teams  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


def wrong_fields() -> None:
    PersonModel(nam="x", email="x@example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PersonModel(name=3, email="x@example.com")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Person(nam="x", email="x@example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Person("Ada", "ada@example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ADA.name = 3  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    ADA.nickname = "x"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def wrong_criteria(uow: UnitOfWork) -> None:
    uow.people.get_all("name = 'Ada'")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_all({"name": "Ada"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_all(PersonModel.name == "Ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_all(name="Ada")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    uow.people.get_all(where("name"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.one(lambda person: person.name == "Ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_all(order_by=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_all(order_by=where("name") == "Ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_all(limit="ten")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.count(True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    where("name").like("A%")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def wrong_arguments(uow: UnitOfWork, port: domain_ports.UnitOfWork) -> None:
    port.people.create(Team(name="Core"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    port.people.create_many([Team(name="Core")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    uow.people.create(Team(name="Core"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.create(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.create_deferred("Ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.create_many([Team(name="Core")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    uow.people.create_many(ADA)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.get_many(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.people.create()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    uow.people.create(entity=ADA)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    uow.people.require(id=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    uow.people.update(name="Ada")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ADA.join(ADA)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_work(uow: UnitOfWork) -> None:
    uow.run(len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uow.run(lambda: 1)  # type: ignore[misc, arg-type]  # pyright: ignore[reportArgumentType]
    uow.run(repr, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    uow.run(repr, attempts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_results(uow: UnitOfWork) -> None:
    uow.people.first().name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    uow.people.get_by_id(1).name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    uow.people.require(1).version  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    team: Team = uow.people.require(1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    number: int = uow.people.require(1).name  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del team, number


def wrong_settings() -> None:
    UnitOfWork("sqlite://")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    UnitOfWork(readonly=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    UnitOfWork(None, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Database("sqlite://", 5)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    Database("sqlite://", poolsize=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Database("sqlite://").url = "sqlite://"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def what_does_not_fit_the_port(teams: SqlTeamRepository, rows: BaseRepository[PersonModel]) -> None:
    people: PersonRepository = teams  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    more: PersonRepository = rows  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del people, more
