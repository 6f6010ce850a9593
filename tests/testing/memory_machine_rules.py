"""What the caller in two worlds does with entities."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from domain import Person, Team
from tests.testing.memory_machine import (
    BAD_ORDERS,
    CHANGES,
    CRITERIA,
    LIMITS,
    ORDERS,
    WRONG,
    Wish,
    World,
    kinds,
    picks,
    wishes,
)
from tests.testing.memory_machine_events import Teller

NO_KEYS = [999_999, "x", None, 2**40, 1.0, 1.5, True, "7", (1, 2)]
FORMS = ["get_all", "first", "one", "count"]
EVERYDAY = [
    *("create",) * 6,
    *("create_many",) * 2,
    "create_again",
    *("get_by_id",) * 2,
    *("load_all",) * 3,
    *("find",) * 5,
    *("change",) * 6,
    *("change_and_look",) * 4,
    "change_for_the_worse",
    *("delete",) * 3,
    *("delete_by_id",) * 2,
    *("record",) * 8,
    *("join",) * 3,
    *("publish",) * 5,
    *("try_in_vain",) * 4,
    "publish_nonsense",
    "publish_what_is_unfit",
    "ask_for_nonsense",
    "create_nonsense",
    *("settle",) * 4,
]
"""What is done, and how often."""

ENDS = [*("go_back",) * 3, *("leave_it",) * 2, "throw"]
ENDS_OF_PARTS = [*("undo",) * 3, *("release_it",) * 3]

spoils = st.sampled_from([*(None,) * 9, 5, "x" * 400])


class Machine(Teller):
    """Creates, finds, changes and deletes."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Some are there already."""
        self.enter()
        for kind in ("teams", "people"):
            for _ in range(2):
                self._create(self._give(data.draw(wishes)._replace(kind=kind, new=True)))
        if data.draw(st.booleans()):
            self.commit()
        self.load_all(data)

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self._possible()))
        getattr(self, name)(data)

    def _possible(self) -> list[str]:
        if not self.is_open:
            return ["enter_again", "enter_again", "enter_again", "change", "record"]
        ends = ENDS_OF_PARTS if self.depth else ENDS
        if self.has_failed and self.refused:
            return ends
        return [*EVERYDAY, *ends, *(["begin_part"] * 3 if self.depth < 3 else [])]

    # -- blocks --------------------------------------------------------------------------------

    def enter_again(self, data: st.DataObject) -> None:
        self.enter(read_only=data.draw(st.sampled_from([False] * 5 + [True])))

    def leave_it(self, data: st.DataObject) -> None:
        self.leave()

    def throw(self, data: st.DataObject) -> None:
        self.leave_by_exception()

    def settle(self, data: st.DataObject) -> None:
        self.commit()

    def go_back(self, data: st.DataObject) -> None:
        self.rollback()

    def begin_part(self, data: st.DataObject) -> None:
        self.savepoint()

    def undo(self, data: st.DataObject) -> None:
        self.undo_savepoint()

    def release_it(self, data: st.DataObject) -> None:
        self.release()

    # -- creating ------------------------------------------------------------------------------

    def _give(self, wish: Wish) -> int:
        """Take a new entity in both hands; where it is."""
        self.numbered += wish.new
        unique = f"u{self.numbered}" if wish.new else "ab"[len(wish.name) % 2]
        self.hold(wish.kind, self._new(wish, unique), self._new(wish, unique))
        return len(self.kinds) - 1

    def _new(self, wish: Wish, unique: str) -> Any:
        if wish.kind == "teams":
            return Team(name=unique, member_limit=wish.limit)
        team = self.an_id("teams", wish.team)
        return Person(name=wish.name, email=f"{unique}@example.com", team_id=team)

    def create(self, data: st.DataObject) -> None:
        at, spoil = self._give(data.draw(wishes)), data.draw(spoils)
        if data.draw(st.booleans()):
            self.tell(at, function=data.draw(st.booleans()))
        if spoil is not None:
            self.set(at, "name", spoil)
        self._create(at)
        self._perhaps_commit(ends=data.draw(st.booleans()))

    def try_in_vain(self, data: st.DataObject) -> None:
        """What is undone was told to nobody; what is new again is told when it is stored."""
        self.savepoint()
        if not self.depth:
            return
        at = self._give(data.draw(wishes)._replace(new=True))
        self.tell(at, function=data.draw(st.booleans()))
        self._create(at)
        self.publish(data)
        self.record(data)
        self.undo_savepoint()
        self._create(at)
        self._perhaps_commit(ends=data.draw(st.booleans()))

    def create_many(self, data: st.DataObject) -> None:
        kind, many = data.draw(kinds), data.draw(st.lists(wishes, max_size=4))
        spoil = data.draw(st.sampled_from([*(None,) * 5, 1]))
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

    def create_again(self, data: st.DataObject) -> None:
        at = self.pick(data.draw(picks))
        # A row of a database is known for ever as one that was stored; a plain object is not.
        if at is not None and (self.is_original(at) or self.is_tracked(at)):
            self._create(at)

    def _create(self, at: int) -> None:
        kind = self.kinds[at]
        self.both(lambda world: world.repository(kind).create(world.held[at]), kind, creates=True)

    # -- finding -------------------------------------------------------------------------------

    def get_by_id(self, data: st.DataObject) -> None:
        kind = data.draw(kinds)
        id = self.an_id(kind, data.draw(picks))
        # Whether something is loaded, so that nothing has to be flushed, is nobody's business.
        if self.both(lambda world: world.uow.people.count()).error is None:
            self.both(lambda world: world.repository(kind).get_by_id(id), kind)

    def find(self, data: st.DataObject) -> None:
        kind, form = data.draw(kinds), data.draw(st.sampled_from(FORMS))
        orders = [*ORDERS[kind] * 4, *BAD_ORDERS]
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

    def load_all(self, data: st.DataObject) -> None:
        kind = data.draw(kinds)
        self.both(lambda world: world.repository(kind).get_all(order_by="id"), kind)

    # -- changing and deleting -----------------------------------------------------------------

    def change(self, data: st.DataObject) -> None:
        at = self.pick(data.draw(picks))
        if at is not None:
            name, value = data.draw(st.sampled_from(CHANGES[self.kinds[at]]))
            self._change(at, name, value, data)

    def change_and_look(self, data: st.DataObject) -> None:
        self.change(data)
        self.both(lambda world: world.uow.people.count())

    def change_for_the_worse(self, data: st.DataObject) -> None:
        """Only beside nothing else that waits: what of it comes first is not promised."""
        at, stays = self.pick(data.draw(picks)), data.draw(st.booleans())
        waiting = self.both(lambda world: world.uow.people.count())
        if at is None or not self.is_tracked(at) or waiting.error is not None:
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

    def _use_with_changed_original(self, kind: str, ends: bool) -> None:
        if self.is_open and ends:
            self.commit()
        elif self.is_open:
            self.both(lambda world: world.repository(kind).create_many([]))

    def delete(self, data: st.DataObject) -> None:
        at = self.pick(data.draw(picks))
        if at is not None:
            kind = self.kinds[at]
            if self.is_tracked(at) and not self.has_failed and data.draw(st.booleans()):
                self.tell(at, function=data.draw(st.booleans()))
            self.both(lambda world: world.repository(kind).delete(world.held[at]))
            self._perhaps_commit(ends=data.draw(st.booleans()))

    def delete_by_id(self, data: st.DataObject) -> None:
        kind = data.draw(kinds)
        id = self.an_id(kind, data.draw(picks))
        self.both(lambda world: world.repository(kind).delete(id))

    # -- what makes no sense -------------------------------------------------------------------

    def ask_for_nonsense(self, data: st.DataObject) -> None:
        kind, given = data.draw(kinds), data.draw(st.sampled_from(NO_KEYS))
        self.both(lambda world: world.repository(kind).require(given), kind)
        self.both(lambda world: world.repository(kind).delete(given))
        other = self.pick(data.draw(picks), "teams" if kind == "people" else "people")
        if other is not None:
            self.both(lambda world: world.repository(kind).delete(world.held[other]))

    def create_nonsense(self, data: st.DataObject) -> None:
        kind, given = data.draw(kinds), data.draw(st.sampled_from([None, 5, "text", [1], [None]]))
        many = isinstance(given, list)
        method = "create_many" if many else "create"
        self.both(lambda world: getattr(world.repository(kind), method)(given))
