"""What the caller in two worlds does with entities."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from domain import Person, Team
from tests.testing.memory_machine import (
    BAD_ORDERS,
    CHANGES,
    CRITERIA,
    LIMITS,
    ORDERS,
    WRONG,
    Caller,
    Wish,
    World,
    kinds,
    picks,
    usable,
    wishes,
)

NO_KEYS = [999_999, "x", None, 2**40, 1.0, 1.5, True, "7", (1, 2)]
FORMS = ["get_all", "first", "one", "count"]
spoils = st.sampled_from([*(None,) * 9, 5, "x" * 400])


class Machine(Caller):
    """Creates, finds, changes and deletes."""

    # -- creating ------------------------------------------------------------------------------

    def _give(self, wish: Wish) -> int:
        """Take a new entity in both hands; where it is."""
        self.numbered += wish.new
        unique = f"u{self.numbered}" if wish.new else wish.name[:1].replace("x", "y")
        self.hold(wish.kind, self._new(wish, unique), self._new(wish, unique))
        return len(self.kinds) - 1

    def _new(self, wish: Wish, unique: str) -> Any:
        if wish.kind == "teams":
            return Team(name=unique, member_limit=wish.limit)
        team = self.an_id("teams", wish.team)
        return Person(name=wish.name, email=f"{unique}@example.com", team_id=team)

    @usable
    @rule(wish=wishes, spoil=spoils)
    def create(self, wish: Wish, spoil: Any) -> None:
        at = self._give(wish)
        if spoil is not None:
            self.set(at, "name", spoil)
        self._create(at)

    @usable
    @rule(wish=wishes)
    def create_one_more(self, wish: Wish) -> None:
        self._create(self._give(wish))

    @usable
    @rule(kind=kinds, many=st.lists(wishes, max_size=4), spoil=st.sampled_from([*(None,) * 5, 1]))
    def create_many(self, kind: str, many: list[Wish], spoil: int | None) -> None:
        # Which error comes first, of a duplicate and an earlier reference, is not the same for
        # all databases: SQLite looks at each row by itself.
        alone = [wish._replace(kind=kind, team=None) for wish in many[:-1]]
        places = [*map(self._give, alone)]
        places += [self._give(wish._replace(kind=kind)) for wish in many[-1:]]
        if spoil is not None and len(places) > spoil:
            self.set(places[spoil], "name", None)
        self.both(
            lambda world: world.repository(kind).create_many(world.held[at] for at in places),
            kind,
            creates=True,
        )

    @usable
    @rule(pick=picks)
    def create_again(self, pick: int) -> None:
        at = self.pick(pick)
        # A row of a database is known for ever as one that was stored; a plain object is not.
        if at is not None and self.is_original(at):
            self._create(at)

    def _create(self, at: int) -> None:
        kind = self.kinds[at]
        self.both(lambda world: world.repository(kind).create(world.held[at]), kind, creates=True)

    # -- finding -------------------------------------------------------------------------------

    @usable
    @rule(kind=kinds, pick=picks)
    def get_by_id(self, kind: str, pick: int) -> None:
        id = self.an_id(kind, pick)
        self.both(lambda world: world.repository(kind).get_by_id(id), kind)

    @usable
    @rule(kind=kinds, form=st.sampled_from(FORMS), data=st.data())
    def find(self, kind: str, form: str, data: st.DataObject) -> None:
        orders = [*ORDERS[kind] * 2, *BAD_ORDERS]
        some = st.lists(st.sampled_from(CRITERIA[kind]), max_size=2)
        criteria = [one() for one in data.draw(some)]
        order = data.draw(st.sampled_from(ORDERS[kind] if form == "first" else orders))
        limits = [data.draw(st.sampled_from(LIMITS)) for _ in range(2 * (form == "get_all"))]

        def step(world: World) -> Any:
            kept = world.repository(kind)
            if form == "get_all":
                limit, offset = limits
                return kept.get_all(*criteria, order_by=order, limit=limit, offset=offset)
            if form == "first":
                return kept.first(*criteria, order_by=order)
            if form == "one":
                return kept.one(*criteria)
            return [kept.count(*criteria), kept.exists(*criteria)]

        self.both(step, kind)

    @usable
    @rule(kind=kinds)
    def load_all(self, kind: str) -> None:
        self.both(lambda world: world.repository(kind).get_all(order_by="id"), kind)

    # -- changing and deleting -----------------------------------------------------------------

    @rule(pick=picks, data=st.data())
    def change(self, pick: int, data: st.DataObject) -> None:
        at = self.pick(pick)
        if at is not None:
            name, value = data.draw(st.sampled_from(CHANGES[self.kinds[at]]))
            self._change(at, name, value, data)

    @rule(pick=picks, data=st.data())
    def change_another(self, pick: int, data: st.DataObject) -> None:
        self.change(pick, data)

    @usable
    @rule(pick=picks, data=st.data())
    def change_and_look(self, pick: int, data: st.DataObject) -> None:
        self.change(pick, data)
        self.both(lambda world: world.uow.people.count())

    @usable
    @rule(pick=picks, data=st.data(), stays=st.booleans())
    def change_for_the_worse(self, pick: int, data: st.DataObject, stays: bool) -> None:
        """Only beside nothing else that waits: what of it comes first is not promised."""
        at = self.pick(pick)
        if at is None or self.changes or self.is_original(at):
            return
        kind = self.kinds[at]
        name, value = data.draw(st.sampled_from(WRONG[kind]))
        before = getattr(self.sql.held[at], name)
        self.set(at, name, value)
        self.both(lambda world: world.repository(kind).count())
        if stays:
            self.changes.append((at, name, before))
            self.is_spoiled = True
        else:
            self.set(at, name, before)

    def _change(self, at: int, name: str, value: Any, data: st.DataObject) -> None:
        if value == "some":
            value = self.an_id("teams", data.draw(picks))
        before = getattr(self.sql.held[at], name)
        if before == value or self.is_spoiled:
            return  # a database notices that it was set, but writes nothing
        self.set(at, name, value)
        if self.is_original(at):
            self._use_with_changed_original(self.kinds[at], data.draw(st.booleans()))
            self.set(at, name, before)
        else:
            self.changes.append((at, name, before))

    def is_original(self, at: int) -> bool:
        """Whether it is what was given, and not what came back."""
        return not hasattr(type(self.sql.held[at]), "__table__")

    def _use_with_changed_original(self, kind: str, ends: bool) -> None:
        if self.is_open and ends:
            self.commit()
        elif self.is_open:
            self.both(lambda world: world.repository(kind).create_many([]))

    @usable
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        at = self.pick(pick)
        if at is not None:
            kind = self.kinds[at]
            self.both(lambda world: world.repository(kind).delete(world.held[at]))

    @usable
    @rule(kind=kinds, pick=picks)
    def delete_by_id(self, kind: str, pick: int) -> None:
        id = self.an_id(kind, pick)
        self.both(lambda world: world.repository(kind).delete(id))

    # -- what makes no sense -------------------------------------------------------------------

    @usable
    @rule(kind=kinds, pick=picks, given=st.sampled_from(NO_KEYS))
    def ask_for_nonsense(self, kind: str, pick: int, given: Any) -> None:
        self.both(lambda world: world.repository(kind).require(given), kind)
        self.both(lambda world: world.repository(kind).delete(given))
        other = self.pick(pick, "teams" if kind == "people" else "people")
        if other is not None:
            self.both(lambda world: world.repository(kind).delete(world.held[other]))

    @usable
    @rule(kind=kinds, given=st.sampled_from([None, 5, "text", [1], [None]]))
    def create_nonsense(self, kind: str, given: Any) -> None:
        many = isinstance(given, list)
        method = "create_many" if many else "create"
        self.both(lambda world: getattr(world.repository(kind), method)(given))
