"""Servers that a test may kill: throw-away clusters of PostgreSQL, and PgBouncer."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support import is_missing

_LOOPBACK = "127.0.0.1"
_SETTINGS = {
    "listen_addresses": f"'{_LOOPBACK}'",
    "unix_socket_directories": "''",
    "fsync": "off",  # a killed process loses nothing by that, only a killed machine
    "max_connections": "100",
    "shared_buffers": "16MB",
    "deadlock_timeout": "100ms",
}


def free_port() -> int:
    """A port on which nobody listens, and that the system gives to no client meanwhile."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_LOOPBACK, port))
            return port


def _binary(name: str) -> str:
    folders = [str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")]
    found = shutil.which(name, path=os.pathsep.join([*sorted(folders), os.environ["PATH"]]))
    if found is None:
        is_missing(f"the server's own {name} (Debian: postgresql)")
    return found


def _as_server() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


class Cluster:
    """A PostgreSQL server of its own, on a loopback port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="kit-cluster-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data = self.folder / "data"
        self._run(
            "initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C",
            "--no-sync", f"--pgdata={self.data}",
        )  # fmt: skip
        settings = {**_SETTINGS, "port": self.port}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@{_LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._control("start", "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """``smart``, ``fast``, or ``immediate``, which is a crash of all its processes."""
        self._control("stop", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop it, whatever state it is in, and leave nothing behind."""
        with suppress(subprocess.CalledProcessError):  # it may not run
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _control(self, action: str, *options: str) -> None:
        self._run("pg_ctl", action, "-w", "-t", "60", "-D", str(self.data), *options)

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / "said").open("ab") as said:
            subprocess.run(
                [_binary(name), *arguments], check=True, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, timeout=90, **_as_server(),
            )  # fmt: skip


class Bouncer:
    """PgBouncer in transaction mode before one server."""

    def __init__(self, host: str, port: int, *, user: str = "postgres", size: int = 4) -> None:
        binary = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
        if binary is None:
            is_missing("pgbouncer (Debian: pgbouncer)")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="kit-bouncer-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        (self.folder / "users").write_text(f'"{user}" ""\n')
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={host} port={port}\n"
            f"[pgbouncer]\nlisten_addr = {_LOOPBACK}\nlisten_port = {self.port}\n"
            f"auth_type = trust\nauth_file = {self.folder / 'users'}\n"
            f"pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 200\n"
            "unix_socket_dir =\n"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, str(settings)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, **_as_server(),
            )  # fmt: skip
        self._wait()

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql+psycopg://{user}@{_LOOPBACK}:{self.port}/{database}"

    def remove(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection((_LOOPBACK, self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return
        raise TimeoutError("PgBouncer did not answer")
