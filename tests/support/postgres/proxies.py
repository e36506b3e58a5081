"""What may stand between an app and PostgreSQL: a port forward, and poolers.

`Forward` passes bytes on. `Pooler` ends the protocol, as PgBouncer does: in transaction
mode each transaction gets the server connection that was given back last. Both are on
TCP, before the server that the tests have, wherever that listens.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg
from sqlalchemy import URL, make_url

from tests.support.listener import listening

_ENCRYPTION = (80877103, 80877104)  # SSLRequest, GSSENCRequest
_READY, _KEY, _QUERY, _SYNC, _END = b"Z", b"K", b"Q", b"S", b"X"


class Stream(Protocol):
    """What a socket's makefile() gives."""

    def read(self, size: int, /) -> bytes: ...

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


def _server_of(url: str) -> tuple[str, int]:
    made = make_url(url)
    host = str(made.query.get("host") or made.host or "127.0.0.1")
    return host, int(str(made.query.get("port") or made.port or 5432))


def dial(url: str) -> socket.socket:
    host, port = _server_of(url)
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    dialled = socket.socket(socket.AF_UNIX)
    dialled.connect(f"{host}/.s.PGSQL.{port}")
    return dialled


def by_way_of(url: str, port: int) -> str:
    made = make_url(url)
    far: URL = made.set(host="127.0.0.1", port=port, query={})
    return far.render_as_string(hide_password=False)


@contextmanager
def forward(url: str) -> Iterator[str]:
    """A port forward, as docker, kubectl and a NAT are."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, dial(url) as server:
            back = threading.Thread(target=copy, args=(server, client), daemon=True)
            back.start()
            copy(client, server)
            back.join()

    with listening(serve) as port:
        yield by_way_of(url, port)


class Cut:
    """A network before the server that can be cut: only the app hears of it.

    Connections that are made after the cut go through again.
    """

    def __init__(self) -> None:
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []

    def join(self, client: socket.socket, server: socket.socket) -> None:
        self._clients.append(client)
        self._servers.append(server)

    def cut(self) -> None:
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for server in self._servers:
            server.close()


@contextmanager
def cuttable(url: str) -> Iterator[tuple[str, Cut]]:
    """A port forward whose connections can be cut on the side of the app."""
    wires = Cut()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def serve(client: socket.socket) -> None:
        server = dial(url)  # stays open: a server hears nothing of a cut
        wires.join(client, server)
        with client:
            threading.Thread(target=copy, args=(server, client), daemon=True).start()
            copy(client, server)

    with listening(serve) as port:
        yield by_way_of(url, port), wires
    wires.close()


class _Server:
    """One connection of the pooler to the server."""

    def __init__(self, url: str) -> None:
        self._socket = dial(url)
        self.stream = self._socket.makefile("rwb")

    def close(self) -> None:
        with suppress(OSError):
            self.stream.close()
        self._socket.close()

    def answer(self, client: Stream) -> bytes:
        """Pass messages on to the client until the server is ready; how it is then."""
        while True:
            kind, body = read(self.stream)
            if kind == _KEY:
                body = struct.pack(">II", 0x7FFF0001, 7)  # of our own, for cancelling
            _write(client, kind, body)
            if kind == b"R" and body[:4] not in (b"\0\0\0\0", b"\0\0\0\x0c"):
                client.flush()
                _write(self.stream, *read(client))
                self.stream.flush()
            if kind == _READY:
                client.flush()
                return body


@contextmanager
def pooler(url: str, *, session_mode: bool = False) -> Iterator[str]:
    """A pooler that shares the server's connections, by transactions or by sessions."""
    made: list[_Server] = []
    idle: list[_Server] = []

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as client:
            startup = _startup(client)
            kept: _Server | None = _Server(url)
            assert kept is not None
            made.append(kept)
            kept.stream.write(startup)
            kept.stream.flush()
            if kept.answer(client) == b"I" and not session_mode:
                idle.append(kept)
                kept = None
            while (asked := _batch(client)) is not None:
                kept = kept or idle.pop()
                kept.stream.write(asked)
                kept.stream.flush()
                if kept.answer(client) == b"I" and not session_mode:
                    idle.append(kept)
                    kept = None

    def quietly(connection: socket.socket) -> None:
        with suppress(OSError, EOFError):
            serve(connection)

    with listening(quietly) as port:
        yield by_way_of(url, port)
    for server in made:
        server.close()


def _startup(client: Stream) -> bytes:
    """Return the message that logs in, after those that ask for encryption."""
    while True:
        size, code = struct.unpack(">II", exactly(client, 8))
        rest = exactly(client, size - 8)
        if code not in _ENCRYPTION:
            return struct.pack(">II", size, code) + rest
        client.write(b"N")
        client.flush()


def _batch(client: Stream) -> bytes | None:
    """Return the messages up to the one that the server answers; None at the end."""
    asked = b""
    while True:
        kind, body = read(client)
        if kind == _END:
            return None
        asked += kind + struct.pack(">I", len(body) + 4) + body
        if kind in (_QUERY, _SYNC):
            return asked


def read(stream: Stream) -> tuple[bytes, bytes]:
    kind, size = struct.unpack(">cI", exactly(stream, 5))
    return kind, exactly(stream, size - 4)


def _write(stream: Stream, kind: bytes, body: bytes) -> None:
    stream.write(kind + struct.pack(">I", len(body) + 4) + body)


def exactly(stream: Stream, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found


PGBOUNCER = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer")
"""The real one, where there is one: its path, or found on PATH."""

_BOUNCER = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = {mode}
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""


@contextmanager
def pgbouncer(url: str, folder: Path, mode: str) -> Iterator[str]:
    """The real PgBouncer before the server, whose socket it might not be let to."""
    with forward(url) as reachable, _bouncing(reachable, folder, mode) as near:
        yield near


@contextmanager
def _bouncing(url: str, folder: Path, mode: str) -> Iterator[str]:
    assert PGBOUNCER is not None
    made = make_url(url)
    host, server_port = _server_of(url)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = f"host={host} port={server_port} user={made.username}"
    server += f" password={made.password}" if made.password else ""
    text = _BOUNCER.format(server=server, port=port, folder=folder, mode=mode)
    (folder / "pgbouncer.ini").write_text(text)
    (folder / "users.txt").write_text(f'"{made.username}" ""\n')
    folder.chmod(0o777)
    # It refuses to be root; who is not cannot become nobody.
    words = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([PGBOUNCER, "-q", *words, folder / "pgbouncer.ini"])
    near = by_way_of(url, port)
    try:
        _wait_for(near)
        yield near
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(url: str) -> None:
    conninfo = make_url(url).set(drivername="postgresql")
    give_up = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(conninfo.render_as_string(hide_password=False)).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
