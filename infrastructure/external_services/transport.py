"""Requests over the network: a private session of ``requests``, with sockets that keep time."""

from __future__ import annotations

import http.client
import os
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from infrastructure.external_services import bodies, forks
from infrastructure.external_services.deadlines import (
    CURRENT,
    POOLS,
    BoundedTLSSocket,
    Exchange,
    TooMuch,
)
from infrastructure.external_services.exchanges import Answer, Failure, Limits, Request
from infrastructure.external_services.failing import failure_of
from infrastructure.external_services.headers import Headers

_PIECE = 32 * 1024
_BELOW = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    TooMuch,
    bodies.Undecodable,
)


class RequestsTransport:
    """The network. At most ``pool_size`` requests are under way at once; others wait their turn.

    Cookies are not kept. Proxies and certificates of the environment count only if
    ``trust_environment`` is true.
    """

    def __init__(
        self,
        *,
        pool_size: int = 20,
        ca_bundle: str | os.PathLike[str] | None = None,
        trust_environment: bool = False,
    ) -> None:
        self._pool_size = pool_size
        self._authorities = os.fspath(ca_bundle) if ca_bundle is not None else None
        self._trusts = trust_environment
        self._closed = False
        self.after_fork()
        forks.tell(self)

    def after_fork(self) -> None:
        """New connections: those of the parent stay with the parent."""
        self._slots = threading.BoundedSemaphore(self._pool_size)
        self._adapter = _Adapter(self._pool_size)
        self._session = requests.Session()
        self._session.trust_env = self._trusts
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, self._adapter)

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        """Requests that are under way come to their end, and their connections with them."""
        self._closed = True
        self._session.close()

    def exchange(self, request: Request, limits: Limits, /) -> Answer:
        slots = self._slots
        if not slots.acquire(timeout=max(0.0, limits.until - time.monotonic())):
            reason = "all connections were in use; see ApiClient(pool_size=…)"
            raise Failure("timeout", reason, sent=False, peer=False)
        try:
            if self._closed:
                raise Failure("unavailable", "the client was closed", sent=False, peer=False)
            found = self._exchange(request, limits)
        finally:
            slots.release()
        if isinstance(found, Failure):
            raise found  # outside of every except: what caused it holds URLs and headers
        return found

    def _exchange(self, request: Request, limits: Limits) -> Answer | Failure:
        exchange = Exchange(limits, f"?{request.query}" if request.query else "")
        outer, CURRENT.exchange = CURRENT.exchange, exchange  # a body may be made of other calls
        try:
            return self._answer(self._send(request, limits), exchange, limits.body)
        except _BELOW as error:
            return failure_of(error, exchange, limits.body)
        finally:
            CURRENT.exchange = outer

    def _send(self, request: Request, limits: Limits) -> urllib3.HTTPResponse:
        prepared = _prepared(request)
        options: dict[str, Any] = {"proxies": {}, "verify": self._authorities or True}
        if self._trusts:
            options = self._from_environment(prepared)
        # requests wants to know both; the sockets ask for what is left of the deadline.
        found = self._adapter.send(
            prepared, stream=True, timeout=(limits.connect, limits.read), **options
        )
        raw: urllib3.HTTPResponse = found.raw
        return raw

    def _from_environment(self, prepared: requests.PreparedRequest) -> dict[str, Any]:
        found = self._session.merge_environment_settings(
            prepared.url or "", {}, True, self._authorities, None
        )
        return {"proxies": dict(found["proxies"]), "verify": found["verify"]}

    def _answer(self, raw: urllib3.HTTPResponse, exchange: Exchange, limit: int) -> Answer:
        exchange.status = raw.status
        headers = Headers(raw.headers.items())
        pieces = raw.stream(_PIECE, decode_content=False)
        try:
            content = bodies.content_of(pieces, headers, raw.status, limit)
        except BaseException as error:
            raw.close()  # what is left of the body must not be read as the next answer
            if raw.status < 300 or not isinstance(error, _BELOW):
                raise
            content = b""  # the status says enough
        return Answer(raw.status, headers, content)


def _prepared(request: Request) -> requests.PreparedRequest:
    """All is checked and encoded already; the query is added when the request is sent."""
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.origin + request.path
    prepared.headers = CaseInsensitiveDict(request.headers)
    prepared.body = request.body
    if isinstance(request.body, bytes):
        prepared.headers["Content-Length"] = str(len(request.body))
    return prepared


class _Adapter(HTTPAdapter):
    """Connections of ours. It never repeats a request, and keeps no cookies."""

    def __init__(self, pool_size: int) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()  # two contexts would be two pools
        super().__init__(pool_connections=4, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if not proxy.lower().startswith("http://"):
            raise requests.exceptions.InvalidProxyURL("only http:// proxies keep to a deadline")
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, settings = super().build_connection_pool_key_attributes(request, True, cert)
        if host["scheme"] == "https":
            settings = {"ssl_context": self._context(verify)}
        return host, settings

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to set: the context has the authorities, loaded once, and always verifies."""

    def _context(self, verify: Any) -> ssl.SSLContext:
        where = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
        with self._lock:
            if where not in self._contexts:
                self._contexts[where] = _context(where)
            return self._contexts[where]

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.raw = resp.status, resp
        return response


def _context(authorities: str) -> ssl.SSLContext:
    """Verifies certificate and host, and makes sockets of ours."""
    is_folder = Path(authorities).is_dir()
    context = ssl.create_default_context(
        cafile=None if is_folder else authorities, capath=authorities if is_folder else None
    )
    context.sslsocket_class = BoundedTLSSocket
    context.set_alpn_protocols(["http/1.1"])
    return context
