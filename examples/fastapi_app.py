"""A JSON application on FastAPI (pip install fastapi uvicorn). Each request is a unit of work.

    alembic upgrade head
    uvicorn --app-dir examples --factory fastapi_app:create_app

Both use the database of ``DATABASE_URL``, or the file app.db.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from services import join_team, teams_with_members

from domain import Person
from domain.errors import ConflictError, EntityNotFound, TransientError, ValidationError
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork


class NewPerson(BaseModel):
    name: str
    email: str


class ChangedPerson(NewPerson):
    version: int


class PersonOut(BaseModel):
    """What is shown of a person; whoever changes it sends the version back."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    team_id: int | None
    version: int
    created_at: datetime


class TeamOut(BaseModel):
    id: int | None
    name: str
    members: list[str]


def unit_of_work(request: Request) -> Iterator[UnitOfWork]:
    """The unit of a request. It is committed in the body: after the answer it would be too late."""
    with UnitOfWork(request.app.state.database) as uow:
        yield uow


# Fewer units than connections and threads, so that none waits for one that waits itself.
Uow = Annotated[UnitOfWork, Depends(unit_of_work, max_concurrency=10)]
router = APIRouter()


@router.get("/teams")
def list_teams(uow: Uow) -> list[TeamOut]:
    return [
        TeamOut(id=team.id, name=team.name, members=[person.name for person in members])
        for team, members in teams_with_members(uow)
    ]


@router.post("/teams/{id}/members")
def join(id: int, email: Annotated[str, Body(embed=True)], uow: Uow) -> PersonOut:
    team = uow.teams.require(id, for_update=True)  # of two, one gets the last seat
    person = join_team(uow, email, team.name)
    uow.commit()
    return PersonOut.model_validate(person)


@router.post("/people", status_code=201)
def add_person(new: NewPerson, uow: Uow) -> PersonOut:
    person = uow.people.create(Person(name=new.name, email=new.email))
    uow.commit()
    return PersonOut.model_validate(person)


@router.get("/people/{id}")
def get_person(id: int, uow: Uow) -> PersonOut:
    return PersonOut.model_validate(uow.people.require(id))


@router.put("/people/{id}")
def change_person(id: int, changed: ChangedPerson, uow: Uow) -> PersonOut:
    person = uow.people.update(id, **changed.model_dump())
    uow.commit()
    return PersonOut.model_validate(person)


def refuse(_: Request, error: Exception) -> JSONResponse:
    """The answer to what the domain or the database refuses. Other errors are bugs: a 500."""
    match error:
        case ValidationError():
            return JSONResponse({"error": str(error), "fields": error.errors}, 422)
        case EntityNotFound():
            return JSONResponse({"error": str(error)}, 404)
        case ConflictError():
            return JSONResponse({"error": str(error), "fields": list(error.fields)}, 409)
    return JSONResponse({"error": "busy; try again"}, 503, {"Retry-After": "1"})


def create_app(database: Database | None = None) -> FastAPI:
    """The application on this database, or on that of ``DATABASE_URL``."""
    app = FastAPI(title="People and teams")
    app.state.database = database
    app.include_router(router)
    for kind in (ValidationError, EntityNotFound, ConflictError, TransientError):
        app.add_exception_handler(kind, refuse)
    return app
