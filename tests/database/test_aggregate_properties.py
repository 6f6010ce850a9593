"""For any aggregate with fields of every type: one change leaves all the rest as it was."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Field

from domain import Entity
from infrastructure.database import (
    BaseRepository,
    BaseUnitOfWork,
    Children,
    Database,
    Embedded,
    Model,
    Timestamped,
    Versioned,
)

EXAMPLES = 10
SOAK = 500


class Kind(Enum):
    SMALL = "s"
    LARGE = 2


@dataclass(frozen=True)
class Price:
    amount: Decimal
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Term:
    words: tuple[str, ...]
    kind: Kind
    since: datetime
    day: date | None
    weight: float
    flag: bool
    count: int
    key: UUID
    price: Price
    best: Price | None


@dataclass(eq=False, kw_only=True)
class Answer(Entity):
    text: str
    kind: Kind | None = None
    amount: int | None = None
    price: Price
    term: Term | None = None
    options: list[Any] = field(default_factory=list)
    id: UUID = field(default_factory=uuid4)


@dataclass(eq=False, kw_only=True)
class Remark(Entity):
    text: str
    at: datetime | None = None
    id: int | None = None


@dataclass(eq=False, kw_only=True)
class Survey(Entity):
    title: str
    kind: Kind
    rank: int
    ratio: float
    fee: Decimal
    flag: bool | None = None
    made: datetime | None = None
    day: date | None = None
    token: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    price: Price | None = None
    term: Term
    answers: list[Answer] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    id: int | None = None


class SurveyModel(Survey, Timestamped, Versioned, Model, table=True):
    __tablename__: ClassVar[str] = "any_surveys"

    id: int | None = Field(default=None, primary_key=True)
    price: Price | None = Field(default=None, sa_type=Embedded(Price))
    term: Term = Field(sa_type=Embedded(Term))
    answers: list[Answer] = Children("AnswerModel", order_by="position")
    remarks: list[Remark] = Children("RemarkModel")


class AnswerModel(Answer, Model, table=True):
    __tablename__: ClassVar[str] = "any_answers"

    id: UUID = Field(primary_key=True)
    price: Price = Field(sa_type=Embedded(Price))
    term: Term | None = Field(default=None, sa_type=Embedded(Term))
    survey_id: int = Field(foreign_key="any_surveys.id", index=True)
    position: int


class RemarkModel(Remark, Model, table=True):
    __tablename__: ClassVar[str] = "any_remarks"

    id: int | None = Field(default=None, primary_key=True)
    survey_id: int = Field(foreign_key="any_surveys.id", index=True)


class SurveyRepository(BaseRepository[Survey]):
    model = SurveyModel


class Units(BaseUnitOfWork):
    surveys: SurveyRepository


@pytest.fixture
def tables() -> list[Any]:
    return [SurveyModel, AnswerModel, RemarkModel]


def many(soak: bool) -> Callable[[Any], Any]:
    return settings(
        max_examples=SOAK if soak else EXAMPLES,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
numbers = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(-1e9, 1e9)
decimals = st.decimals(-(10**12), 10**12, allow_nan=False, places=4)
moments = st.datetimes(timezones=st.just(UTC))
days = st.dates()
kinds = st.sampled_from(Kind)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | floats | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
prices = st.builds(Price, amount=decimals, currency=words)
terms = st.builds(
    Term,
    words=st.lists(words, max_size=3).map(tuple),
    kind=kinds,
    since=moments,
    day=st.none() | days,
    weight=floats,
    flag=st.booleans(),
    count=st.integers(-(2**63), 2**63 - 1),
    key=st.uuids(),
    price=prices,
    best=st.none() | prices,
)

FIELDS: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    Answer: {
        "text": words,
        "kind": st.none() | kinds,
        "amount": st.none() | numbers,
        "price": prices,
        "term": st.none() | terms,
        "options": st.lists(json, max_size=3),
    },
    Remark: {"text": words, "at": st.none() | moments},
    Survey: {
        "title": words,
        "kind": kinds,
        "rank": numbers,
        "ratio": floats,
        "fee": decimals,
        "flag": st.none() | st.booleans(),
        "made": st.none() | moments,
        "day": st.none() | days,
        "token": st.none() | st.uuids(),
        "data": st.dictionaries(words, json, max_size=3),
        "tags": st.lists(words, max_size=3),
        "price": st.none() | prices,
        "term": terms,
    },
}
LISTS = ("answers", "remarks")
surveys = st.builds(
    Survey,
    **FIELDS[Survey],
    answers=st.lists(st.builds(Answer, **FIELDS[Answer]), max_size=6),
    remarks=st.lists(st.builds(Remark, **FIELDS[Remark]), max_size=3),
)

Place = tuple[str, int, str]


def everything(survey: Survey) -> dict[Place, Any]:
    """Each field of the root and of its children with its type, by where it is."""
    held: dict[Place, Any] = {}
    for name in FIELDS[Survey]:
        held["", 0, name] = getattr(survey, name)
    for many_of, kind in zip(LISTS, (Answer, Remark), strict=True):
        for at, child in enumerate(getattr(survey, many_of)):
            for name in (one.name for one in fields(kind)):
                held[many_of, at, name] = getattr(child, name)
    return {place: (type(value), copy.deepcopy(value)) for place, value in held.items()}


def at(survey: Survey, place: Place) -> Any:
    many_of, number, _ = place
    return getattr(survey, many_of)[number] if many_of else survey


def put(target: Any, name: str, value: Any, *, inside: bool) -> None:
    """Set a field, or change what it holds where that is a list or a dict."""
    held = getattr(target, name)
    if inside and isinstance(held, list):
        held[:] = value
    elif inside and isinstance(held, dict):
        held.clear()
        held.update(value)
    else:
        setattr(target, name, value)


@pytest.mark.parametrize("how", ["tracked", "plain", "row"])
def test_a_changed_field_changes_no_other(database: Database, how: str, soak: bool) -> None:
    @many(soak)
    @given(survey=surveys, data=st.data())
    def holds(survey: Survey, data: st.DataObject) -> None:
        with Units(database) as uow:
            uow.surveys.create(survey)
            uow.commit()
        expected = everything(survey)  # after the commit, so that keys are known
        inside = data.draw(st.booleans())
        wanted = {"data", "tags", "options"} if inside else {name for _, _, name in expected}
        places = sorted(place for place in expected if place[2] in wanted - {"id"})
        place = data.draw(st.sampled_from(places))
        kind = type(at(survey, place))
        value = data.draw(FIELDS[kind][place[2]])

        with Units(database, read_only=how == "plain") as uow:
            loaded = uow.surveys.require(survey.id)
            assert everything(loaded) == expected
            if how == "row":  # one that is detached when it is changed
                uow.commit()
            put(at(loaded, place), place[2], copy.deepcopy(value), inside=inside)
            if how == "row":
                uow.surveys.update(loaded)
            uow.commit()
        if how == "plain":
            with Units(database) as uow:
                uow.surveys.update(loaded)
                uow.commit()

        with Units(database, read_only=True) as uow:
            assert everything(uow.surveys.require(survey.id)) == expected | {
                place: (type(value), value)
            }

    holds()


def test_a_field_changed_by_id_changes_no_other(database: Database, soak: bool) -> None:
    @many(soak)
    @given(survey=surveys, data=st.data())
    def holds(survey: Survey, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(FIELDS[Survey])))
        value = data.draw(FIELDS[Survey][name])
        with Units(database) as uow:
            uow.surveys.create(survey)
            uow.commit()
            uow.surveys.update(survey.id, **{name: value})
            uow.commit()
        expected = everything(survey) | {("", 0, name): (type(value), value)}
        with Units(database, read_only=True) as uow:
            assert everything(uow.surveys.require(survey.id)) == expected

    holds()


def swap(held: list[Any], first: int, second: int) -> None:
    if held:
        one, other = first % len(held), second % len(held)
        held[one], held[other] = held[other], held[one]


OPERATIONS: dict[str, Callable[[list[Any], list[Any], int, int], Any]] = {
    "extend": lambda held, new, a, b: held.extend(new),
    "insert": lambda held, new, a, b: [held.insert(a - b, one) for one in new],
    "remove": lambda held, new, a, b: held.remove(held[a % len(held)]) if held else None,
    "delete": lambda held, new, a, b: held.__delitem__(slice(a, b)),
    "every second": lambda held, new, a, b: held.__delitem__(slice(a, None, 2)),
    "replace": lambda held, new, a, b: held.__setitem__(slice(a, max(a, b)), new),
    "swap": lambda held, new, a, b: swap(held, a, b),
    "rotate": lambda held, new, a, b: held.__setitem__(slice(None), held[a:] + held[:a]),
    "clear": lambda held, new, a, b: held.clear(),
    "sort": lambda held, new, a, b: held.sort(key=lambda one: one.text, reverse=a > b),
    "reverse": lambda held, new, a, b: held.reverse(),
    "add": lambda held, new, a, b: held.__iadd__(new),
    "edit": lambda held, new, a, b: [setattr(one, "amount", b) for one in held[a : a + 1]],
}
"""What one does with a list, with new members and two numbers."""


def shape(survey: Survey) -> list[Any]:
    return [(answer.id, answer.text, answer.amount) for answer in survey.answers]


def a_survey(answers: list[Answer]) -> Survey:
    price = Price(Decimal(1))
    now = datetime.now(UTC)
    term = Term((), Kind.SMALL, now, None, 0.0, False, 0, uuid4(), price, None)
    return Survey(
        title="", kind=Kind.SMALL, rank=0, ratio=0.0, fee=Decimal(), term=term, answers=answers
    )


steps = st.lists(
    st.tuples(
        st.sampled_from(sorted(OPERATIONS)),
        st.lists(words, max_size=3),
        st.integers(0, 6),
        st.integers(0, 6),
        st.sampled_from(["", "flush", "commit"]),
    ),
    max_size=8,
)


@pytest.mark.parametrize("how", ["tracked", "plain", "whole lists"])
def test_the_stored_list_is_that_of_python(database: Database, how: str, soak: bool) -> None:
    @many(soak)
    @given(first=st.lists(words, max_size=5), steps=steps)
    def holds(first: list[str], steps: list[Any]) -> None:
        def answers(texts: list[str], ids: list[UUID]) -> list[Answer]:
            price = Price(Decimal(1))
            pairs = zip(texts, ids, strict=True)
            return [Answer(text=text, price=price, id=id) for text, id in pairs]

        ids = [uuid4() for _ in first]
        model = a_survey(answers(first, ids))
        with Units(database) as uow:
            id = uow.surveys.create(a_survey(answers(first, ids))).id
            uow.commit()

        with Units(database, read_only=how == "plain") as uow:
            survey = uow.surveys.require(id)
            for name, texts, a, b, then in steps:
                ids = [uuid4() for _ in texts]
                OPERATIONS[name](model.answers, answers(texts, ids), a, b)
                held = list(survey.answers) if how == "whole lists" else survey.answers
                OPERATIONS[name](held, answers(texts, ids), a, b)
                if how == "whole lists":
                    survey.answers = held
                if how != "plain" and then == "flush":
                    uow.session.flush()
                elif how != "plain" and then == "commit":
                    uow.commit()
                    survey = uow.surveys.require(id)
                assert shape(survey) == shape(model)
            uow.commit()
        if how == "plain":
            with Units(database) as uow:
                assert shape(uow.surveys.update(survey)) == shape(model)
                uow.commit()
        with Units(database, read_only=True) as uow:
            assert shape(uow.surveys.require(id)) == shape(model)

    holds()
