"""The members and teams of an organisation on GitHub.

Written to https://docs.github.com/rest (API version 2022-11-28): "List organization
members", "List teams", "List team members", "Get a user", and "Rate limits for the
REST API".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

from pydantic import BaseModel, Field

from domain.errors import ValidationError
from domain.ports import DirectoryMember, DirectoryTeam
from infrastructure.external_services.api_client import ApiClient
from infrastructure.external_services.auth import Bearer
from infrastructure.external_services.checks import is_filled
from infrastructure.external_services.exchanges import Transport
from infrastructure.external_services.policy import RequestPolicy
from infrastructure.external_services.retrying import Pause, retry_after, sent_at

GITHUB = "https://api.github.com"

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PAGE = {"per_page": 100}
_SECONDARY_LIMIT = 60.0
"""Seconds to wait at least when a limit is met and nothing else is said."""


class _Account(BaseModel):
    """Somebody, as lists show them."""

    id: int
    login: str = Field(min_length=1)


class _User(_Account):
    """Somebody, as asked for by name. Who hides an address has none here."""

    name: str | None = None
    email: str | None = None


class _Team(BaseModel):
    id: int
    slug: str = Field(min_length=1)
    name: str


class GitHubDirectory:
    """The port ``TeamDirectory`` over the REST API. To be kept, as the client in it.

    Without a token GitHub shows public members only, and allows 60 requests an hour;
    teams need one with ``read:org``. ``members`` takes a request for each member,
    because lists have no names; the policy is that of each request. Keys are the ids of GitHub,
    which stay when somebody takes another name. Who shows no address gets the one that
    GitHub itself gives, ``id+login@users.noreply.github.com``.
    """

    def __init__(
        self,
        base_url: str = GITHUB,
        *,
        token: str | None = None,
        policy: RequestPolicy | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._api = ApiClient(
            base_url,
            auth=None if token is None else Bearer(token),
            policy=policy,
            headers=_HEADERS,
            throttling=throttling,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections."""
        self._api.close()

    def members(self, organisation: str, /) -> list[DirectoryMember]:
        path = f"orgs/{_segment('organisation', organisation)}/members"
        accounts = self._api.pages(path, into=list[_Account], params=_PAGE)
        logins = {account.id: account.login for account in accounts}  # a page may shift meanwhile
        users = [self._user(login) for _, login in sorted(logins.items())]
        return [_member(user) for user in users]

    def teams(self, organisation: str, /) -> list[DirectoryTeam]:
        path = f"orgs/{_segment('organisation', organisation)}/teams"
        found = {team.id: team for team in self._api.pages(path, into=list[_Team], params=_PAGE)}
        return [self._team(path, found[id]) for id in sorted(found)]

    def _user(self, login: str) -> _User:
        return self._api.get(f"users/{_segment('login', login)}", into=_User)

    def _team(self, path: str, team: _Team) -> DirectoryTeam:
        path = f"{path}/{_segment('slug', team.slug)}/members"
        accounts = self._api.pages(path, into=list[_Account], params=_PAGE)
        ids = sorted({account.id for account in accounts})
        return DirectoryTeam(str(team.id), team.name, tuple(str(id) for id in ids))


def throttling(status: int, headers: Mapping[str, str]) -> Pause | None:
    """How GitHub says that a limit is met: 403 or 429, and until when."""
    if status not in {403, 429}:
        return None
    seconds = retry_after(headers)
    if seconds is not None:
        return Pause(seconds)
    if headers.get("X-RateLimit-Remaining") == "0":
        return Pause(_until_reset(headers))
    return Pause(_SECONDARY_LIMIT) if status == 429 else None


def _until_reset(headers: Mapping[str, str]) -> float:
    reset = headers.get("X-RateLimit-Reset", "")
    if not reset.isascii() or not reset.isdigit() or len(reset) > 12:
        return _SECONDARY_LIMIT
    return max(0.0, int(reset) - sent_at(headers))


def _member(user: _User) -> DirectoryMember:
    email = user.email or f"{user.id}+{user.login}@users.noreply.github.com"
    return DirectoryMember(str(user.id), user.name or user.login, email)


def _segment(name: str, value: str) -> str:
    if not is_filled(value):
        raise ValidationError("GitHubDirectory", {name: "must be text and not blank"})
    return quote(value, safe="")
