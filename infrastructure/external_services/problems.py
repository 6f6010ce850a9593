"""Problem details in the body of an error (RFC 9457)."""

from __future__ import annotations

from typing import Any

from domain.problem import Problem
from infrastructure.external_services import payloads
from infrastructure.external_services.exchanges import Answer
from infrastructure.external_services.redacting import Secrets

_TEXTS = ("type", "title", "detail", "instance")


def problem_of(answer: Answer, secrets: Secrets) -> Problem | None:
    """What the service says; None if that is no JSON object.

    Many services send an object of their own as ``application/json``: its members
    are extensions then. A member of the wrong type is left out (section 3.1).
    """
    if not answer.content or not payloads.is_json(answer.headers):
        return None
    try:
        members = payloads.decoded(answer.content)
    except payloads.Unreadable:
        return None
    if not isinstance(members, dict):
        return None
    return _problem(secrets.hide(members))


def _problem(members: dict[str, Any]) -> Problem:
    known = {name: members[name] for name in _TEXTS if isinstance(members.get(name), str)}
    status = members.get("status")
    if isinstance(status, int) and not isinstance(status, bool):
        known["status"] = status
    rest = {name: v for name, v in members.items() if name not in _TEXTS and name != "status"}
    return Problem(**known, extensions=rest)
