"""A server that answers as the documentation of the GitHub REST API says it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.external_services.server import Seen, Talk


@dataclass
class GitHub:
    """What it knows; ``per_page`` is the most that it puts on a page."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    teams: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    token: str | None = None
    per_page: int = 2
    limits: list[Callable[[Talk], None]] = field(default_factory=list)
    """Answers that come before the right ones, one for each request."""
    limits_after: int | None = None
    """So many requests are answered in an hour."""

    def add_user(
        self, id: int, login: str, name: str | None = None, email: str | None = None
    ) -> None:
        self.users[login] = {"id": id, "login": login, "name": name, "email": email}
        self.members.append(login)

    def add_team(self, id: int, slug: str, name: str, *members: str) -> None:
        self.teams[slug] = {"id": id, "slug": slug, "name": name, "members": list(members)}

    def __call__(self, request: Seen, talk: Talk) -> None:
        if self.limits:
            self.limits.pop(0)(talk)
        elif self.limits_after is not None and len(talk.server.requests) > self.limits_after:
            primary_limit(403, 1800)(talk)
        elif "user-agent" not in request.headers:
            talk.reply_json({"message": "Request forbidden by administrative rules"}, 403)
        elif self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            talk.reply_json({"message": "Bad credentials", "status": "401"}, 401)
        else:
            self._find(request, talk)

    def _find(self, request: Seen, talk: Talk) -> None:
        path = urlsplit(request.target).path
        match path.strip("/").split("/"):
            case ["users", login] if login in self.users:
                one = self.users[login] | {"type": "User", "company": None, "site_admin": False}
                talk.reply_json(one, headers=headers_of_limits())
            case ["orgs", "acme", "members"]:
                self._page(request, talk, path, [self._simple(login) for login in self.members])
            case ["orgs", "acme", "teams"]:
                self._page(request, talk, "/organizations/1/teams", self._listed_teams())
            case ["orgs", "acme", "teams", slug, "members"] if slug in self.teams:
                logins = self.teams[slug]["members"]
                self._page(request, talk, path, [self._simple(login) for login in logins])
            case ["organizations", "1", "teams"]:
                self._page(request, talk, path, self._listed_teams())
            case _:
                talk.reply_json({"message": "Not Found", "status": "404"}, 404)

    def _listed_teams(self) -> list[dict[str, Any]]:
        extra = {"description": None, "privacy": "closed", "permission": "pull", "parent": None}
        return [{k: v for k, v in t.items() if k != "members"} | extra for t in self.teams.values()]

    def _simple(self, login: str) -> dict[str, Any]:
        return {"login": login, "id": self.users[login]["id"], "type": "User", "site_admin": False}

    def _page(self, request: Seen, talk: Talk, path: str, found: list[Any]) -> None:
        query = parse_qs(urlsplit(request.target).query)
        number = int(query.get("page", ["1"])[0])
        size = min(self.per_page, int(query.get("per_page", ["30"])[0]))
        last = max(1, -(-len(found) // size))
        base = f"{talk.server.url}{path}?per_page={size}&page="
        links = [(number - 1, "prev"), (number + 1, "next"), (last, "last"), (1, "first")]
        shown = [f'<{base}{to}>; rel="{rel}"' for to, rel in links if 1 <= to <= last]
        fields = headers_of_limits() | ({"Link": ", ".join(shown)} if last > 1 else {})
        talk.reply_json(found[(number - 1) * size : number * size], headers=fields)


def headers_of_limits(remaining: int = 4999, reset: float = 3600) -> dict[str, str]:
    return {
        "Date": formatdate(usegmt=True),
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(int(time.time() + reset)),
        "X-RateLimit-Used": "1",
        "X-RateLimit-Resource": "core",
        "X-GitHub-Media-Type": "github.v3; format=json",
    }


def primary_limit(status: int, reset: float) -> Callable[[Talk], None]:
    """The limit for an hour is used up."""
    body = {"message": "API rate limit exceeded for user ID 1.", "status": str(status)}
    return lambda talk: talk.reply_json(body, status, headers_of_limits(0, reset))


def secondary_limit(status: int, retry_after: int | None) -> Callable[[Talk], None]:
    """Too many requests at once."""
    body = {"message": "You have exceeded a secondary rate limit."}
    extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return lambda talk: talk.reply_json(body, status, headers_of_limits() | extra)
