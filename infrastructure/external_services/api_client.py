"""A client for one service."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, get_origin, overload

from domain.errors import ExternalServiceError, ValidationError
from infrastructure.external_services import bodies, checks, headers, payloads, retrying
from infrastructure.external_services.auth import Auth, Netrc
from infrastructure.external_services.breaker import Breaker
from infrastructure.external_services.calls import Call, Upstream
from infrastructure.external_services.exchanges import Request, Transport
from infrastructure.external_services.hooks import BreakerChanged, Hooks, State
from infrastructure.external_services.policy import RequestPolicy
from infrastructure.external_services.responses import ApiResponse
from infrastructure.external_services.retrying import SAFE_TO_REPEAT, Throttling
from infrastructure.external_services.targets import Base, Target
from infrastructure.external_services.transport import RequestsTransport

T = TypeVar("T")

Params = Mapping[str, Any]
Content = bytes | str | Iterable[bytes]

_DEFAULTS = {
    "Accept": "application/json, application/problem+json",
    "Accept-Encoding": bodies.CODINGS,
    "User-Agent": "infrastructure-kit",
}


class ApiClient:
    """Calls one service over HTTP. To be kept, and shared between threads.

    Paths are relative to the base URL, and never leave it. Every method gives an
    ``ApiResponse``, or what is asked for by ``into``: a pydantic model, ``list[Model]``,
    ``dict[str, int]`` and the like. Every one raises an ``ExternalServiceError`` if
    that does not come, and ``ValidationError``, before anything is sent, if what it is
    given cannot be sent.

    ``auth`` is ``Bearer``, ``Basic``, ``ApiKey``, or a function that gives header
    fields. ``throttling`` says which answers ask for fewer requests, where a service
    has ways of its own. ``ca_bundle`` is a file or folder of certificates in place of the
    usual ones. ``trust_environment`` lets proxies, ``.netrc`` and certificates of the
    environment count. ``transport`` takes the place of the network, in tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        policy: RequestPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        hooks: Hooks | None = None,
        throttling: Throttling = retrying.throttling,
        pool_size: int = 20,
        ca_bundle: str | os.PathLike[str] | None = None,
        trust_environment: bool = False,
        transport: Transport | None = None,
    ) -> None:
        base = Base(base_url)
        policy = policy or RequestPolicy()
        _check_settings(auth, policy, pool_size, ca_bundle)
        self._headers = _merged(_DEFAULTS, headers)
        self._hooks = hooks or Hooks()
        self._base = base
        found = transport or RequestsTransport(
            pool_size=pool_size, ca_bundle=ca_bundle, trust_environment=trust_environment
        )
        self._up = Upstream(
            base=base,
            policy=policy,
            transport=found,
            breaker=self._breaker(policy, found),
            auth=Netrc(base.origin) if auth is None and trust_environment else auth,
            hooks=self._hooks,
            throttling=throttling,
        )

    def _breaker(self, policy: RequestPolicy, transport: Transport) -> Breaker | None:
        if policy.breaker is None:
            return None
        hooks, service = self._hooks, self._base.service

        def tell(before: State, after: State) -> None:
            hooks.breaker_changed(BreakerChanged(service, before, after))

        return Breaker(policy.breaker, clock=transport.now, lease=policy.deadline + 1, tell=tell)

    def __repr__(self) -> str:
        return f"<ApiClient of {self._base.service}>"

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
        """Give up its connections. Calls of other threads come to their end, without retries."""
        self._up.is_closed = True
        self._up.transport.close()

    # -- reading ---------------------------------------------------------------------------

    @overload
    def get(
        self, path: str, *, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> ApiResponse: ...
    @overload
    def get(
        self,
        path: str,
        *,
        into: type[T],
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T: ...
    def get(
        self,
        path: str,
        *,
        into: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Read. Repeated if it fails."""
        return self._call("GET", self._base.target(path, params), into, headers)

    def pages(
        self,
        path: str,
        *,
        into: type[list[T]],
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[T]:
        """The items of all pages, each page read when its first item is asked for.

        Follows ``Link: <…>; rel="next"`` (RFC 8288) within the origin. Another origin,
        and a page that was read before, raise ``BadResponse``. The deadline is one for
        each page.
        """
        target = self._base.target(path, params)
        if (get_origin(into) or into) is not list:
            raise ValidationError("ApiClient", {"into": "must be a list, such as list[Model]"})
        payloads.adapter(into)
        return self._pages(target, into, headers)

    def _pages(
        self, target: Target, into: type[list[T]], headers: Mapping[str, str] | None
    ) -> Iterator[T]:
        seen = {target}
        while True:
            page: ApiResponse = self._call("GET", target, None, headers)
            yield from page.into(into)
            reference = page.links.get("next")
            if reference is None:
                return
            following = self._base.follow(target, reference)
            if following is None:
                raise page.bad("its link to the next page leads to another origin, or is no URL")
            if following in seen:
                raise page.bad("its link to the next page leads back to one that was read")
            seen.add(following)
            target = following

    # -- writing ---------------------------------------------------------------------------

    @overload
    def post(
        self,
        path: str,
        *,
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | bool = False,
    ) -> ApiResponse: ...
    @overload
    def post(
        self,
        path: str,
        *,
        into: type[T],
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | bool = False,
    ) -> T: ...
    def post(
        self,
        path: str,
        *,
        into: Any = None,
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | bool = False,
    ) -> Any:
        """Send something to be dealt with: at most once, unless it has an idempotency key.

        With ``idempotency_key=True`` a key is made for this call, which all its attempts
        bear, and it is repeated if it fails; for services that know ``Idempotency-Key``.
        ``json`` is a model, or what JSON can express; ``content`` is sent as it is.
        """
        target = self._base.target(path, params)
        return self._call("POST", target, into, headers, json, content, idempotency_key)

    @overload
    def put(
        self,
        path: str,
        *,
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse: ...
    @overload
    def put(
        self,
        path: str,
        *,
        into: type[T],
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T: ...
    def put(
        self,
        path: str,
        *,
        into: Any = None,
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Replace. Repeated if it fails."""
        return self._call("PUT", self._base.target(path, params), into, headers, json, content)

    @overload
    def patch(
        self,
        path: str,
        *,
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | bool = False,
    ) -> ApiResponse: ...
    @overload
    def patch(
        self,
        path: str,
        *,
        into: type[T],
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | bool = False,
    ) -> T: ...
    def patch(
        self,
        path: str,
        *,
        into: Any = None,
        json: Any = None,
        content: Content | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | bool = False,
    ) -> Any:
        """Change a part. At most once, as ``post``."""
        target = self._base.target(path, params)
        return self._call("PATCH", target, into, headers, json, content, idempotency_key)

    @overload
    def delete(
        self, path: str, *, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> ApiResponse: ...
    @overload
    def delete(
        self,
        path: str,
        *,
        into: type[T],
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T: ...
    def delete(
        self,
        path: str,
        *,
        into: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Remove. Repeated if it fails: a 404 may then be the answer to the second attempt."""
        return self._call("DELETE", self._base.target(path, params), into, headers)

    # -- all of them -----------------------------------------------------------------------

    def _call(
        self,
        method: str,
        target: Target,
        into: Any,
        extra: Mapping[str, str] | None,
        json: Any = None,
        content: Any = None,
        key: str | bool = False,
    ) -> Any:
        if into is not None:
            payloads.adapter(into)
        body, kind = payloads.body(json, content)
        fields = dict(self._headers) if extra is None else _merged(self._headers, extra)
        if kind is not None and not any(name.lower() == "content-type" for name in fields):
            fields["Content-Type"] = kind
        if key is not False:
            fields["Idempotency-Key"] = payloads.key(key)
        repeatable = method in SAFE_TO_REPEAT or key is not False
        if repeatable and self._up.policy.attempts > 1 and not isinstance(body, bytes | None):
            message = "can be sent only once; give bytes, or a policy with attempts=1"
            raise ValidationError("ApiClient", {"content": message})
        if self._up.is_closed:
            raise ExternalServiceError(
                "the client is closed; make another one",
                service=self._base.service,
                method=method,
                path=target.path,
                outcome="not_executed",
            )
        request = Request(method, self._base.origin, target.path, target.query, fields, body)
        response = Call(self._up, request, repeatable=repeatable).run()
        return response if into is None else response.into(into)


def _check_settings(
    auth: Any, policy: Any, pool_size: int, ca_bundle: str | os.PathLike[str] | None
) -> None:
    checks.count("ApiClient", "pool_size", pool_size)
    if not isinstance(policy, RequestPolicy):
        raise ValidationError("ApiClient", {"policy": "must be a RequestPolicy"})
    if auth is not None and not callable(auth):
        message = "must be Bearer(token), Basic(user, password), ApiKey(header, key) or a function"
        raise ValidationError("ApiClient", {"auth": message})
    if ca_bundle is not None and not Path(ca_bundle).exists():
        raise ValidationError("ApiClient", {"ca_bundle": "there is no such file or folder"})


def _merged(fields: Mapping[str, str], others: Any) -> dict[str, str]:
    """Both; the others win, whatever the case of their names."""
    given = headers.checked(others)
    names = {name.lower() for name in given}
    return {n: value for n, value in fields.items() if n.lower() not in names} | given
