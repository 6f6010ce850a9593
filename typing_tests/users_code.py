"""What users' code infers. Type checkers read this file; nobody runs it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, assert_type

from orders import OrderModel as ExampleOrderModel
from orders import Shop as ExampleShop
from orders_domain import Order as ExampleOrder
from orders_domain import OrderLine, OrderRepository
from sqlmodel import Field, col, select

from domain import ALL, Entity, Page, Person, PersonRepository, Team, TeamRepository, ports, where
from domain import unit_of_work as domain_ports
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Database,
    Model,
    Timestamped,
    Versioned,
)
from infrastructure.database.models.person import PersonModel
from infrastructure.database.models.team import TeamModel
from infrastructure.database.repositories.person import SqlPersonRepository
from infrastructure.database.repositories.team import SqlTeamRepository
from infrastructure.database.unit_of_work import UnitOfWork
from infrastructure.testing import (
    BaseInMemoryUnitOfWork,
    InMemoryRepository,
    InMemoryUnitOfWork,
    assert_queries,
)

# -- what users write -----------------------------------------------------------------------------


class Tag(Model, table=True):
    __tablename__: ClassVar[str] = "tags"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20, unique=True)


@dataclass(eq=False, kw_only=True)
class Order(Entity):
    number: str
    total: int = 0
    id: int | None = None


class OrderModel(Order, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "orders"

    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(max_length=20)


class SqlOrderRepository(BaseRepository[Order]):
    model = OrderModel
    default_order = ("-number", "id")

    def large(self) -> list[Order]:
        return self.get_all(where("total") > 100, order_by="-total", limit=10)


class TagRepository(BaseRepository[Tag]):
    default_order = "name"


class Shop(BaseUnitOfWork):
    orders: SqlOrderRepository
    tags: TagRepository


# -- the adapters fit the ports: stated here, and nowhere else -------------------------------------


def the_adapters_fit_the_ports(
    people: SqlPersonRepository, teams: SqlTeamRepository, uow: UnitOfWork, base: BaseUnitOfWork
) -> None:
    person_repository: PersonRepository = people
    team_repository: TeamRepository = teams
    repository_of_people: ports.Repository[Person] = people
    application: domain_ports.UnitOfWork = uow
    unit_of_work: ports.UnitOfWork = base
    assert_type(application.people.require(1), Person)
    assert_type(application.teams.find_by_name("Core"), Team | None)
    del person_repository, team_repository, repository_of_people, unit_of_work


def a_use_case(uow: domain_ports.UnitOfWork) -> str:
    """The application's own code knows the ports only."""
    with uow:
        assert_type(uow.people.find_by_email("ada@example.com"), Person | None)
        team = uow.teams.require(1)
        ada = uow.people.create(Person(name="Ada", email="ada@example.com"))
        ada.join(team, members=uow.people.count_in_team(1))
        uow.commit()
    return ada.name


def run_the_use_case() -> None:
    a_use_case(UnitOfWork())


def count_people(uow: domain_ports.UnitOfWork) -> int:
    return uow.people.count()


def run_again(uow: UnitOfWork, port: domain_ports.UnitOfWork) -> None:
    assert_type(uow.run(lambda uow: uow.people.require(1).name), str)
    assert_type(uow.run(count_people, attempts=3, timeout=1.5), int)
    assert_type(port.run(count_people), int)
    assert_type(port.run(lambda uow: uow.people.get_all()), list[Person])
    assert_type(BaseUnitOfWork().run(lambda uow: uow.repository(Tag).first()), Tag | None)


# -- what is inferred -----------------------------------------------------------------------------


def a_unit(database: Database) -> None:
    with UnitOfWork(database, read_only=True) as uow:
        assert_type(uow, UnitOfWork)
        assert_type(uow.people, SqlPersonRepository)
        assert_type(uow.teams, SqlTeamRepository)
        assert_type(uow.commit(), None)
        with uow.savepoint() as nothing:
            assert_type(nothing, None)
        uow.after_commit(lambda: print)
    with Shop(database) as shop:
        assert_type(shop.orders.large(), list[Order])
        assert_type(shop.tags.first(), Tag | None)
    with Database("sqlite://", pool_size=1, busy_timeout=0.5) as opened:
        assert_type(opened, Database)
        assert_type(opened.url, str)
    assert_type(Database.default(), Database)


def reading(uow: UnitOfWork) -> None:
    people = uow.people
    assert_type(people.require(1).name, str)
    assert_type(people.require(1, for_update=True), Person)
    assert_type(people.get_by_id(1), Person | None)
    assert_type(people.get_many([1, 2]), list[Person])
    assert_type(people.get_all(), list[Person])
    assert_type(people.first(order_by="-name"), Person | None)
    assert_type(people.one(where("email") == "ada@example.com"), Person)
    assert_type(people.count(), int)
    assert_type(people.exists(ALL), bool)
    assert_type(people.loading("team"), SqlPersonRepository)


