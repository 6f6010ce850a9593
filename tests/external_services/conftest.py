"""Servers that misbehave, and a certificate authority that nobody else trusts."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from infrastructure.external_services import ApiClient, RequestPolicy
from tests.external_services.server import Server

QUICK = RequestPolicy(
    connect_timeout=1, read_timeout=1, deadline=3, backoff=0.01, longest_backoff=0.02
)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server needs to be 127.0.0.1 for those who trust the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


MakeServer = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[MakeServer]:
    """Starts servers, and stops them."""
    started: list[Server] = []

    def start(*arguments: Any, **options: Any) -> Server:
        server = Server(*arguments, **options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(params=["http", "https"])
def serve_both(
    request: pytest.FixtureRequest, serve: MakeServer, tls: ssl.SSLContext
) -> MakeServer:
    """The same, over each of both."""
    if request.param == "http":
        return serve
    return lambda *arguments, **options: serve(*arguments, tls=tls, **options)


MakeClient = Callable[..., ApiClient]


@pytest.fixture
def connect(ca_bundle: Path) -> Iterator[MakeClient]:
    """Makes clients of a server, quick ones, and closes them."""
    made: list[ApiClient] = []

    def make(server: Any, path: str = "", **options: Any) -> ApiClient:
        settings: dict[str, Any] = {"policy": QUICK, "ca_bundle": ca_bundle} | options
        client = ApiClient(f"{server.url}{path}", **settings)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
