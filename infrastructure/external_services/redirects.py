"""Redirects (RFC 9110, section 15.4): within the origin only, and no further than is allowed."""

from __future__ import annotations

from dataclasses import replace

from infrastructure.external_services.exchanges import Answer, Request
from infrastructure.external_services.targets import Base, Target

_BODY_FIELDS = {"content-type", "idempotency-key"}


def next_request(request: Request, answer: Answer, base: Base) -> Request | str | None:
    """Where it leads, or why not; None if the answer is no redirect."""
    status = answer.status
    if not 300 <= status < 400 or status == 304:
        return None
    location = answer.headers.get("Location")
    if status not in {301, 302, 303, 307, 308} or location is None:
        return f"refused with status {status}"
    target = base.follow(Target(request.path, request.query), location)
    if target is None:
        return "it redirects to another origin, or to what is no URL; neither is followed"
    moved = replace(request, path=target.path, query=target.query)
    if status == 303:
        return _as_get(moved)
    if status in {301, 302} and request.method != "GET":
        # RFC 9110 lets clients make a GET of a POST, and many do; whoever wrote POST means it.
        return f"it redirects a {request.method} with status {status}, which is ambiguous"
    if not (request.body is None or isinstance(request.body, bytes)):
        return "it redirects, and the body cannot be sent twice; give it as bytes"
    return moved


def _as_get(request: Request) -> Request:
    fields = {n: v for n, v in request.headers.items() if n.lower() not in _BODY_FIELDS}
    return replace(request, method="GET", body=None, headers=fields)
