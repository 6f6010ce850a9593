"""Pages and streams: all of a long result, in parts."""

import gc
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from sqlmodel import Field

from domain import Entity, where
from domain.errors import UnitOfWorkError, ValidationError
from infrastructure.database import BaseRepository, BaseUnitOfWork, Database, Model
from tests.support import statements

pytestmark = pytest.mark.thorough


@dataclass(eq=False, kw_only=True)
class Word(Entity):
    text: str
    tags: list[str] = field(default_factory=list)
    id: int | None = None


class WordModel(Word, Model, table=True):
    __tablename__: ClassVar[str] = "streamed_words"

    id: int | None = Field(default=None, primary_key=True)


class Code(Model, table=True):
    __tablename__: ClassVar[str] = "streamed_codes"

    left: str = Field(primary_key=True)
    right: int = Field(primary_key=True)


class WordRepository(BaseRepository[Word]):
    model = WordModel


class Units(BaseUnitOfWork):
    words: WordRepository


@pytest.fixture
def tables() -> list[Any]:
    return [WordModel, Code]


COUNT = 250


@pytest.fixture(autouse=True)
def words(database: Database) -> None:
    with Units(database) as uow:
        uow.words.bulk_create({"text": f"w{n % 7}"} for n in range(COUNT))
        uow.commit()


both = pytest.mark.parametrize("read_only", [False, True], ids=["writing", "read-only"])


@both
@pytest.mark.parametrize("size", [1, 7, COUNT, 1000])
def test_a_stream_gives_all_in_order(database: Database, read_only: bool, size: int) -> None:
    with Units(database, read_only=read_only) as uow:
        ids = [word.id for word in uow.words.stream(batch_size=size)]
        assert ids == sorted(ids, key=lambda id: id or 0)
        assert len(ids) == COUNT
        by_text = [word.text for word in uow.words.stream(order_by="-text", batch_size=size)]
        assert by_text == sorted(by_text, reverse=True)
        found = uow.words.stream(where("text") == "w3", order_by=WordModel.text, batch_size=size)
        assert {word.text for word in found} == {"w3"}
        assert list(uow.words.stream(where("text") == "no")) == []


@both
def test_it_hands_out_what_the_repository_does(database: Database, read_only: bool) -> None:
    with Units(database, read_only=read_only) as uow:
        word = next(uow.words.stream())
        assert type(word) is (Word if read_only else WordModel)
        assert word is uow.words.get_by_id(word.id)


@both
def test_nothing_is_sent_before_the_first_one_is_asked_for(
    database: Database, read_only: bool
) -> None:
    with Units(database, read_only=read_only) as uow, statements(database) as sent:
        stream = uow.words.stream(batch_size=100)
        assert sent == []
        for _ in range(150):
            next(stream)
        assert len(sent) == (1 if read_only else 3)


@pytest.mark.parametrize("size", [0, -1, None, "5", True, 1.5])
def test_a_wrong_size_is_refused_at_once(database: Database, size: Any) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match="batch_size"):
            uow.words.stream(batch_size=size)
        with pytest.raises(ValidationError, match="nope"):
            uow.words.stream(order_by="nope")


def test_what_is_written_on_the_way_does_not_disturb_it(database: Database) -> None:
    with Units(database) as uow:
        for at, word in enumerate(uow.words.stream(batch_size=10)):
            word.text = f"new {word.id}"
            word.tags.append("seen")
            uow.words.create(Word(text="added"))
            if at % 25 == 3:
                uow.commit()
        uow.commit()
    with Units(database, read_only=True) as uow:
        assert uow.words.count() == 2 * COUNT
        seen = uow.words.get_all(where("text") != "added")
        assert len(seen) == COUNT
        assert all((word.text, word.tags) == (f"new {word.id}", ["seen"]) for word in seen)


def test_those_that_were_deleted_on_the_way_are_left_out(database: Database) -> None:
    with Units(database) as uow:
        stream = uow.words.stream(batch_size=10)
        first = [next(stream) for _ in range(10)]
        uow.words.delete_where(where("id") > first[-1].id)
        assert list(stream) == []
        uow.rollback()


def test_a_commit_ends_the_stream_of_a_read_only_unit(database: Database) -> None:
    with Units(database, read_only=True) as uow:
        stream = uow.words.stream(batch_size=10)
        next(stream)
        uow.commit()
        with pytest.raises(UnitOfWorkError, match="ended with its transaction"):
            list(stream)
        assert len(list(uow.words.stream(batch_size=10))) == COUNT


@both
def test_a_stream_ends_with_its_block(database: Database, read_only: bool) -> None:
    with Units(database, read_only=read_only) as uow:
        stream = uow.words.stream(batch_size=10)
        next(stream)
    with pytest.raises(UnitOfWorkError, match="left"):
        list(stream)
    with Units(database, read_only=read_only) as uow:
        for _ in uow.words.stream(batch_size=10):
            break
    gc.collect()
    with Units(database) as uow:
        assert uow.words.count() == COUNT


def test_two_streams_side_by_side(database: Database) -> None:
    with Units(database, read_only=True) as uow:
        pairs = list(
            zip(
                uow.words.stream(order_by="id", batch_size=7),
                uow.words.stream(order_by="-id", batch_size=9),
                strict=True,
            )
        )
    assert len(pairs) == COUNT
    assert pairs[0][0].id == pairs[-1][1].id


def test_composite_keys_stream(database: Database) -> None:
    with Units(database) as uow:
        codes = uow.repository(Code)
        codes.bulk_create({"left": left, "right": n} for left in "b_aB" for n in range(30))
        found = [(code.left, code.right) for code in codes.stream(batch_size=11)]
        uow.rollback()
    assert found == sorted(found)
    assert len(found) == 120


# -- pages ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("order", [(), "text", ("-text",), WordModel.text], ids=str)
def test_pages_cover_all_of_it_once(database: Database, read_only: bool, order: Any) -> None:
    with Units(database, read_only=read_only) as uow:
        pages = [uow.words.page(order_by=order, number=n, size=40) for n in range(1, 9)]
    assert [page.total for page in pages] == [COUNT] * 8
    assert [len(page) for page in pages] == [40] * 6 + [10, 0]
    assert len({word.id for page in pages for word in page}) == COUNT
    assert [page.has_next for page in pages] == [True] * 6 + [False] * 2


def test_a_page_far_past_the_end_keeps_its_total(database: Database) -> None:
    with Units(database, read_only=True) as uow:
        page = uow.words.page(where("text") == "w1", number=2**62, size=2**62)
    assert (list(page), page.total) == ([], 36)


@pytest.mark.parametrize("wrong", [0, -1, None, "1", True, 2**63])
def test_a_page_that_cannot_be_is_refused(database: Database, wrong: Any) -> None:
    with Units(database) as uow:
        with pytest.raises(ValidationError, match="number"):
            uow.words.page(number=wrong)
        with pytest.raises(ValidationError, match="size"):
            uow.words.page(size=wrong)


def test_an_order_by_an_expression_gets_the_key_besides(database: Database) -> None:
    with Units(database) as uow:
        order: Any = WordModel.text + "x"
        ids = [w.id for n in (1, 2, 3) for w in uow.words.page(order_by=order, number=n, size=90)]
        assert len(set(ids)) == COUNT
        with pytest.raises(ValidationError, match="of a window must be fields"):
            uow.words.window(order_by=order)
