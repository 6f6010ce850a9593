"""How a client says who it is. Anything that gives header fields when it is called will do."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping

from requests.utils import get_netrc_auth

from domain.errors import ValidationError
from infrastructure.external_services.checks import is_filled, is_text

Auth = Callable[[], Mapping[str, str]]
"""Called before each attempt, so that it may renew a token."""


class Bearer:
    """A token in the field ``Authorization`` (RFC 6750); a function is asked for it each time."""

    def __init__(self, token: str | Callable[[], str]) -> None:
        if not callable(token) and not is_filled(token):
            raise ValidationError("Bearer", {"token": "must be text and not blank, or a function"})
        self._token = token

    def __call__(self) -> dict[str, str]:
        token = self._token if isinstance(self._token, str) else self._token()
        return {"Authorization": f"Bearer {token}"}

    def __repr__(self) -> str:
        return "Bearer(***)"


class Basic:
    """A user and a password in the field ``Authorization`` (RFC 7617)."""

    def __init__(self, user: str, password: str) -> None:
        if not is_filled(user) or ":" in user:
            raise ValidationError("Basic", {"user": "must be text without a colon"})
        if not is_text(password):
            raise ValidationError("Basic", {"password": "must be text"})
        self._header = "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")

    def __call__(self) -> dict[str, str]:
        return {"Authorization": self._header}

    def __repr__(self) -> str:
        return "Basic(***)"


class ApiKey:
    """A key in a field of its own, as ``ApiKey("X-Api-Key", key)``."""

    def __init__(self, header: str, key: str) -> None:
        if not is_filled(key):
            raise ValidationError("ApiKey", {"key": "must be text and not blank"})
        self._fields = {header: key}

    def __call__(self) -> dict[str, str]:
        return self._fields

    def __repr__(self) -> str:
        return "ApiKey(***)"


class Netrc:
    """What the file ``.netrc`` says of an origin; nothing, if it says nothing."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def __call__(self) -> dict[str, str]:
        found = get_netrc_auth(self._origin)
        return {} if found is None else Basic(*found)()

    def __repr__(self) -> str:
        return "Netrc(***)"
