"""A TCP connection between a client and a PostgreSQL server that a test can cut."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

Cut = Literal["before", "after", "with", "never heard of"]
"""When the link breaks, seen from COMMIT.

``before``: the server never gets it, and notices the end of the connection.
``after``: the server does it, and its answer does not arrive.
``with``: the server gets it and the end at once; either may have come first.
``never heard of``: the server never gets it, and does not notice that the client is gone.
"""


class Link:
    """A proxy on a loopback port; ``cut`` says what happens to each next COMMIT."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.cut: Cut | None = None
        self.cuts = 0
        self.before_cut: Callable[[], None] = lambda: None
        """What happens to the server before the client learns that the link is broken."""
        self._happening = threading.Lock()
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop_listening(self) -> None:
        """From now on nobody can connect; what is connected stays so."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        """End everything."""
        with suppress(OSError):
            self.stop_listening()
        for each in self._kept:
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()  # as the server would
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            commit = threading.Event()
            for pump in (self._to_server, self._to_client):
                threading.Thread(target=pump, args=(client, server, commit), daemon=True).start()

    def _to_server(
        self, client: socket.socket, server: socket.socket, commit: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self.cut is None or b"COMMIT" not in data:
                    server.sendall(data)
                    continue
                cut, self.cut = self.cut, None
                self.cuts += 1
                if cut in ("after", "with"):
                    if cut == "after":
                        commit.set()
                    server.sendall(data)
                if cut == "after":
                    return  # the other direction ends both when the answer is there
                if cut == "never heard of":
                    self._kept.append(server)
                    _end(client)
                    return
                self._meanwhile(server if cut == "before" else None)
                break
        _end(client)
        _end(server)

    def _to_client(
        self, client: socket.socket, server: socket.socket, commit: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if commit.is_set():
                    self._meanwhile()
                    break
                client.sendall(data)
        if server not in self._kept:
            _end(server)
        with self._happening:
            _end(client)

    def _meanwhile(self, lost: socket.socket | None = None) -> None:
        with self._happening:  # the client learns of it afterwards
            if lost is not None:
                _end(lost)
            happens, self.before_cut = self.before_cut, lambda: None
            happens()


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