def criteria_and_orders(uow: UnitOfWork) -> None:
    adults = (where("team_id") == 1) & ~where("name").startswith("A") | where("id").in_([1, 2])
    uow.people.get_all(adults, where("email").is_none(), order_by="name", limit=5, offset=10)
    uow.people.get_all(col(PersonModel.name) == "Ada", order_by=["name", "-id"])
    uow.people.get_all(col(PersonModel.team_id).is_(None), order_by=col(PersonModel.name).desc())
    uow.people.get_all(adults, col(PersonModel.id) > 3, order_by=(col(PersonModel.name), "-id"))
    uow.people.get_all(order_by=col(PersonModel.name))


def writing(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    ada = Person(name="Ada", email="ada@example.com")
    assert_type(uow.people.create(ada), Person)
    assert_type(uow.people.create(PersonModel(name="Ada", email="ada@example.com")), Person)
    assert_type(uow.people.create(values), Person)
    assert_type(uow.people.create_many([ada, ada]), list[Person])
    assert_type(uow.people.create_many([{"name": "Ada"}]), list[Person])
    assert_type(uow.people.create_deferred(ada), Person)
    assert_type(uow.people.update(ada), Person)
    assert_type(uow.people.update(1, name="Ada", version=3), Person)
    assert_type(uow.people.update_where(where("team_id") == 1, team_id=None), int)
    assert_type(uow.people.delete_where(ALL), int)
    assert_type(uow.people.delete(ada), None)
    uow.people.delete(1)


def a_table_without_a_repository(uow: UnitOfWork) -> None:
    tags = uow.repository(Tag)
    assert_type(tags, BaseRepository[Tag])
    assert_type(tags.create(Tag(name="red")), Tag)
    assert_type(tags.create(Tag(name="red")).id, int | None)
    assert_type(tags.update(1, name="green"), Tag)
    assert_type(tags.update(Tag(name="red")), Tag)
    assert_type(uow.repository(PersonModel).require(1).version, int)


def rows_are_entities() -> None:
    row = PersonModel(name="Ada", email="ada@example.com", team_id=1)
    person: Person = row
    assert_type(row.name, str)
    assert_type(row.version, int)
    assert_type(row.model_copy(update={"name": "Countess"}), PersonModel)
    assert_type(PersonModel.model_validate({"name": "Ada"}), PersonModel)
    assert_type(PersonModel.model_validate_json("{}"), PersonModel)
    row.join(TeamModel(name="Core", id=1))
    assert_type(person == row, bool)
    assert_type({person: 1}[row], int)


def long_results(uow: UnitOfWork) -> None:
    assert_type(uow.people.page(where("name") == "Ada", number=2), Page[Person])
    assert_type(uow.people.window(order_by="name").items, Sequence[Person])
    assert_type(uow.people.window().next, str | None)
    assert_type(uow.people.stream(batch_size=10), Iterator[Person])
    assert_type(uow.people.bulk_create({"name": str(n)} for n in range(3)), int)
    assert_type(uow.people.bulk_upsert([], on="email"), int)
    assert_type(
        uow.people.get_or_create(Person(name="a", email="b"), on="email"), tuple[Person, bool]
    )
    assert_type(uow.people.upsert({"name": "a"}, on=("email",)), Person)


def aggregates(uow: ExampleShop) -> None:
    orders: OrderRepository = uow.orders
    assert_type(uow.orders.require(1), ExampleOrder)
    assert_type(uow.orders.require(1).lines, list[OrderLine])
    assert_type(uow.orders.require(1).lines[0].price.currency, str)
    assert_type(ExampleOrderModel(customer="Ada").lines, list[OrderLine])
    assert_type(uow.orders.view(OrderLine), list[OrderLine])
    assert_type(orders.of_customer("Ada"), list[ExampleOrder])


def statements(uow: UnitOfWork) -> None:
    assert_type(uow.session.exec(select(PersonModel)).all(), Sequence[PersonModel])
    assert_type(uow.session.exec(select(Tag.name)).first(), str | None)


class InMemoryShop(BaseInMemoryUnitOfWork):
    tags: InMemoryRepository[Tag]
    orders: InMemoryRepository[Order]


def in_memory(uow: InMemoryUnitOfWork, shop: InMemoryShop) -> None:
    port: domain_ports.UnitOfWork = uow
    people: PersonRepository = uow.people
    assert_type(port.people.require(1).name, str)
    assert_type(people.in_team(1), list[Person])
    assert_type(shop.tags.require(1).name, str)
    assert_type(shop.orders.create(Order(number="1")), Order)
    assert_type(uow.run(lambda fresh: fresh.people.count()), int)


def counted(database: Database) -> None:
    with assert_queries(database, max=1) as queries:
        assert_type(len(queries), int)
