"""Repositories of people that break the contract, each in one way.

They are the kit's own, made worse.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from domain import ALL, Person, where
from domain.entity import EVENTS
from domain.errors import (
    EntityNotFound,
    MultipleEntitiesFound,
    UniqueViolation,
    ValidationError,
)
from domain.specification import Between, Comparison, In, Not, Text
from infrastructure.database.repositories.person import SqlPersonRepository

People = SqlPersonRepository


def plain(person: Person | None) -> Any:
    """A copy that nobody tracks."""
    if person is None:
        return None
    names = ("id", "name", "email", "team_id")
    return Person(**{name: getattr(person, name) for name in names})


# -- finding -------------------------------------------------------------------------------


class IgnoresLimit(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        return super().get_all(*criteria, **{**options, "limit": None})


class TakesZeroForNoLimit(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        return super().get_all(*criteria, **{**options, "limit": options.get("limit") or None})


class IgnoresOffset(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        return super().get_all(*criteria, **{**options, "offset": None})


class TakesNegativeForNoLimit(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        if isinstance(options.get("limit"), int) and options["limit"] < 0:
            del options["limit"]
        return super().get_all(*criteria, **options)


class SortsNoneFirst(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        found = super().get_all(*criteria, **options)
        return sorted(found, key=lambda person: person.team_id is not None)


class IgnoresOrder(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        return super().get_all(*criteria, **{**options, "order_by": ()})


class IgnoresUnknownFields(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        with suppress(ValidationError):
            return super().get_all(*criteria, **options)
        return super().get_all()


class FindsNothingForUnknownFields(People):
    def count(self, *criteria: Any) -> int:
        with suppress(ValidationError):
            return super().count(*criteria)
        return 0


class IgnoresUnknownOrders(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        with suppress(ValidationError):
            return super().get_all(*criteria, **options)
        return super().get_all(*criteria)


class CountsEverything(People):
    def count(self, *criteria: Any) -> int:
        return super().count()


class FindsThatAnyExists(People):
    def exists(self, *criteria: Any) -> bool:
        return super().exists()


class JoinsCriteriaByOr(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        joined = criteria[:1]
        for criterion in criteria[1:]:
            joined = (joined[0] | criterion,)
        return super().get_all(*joined, **options)


class TakesTheFirstOfMany(People):
    def one(self, *criteria: Any) -> Person:
        with suppress(MultipleEntitiesFound):
            return super().one(*criteria)
        return super().get_all(*criteria)[0]


class RequiresNothing(People):
    def require(self, id: Any, /, **options: Any) -> Any:
        return self.get_by_id(id)


class DoesNotSayWhichIdIsMissing(People):
    def require(self, id: Any, /, **options: Any) -> Any:
        with suppress(EntityNotFound):
            return super().require(id)
        raise EntityNotFound("Person")


class NamesTheTable(People):
    def require(self, id: Any, /, **options: Any) -> Any:
        with suppress(EntityNotFound):
            return super().require(id)
        raise EntityNotFound("PersonModel", id)


class LosesIdentity(People):
    def get_by_id(self, id: Any, /, **options: Any) -> Any:
        return plain(super().get_by_id(id))


class SharesObjects(People):
    known: dict[Any, Any] = {}  # noqa: RUF012 -- sharing is what is wrong

    def require(self, id: Any, /, **options: Any) -> Any:
        return self.known.setdefault(id, super().require(id))


class TracksNothing(People):
    def get_all(self, *criteria: Any, **options: Any) -> Any:
        return [plain(person) for person in super().get_all(*criteria, **options)]


class Understands(People):
    """Takes one specification for another."""

    def instead(self, spec: Any) -> Any:
        return spec

    def get_all(self, *criteria: Any, **options: Any) -> Any:
        return super().get_all(*map(self.instead, criteria), **options)


class KnowsTwoTruths(Understands):
    def instead(self, spec: Any) -> Any:
        if isinstance(spec, Not) and isinstance(spec.inner, Comparison):
            return spec | where(spec.inner.field).is_none()
        return spec


class TakesNoneForUnequal(Understands):
    def instead(self, spec: Any) -> Any:
        if isinstance(spec, Comparison) and spec.operator == "!=":
            return spec | where(spec.field).is_none()
        return spec


class LeavesTheEndsOut(Understands):
    def instead(self, spec: Any) -> Any:
        if isinstance(spec, Between):
            return (where(spec.field) > spec.low) & (where(spec.field) < spec.high)
        return spec


class TakesNoValuesForAll(Understands):
    def instead(self, spec: Any) -> Any:
        return ALL if isinstance(spec, In) and not spec.values else spec


class AlwaysIgnoresCase(Understands):
    def instead(self, spec: Any) -> Any:
        if isinstance(spec, Text):
            return Text(spec.field, spec.operator, spec.text, ignore_case=True)
        return spec


class KnowsWildcards(Understands):
    def instead(self, spec: Any) -> Any:
        if isinstance(spec, Text) and "%" in spec.text:
            return Text(spec.field, spec.operator, spec.text.replace("%", ""))
        return spec


# -- writing -------------------------------------------------------------------------------


class GivesNoId(People):
    def create(self, entity: Any, /) -> Any:
        created = plain(super().create(entity))
        created.id = None
        return created


class ForgetsTheOriginal(People):
    def create(self, entity: Any, /) -> Any:
        return super().create(copy.copy(entity))


class LosesChangesOfTheOriginal(People):
    def create(self, entity: Any, /) -> Any:
        created = super().create(copy.copy(entity))
        entity.id = created.id
        return created


class StoresSomeOfMany(People):
    def create_many(self, entities: Any, /) -> Any:
        return [super(StoresSomeOfMany, self).create_many([entity])[0] for entity in entities]


class ReturnsManyInAnotherOrder(People):
    def create_many(self, entities: Any, /) -> Any:
        return super().create_many(entities)[::-1]


class DoesNotSayWhatIsTaken(People):
    def create_many(self, entities: Any, /) -> Any:
        try:
            return super().create_many(entities)
        except UniqueViolation as error:
            error.fields = ()
            raise


class DeletesWhatIsMissing(People):
    def delete(self, entity_or_id: Any, /) -> None:
        with suppress(EntityNotFound):
            super().delete(entity_or_id)


class DeletesNothing(People):
    def delete(self, entity_or_id: Any, /) -> None:
        self.require(getattr(entity_or_id, "id", entity_or_id))


class DeletesOldVersions(People):
    def delete(self, entity_or_id: Any, /) -> None:
        super().delete(getattr(entity_or_id, "id", entity_or_id))


class ForgetsWhatAnUpdateTells(People):
    def update(self, given: Any, /, **changes: Any) -> Any:
        vars(given).pop(EVENTS, None)
        return super().update(given, **changes)


class GoesOnAfterAFailure(People):
    def create(self, entity: Any, /) -> Any:
        try:
            return super().create(entity)
        except UniqueViolation:
            self._unit.failure = None
            raise
