"""A JSON application on Flask (pip install flask). Each view is a unit of work.

    alembic upgrade head
    flask --app examples/flask_app run

Both use the database of ``DATABASE_URL``, or the file app.db.
"""

from datetime import datetime
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict
from services import join_team, teams_with_members

from domain import Person, where
from domain.errors import ConflictError, EntityNotFound, KitError, TransientError, ValidationError
from infrastructure.database import Database
from infrastructure.database.unit_of_work import UnitOfWork


class PersonOut(BaseModel):
    """What is shown of a person; whoever changes it sends the version back."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    team_id: int | None
    version: int
    created_at: datetime


def create_app(database: Database | None = None) -> Flask:
    """The application on this database, or on that of ``DATABASE_URL``."""
    app = Flask(__name__)
    for kind in (ValidationError, EntityNotFound, ConflictError, TransientError):
        app.register_error_handler(kind, refuse)

    @app.get("/teams")
    def list_teams() -> ResponseReturnValue:
        with UnitOfWork(database, read_only=True) as uow:
            found = teams_with_members(uow)
        return [
            {"id": team.id, "name": team.name, "members": [person.name for person in members]}
            for team, members in found
        ]

    @app.post("/teams/<int:id>/members")
    def join(id: int) -> ResponseReturnValue:
        (email,) = body("email")
        with UnitOfWork(database) as uow:
            team = uow.teams.require(id, for_update=True)  # of two, one gets the last seat
            person = join_team(uow, email, team.name)
            uow.commit()
        return shown(person)

    @app.post("/people")
    def add_person() -> ResponseReturnValue:
        name, email = body("name", "email")
        with UnitOfWork(database) as uow:
            person = uow.people.create(Person(name=name, email=email))
            uow.commit()
        return shown(person), 201

    @app.get("/people/<int:id>")
    def get_person(id: int) -> ResponseReturnValue:
        with UnitOfWork(database, read_only=True) as uow:
            found = uow.people.view(PersonOut, where("id") == id)
        if not found:
            raise EntityNotFound("Person", id)
        return shown(found[0])

    @app.put("/people/<int:id>")
    def change_person(id: int) -> ResponseReturnValue:
        name, email, version = body("name", "email", "version")
        with UnitOfWork(database) as uow:
            person = uow.people.update(id, name=name, email=email, version=version)
            uow.commit()
        return shown(person)

    return app


def refuse(error: KitError) -> ResponseReturnValue:
    """The answer to what the domain or the database refuses. Other errors are bugs: a 500."""
    match error:
        case ValidationError():
            return {"error": str(error), "fields": error.errors}, 422
        case EntityNotFound():
            return {"error": str(error)}, 404
        case ConflictError():
            return {"error": str(error), "fields": list(error.fields)}, 409
    return {"error": "busy; try again"}, 503, {"Retry-After": "1"}


def body(*fields: str) -> list[Any]:
    """These fields of the request, None where it has none: the domain says what it needs."""
    given = request.get_json()
    if not isinstance(given, dict):
        raise ValidationError("Request", {"body": "must be a JSON object"})
    return [given.get(field) for field in fields]


def shown(person: Person | PersonOut) -> dict[str, Any]:
    return PersonOut.model_validate(person).model_dump(mode="json")
