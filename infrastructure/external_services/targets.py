"""Where a request goes: always to the origin of the base URL, and below its path."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlencode, urljoin, urlsplit

from domain.errors import ValidationError

_PORTS = {"http": 80, "https": 443}
_SAFE = "/:@!$&'()*+,;=~-._"
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_HOST = re.compile(r"[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?\.?")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_DEPTH = 4
"""How often a segment may be encoded, one over the other."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place at the origin. The query may hold secrets, and is not shown."""

    path: str
    query: str = ""

    def __repr__(self) -> str:
        return f"<Target {self.path}>"


class Base:
    """An origin and the path that all others begin with."""

    def __init__(self, url: Any) -> None:
        parts = _split(url)
        self.host = _host(parts)
        default = _PORTS[parts.scheme]
        port = parts.port or default
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.service = shown if port == default else f"{shown}:{port}"
        self.origin = f"{parts.scheme}://{self.service}"
        self.is_secure = parts.scheme == "https"
        self._key = (parts.scheme, self.host, port)
        self._prefix = _encoded("base_url", parts.path).rstrip("/")

    def target(self, path: Any, params: Any = None) -> Target:
        """What a caller asks for, relative to the base; raises ``ValidationError``."""
        if not isinstance(path, str):
            raise _wrong("path", f"must be text, and is {type(path).__name__}")
        if "?" in path or "#" in path:
            raise _wrong("path", "must have no ? and no #; give params= for the query, or quote it")
        relative = path.removeprefix("/")
        if relative.startswith("/") or urlsplit_scheme(relative):
            raise _wrong("path", "must stay at the origin of the base URL")
        encoded = _encoded("path", relative)
        full = f"{self._prefix}/{encoded}" if encoded else self._prefix or "/"
        return Target(full, _query(params))

    def follow(self, origin_path: Target, reference: str) -> Target | None:
        """Where a link or a redirect of the service leads; None if that is another origin."""
        if _CONTROL.search(reference) or "\\" in reference or not reference.isascii():
            return None
        here = f"{self.origin}{origin_path.path}"
        here = f"{here}?{origin_path.query}" if origin_path.query else here
        try:
            parts = urlsplit(urljoin(here, reference))
            key = (parts.scheme, _host(parts), parts.port or _PORTS[parts.scheme])
            if key != self._key or parts.username is not None or parts.password is not None:
                return None
            return Target(
                _encoded("path", parts.path) or "/", quote(parts.query, safe="%?/" + _SAFE)
            )
        except (ValueError, KeyError, ValidationError):
            return None


def urlsplit_scheme(path: str) -> bool:
    """Whether it begins as an absolute URL does."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None


def _split(url: Any) -> SplitResult:
    if not isinstance(url, str):
        raise _wrong("base_url", f"must be text, and is {type(url).__name__}")
    if _CONTROL.search(url) or "\\" in url:
        raise _wrong("base_url", "must have no spaces, control characters or backslashes")
    parts, port = _parts(url)
    if parts is None:
        raise _wrong("base_url", "is not a URL")
    if parts.scheme not in _PORTS or not url.lower().startswith(f"{parts.scheme}://"):
        raise _wrong("base_url", "must begin with https:// or http://")
    if "@" in parts.netloc:
        raise _wrong("base_url", "must hold no credentials; give auth=Basic(user, password)")
    if "?" in url or "#" in url:
        raise _wrong("base_url", "must have no query and no fragment; give params= with each call")
    if port == 0:
        raise _wrong("base_url", "has no valid port")
    return parts


def _parts(url: str) -> tuple[SplitResult | None, int | None]:
    """Errors of the library quote the URL, so none is raised where one could be seen with ours."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, None
    return parts, port


def _host(parts: SplitResult) -> str:
    name = parts.hostname or ""
    try:
        if ":" in name:
            return ipaddress.IPv6Address(name).compressed
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        name = ""
    if not _HOST.fullmatch(name) or ".." in name:
        raise _wrong("base_url", "has no valid host")
    return name


def _encoded(name: str, path: str) -> str:
    """Percent-encoded where it must be; refused where a server could read it as another path."""
    plain = path
    for _ in range(_ENCODED_DEPTH):
        segments = plain.replace("\\", "/").split("/")
        if _CONTROL.search(plain.replace(" ", "")) or "\\" in plain:
            raise _wrong(name, "must have no control characters and no backslashes")
        if "." in segments or ".." in segments:
            raise _wrong(name, "must have no segment . or .., encoded or not")
        plain, before = unquote(plain, errors="replace"), plain
        if plain == before:
            break
    else:
        raise _wrong(name, "is encoded several times")
    if not _is_encodable(path):
        raise _wrong(name, "holds text that cannot be encoded")
    return quote(_STRAY_PERCENT.sub("%25", path), safe=_SAFE + "%")


def _is_encodable(text: str) -> bool:
    """Whether there is no half of a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _query(params: Any) -> str:
    if params is None:
        return ""
    if not isinstance(params, Mapping):
        raise _wrong("params", "must be a mapping of names to values")
    pairs: list[tuple[str, str]] = []
    for key, value in params.items():
        if not isinstance(key, str):
            raise _wrong("params", "must have text as names")
        several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        values = value if several else [value]
        pairs += [(key, _text(key, one)) for one in values if one is not None]
    if not all(_is_encodable(name + value) for name, value in pairs):
        raise _wrong("params", "hold text that cannot be encoded")
    return urlencode(pairs)


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = type(value).__name__
    raise _wrong(f"params[{key}]", f"must be text, a number or a list of them, and is {kind}")


def _wrong(name: str, message: str) -> ValidationError:
    return ValidationError("ApiClient", {name: message})
