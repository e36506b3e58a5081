"""Counts how often a program waits for an answer of PostgreSQL and of MongoDB.

Proxies stand between: whoever connects to their URLs is counted, this process or a
child of it. The numbers do not depend on the machine. A wait can be made longer, as on
a network: each answer then comes `round_trip_s` later.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.support.listener import listening
from tests.support.mongo import proxies as mongo_proxies
from tests.support.postgres import proxies as postgres_proxies

_ENCRYPTION = {80877103: "SSLRequest", 80877104: "GSSENCRequest"}
_CANCEL = 80877102
_ASKS = {b"Q": "", b"S": "", b"F": "", b"H": "", b"p": "password"}
_ASKS |= {b"c": "end of COPY", b"f": "COPY fails"}
"""Messages that PostgreSQL answers, and their names; it collects the others."""

_LOGGED_IN = (0, 12)
"""Kinds of the message `R` that PostgreSQL goes on after by itself: the last ones."""

_OP_MSG, _MORE_TO_COME = 2013, 2
_HELLO = {"hello", "ismaster", "isMaster"}
_OPENING = {"hello", "saslStart", "saslContinue"}


class Side:
    """The round trips to one server.

    url: leads to it through the proxy. names: what each round trip asked, in order:
    `connect`, SQL statements (joined, where several were sent at once), the names of
    MongoDB's commands. round_trip_s: how much later each answer comes.
    """

    def __init__(self, round_trip_s: float) -> None:
        self.url = ""
        self.names: list[str] = []
        self.round_trip_s = round_trip_s

    def __len__(self) -> int:
        return len(self.names)

    def clear(self) -> None:
        """Count from nothing again."""
        self.names.clear()


class Trips:
    """The round trips to both servers."""

    def __init__(self, round_trip_s: float = 0.0) -> None:
        self.postgres = Side(round_trip_s)
        self.mongo = Side(round_trip_s)

    def clear(self) -> None:
        """Count from nothing again, on both sides."""
        self.postgres.clear()
        self.mongo.clear()

    def __str__(self) -> str:
        sides = {"PostgreSQL": self.postgres, "MongoDB": self.mongo}
        return "\n".join(
            line
            for name, side in sides.items()
            for line in (f"{name}: {len(side)}", *(f"  {each}" for each in side.names))
        )


@contextmanager
def counted(
    postgres_url: str | None, mongo_url: str | None, *, round_trip_s: float = 0.0
) -> Iterator[Trips]:
    """Put proxies before the servers; yield the counters, with the URLs to use.

    A connection to MongoDB counts from its first command on, its handshake included:
    those that a client only watches the server with do not count.
    """
    trips = Trips(round_trip_s)
    with ExitStack() as stack:
        if postgres_url is not None:
            stack.enter_context(_before_postgres(postgres_url, trips.postgres))
        if mongo_url is not None:
            stack.enter_context(_before_mongo(mongo_url, trips.mongo))
        yield trips


@contextmanager
def _before_postgres(url: str, side: Side) -> Iterator[None]:
    def serve(client: socket.socket) -> None:
        gone = suppress(OSError, EOFError)
        with gone, client, postgres_proxies.dial(url) as server:
            _PostgresConnection(side, client, server).serve()

    with listening(serve) as port:
        side.url = postgres_proxies.by_way_of(url, port)
        yield


class _PostgresConnection:
    """Follows the protocol of one connection: who waits for whom."""

    def __init__(
        self, side: Side, client: socket.socket, server: socket.socket
    ) -> None:
        self._side = side
        self._server = server
        self._to_client = client.makefile("wb")
        self._from_client = client.makefile("rb")
        self._from_server = server.makefile("rb")
        self._waits = self._is_late = False
        self._flushed = False
        self._prepared: dict[bytes, str] = {}
        self._sent: list[str] = []

    def serve(self) -> None:
        """Pass all on until the client leaves."""
        if not self._start():
            return
        back = threading.Thread(target=self._pass_answers, daemon=True)
        back.start()
        with suppress(EOFError):
            while True:
                kind, body = postgres_proxies.read(self._from_client)
                self._note(kind, body)
                self._server.sendall(kind + struct.pack(">I", len(body) + 4) + body)
        self._server.shutdown(socket.SHUT_WR)
        back.join()

    def _start(self) -> bool:
        """Pass on what comes before the messages that have a kind."""
        while True:
            head = postgres_proxies.exactly(self._from_client, 8)
            size, code = struct.unpack(">II", head)
            rest = postgres_proxies.exactly(self._from_client, size - 8)
            if code in _ENCRYPTION:
                self._ask(_ENCRYPTION[code])
                self._answer(b"N")
                continue
            self._ask("cancel" if code == _CANCEL else "connect")
            self._server.sendall(head + rest)
            return bool(code != _CANCEL)

    def _note(self, kind: bytes, body: bytes) -> None:
        """Count a message of the client, if it waits from now on."""
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._prepared[name] = text.decode(errors="replace")
        elif kind == b"B":
            self._sent.append(self._prepared.get(body.split(b"\0", 2)[1], ""))
        elif kind == b"Q":
            self._sent.append(body.rstrip(b"\0").decode(errors="replace"))
        if kind in _ASKS and not self._waits:
            self._flushed = kind == b"H"
            sent = self._sent or list(self._prepared.values())[-1:]
            self._ask(_ASKS[kind] or "; ".join(sent))
            self._sent.clear()

    def _ask(self, what: str) -> None:
        self._side.names.append(" ".join(what.split()))
        self._waits = self._is_late = True

    def _pass_answers(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                kind, body = postgres_proxies.read(self._from_server)
                if kind in b"ZG" or (self._flushed and kind in b"CIEs"):
                    self._waits = False
                if kind == b"R" and struct.unpack(">I", body[:4])[0] not in _LOGGED_IN:
                    self._waits = False
                self._answer(kind + struct.pack(">I", len(body) + 4) + body)
        self._to_client.close()

    def _answer(self, data: bytes) -> None:
        if self._is_late:
            time.sleep(self._side.round_trip_s)
        self._is_late = False
        self._to_client.write(data)
        if data[:1] not in b"Dd":
            self._to_client.flush()


@contextmanager
def _before_mongo(uri: str, side: Side) -> Iterator[None]:
    def serve(client: socket.socket) -> None:
        with suppress(OSError), client, mongo_proxies.dial(uri) as server:
            _MongoConnection(side, client, server).serve()

    with listening(serve) as port:
        side.url = mongo_proxies.by_way_of(uri, port)
        yield


class _MongoConnection:
    """Follows the protocol of one connection: which commands are answered."""

    def __init__(
        self, side: Side, client: socket.socket, server: socket.socket
    ) -> None:
        self._side = side
        self._client = client
        self._server = server
        self._opening: list[str] = []
        self._is_late = False

    def serve(self) -> None:
        """Pass all on until the client leaves."""
        back = threading.Thread(target=self._pass_answers, daemon=True)
        back.start()
        while message := mongo_proxies.message(self._client):
            self._note(message)
            self._server.sendall(message)
        self._server.shutdown(socket.SHUT_WR)
        back.join()

    def _note(self, message: bytes) -> None:
        """Count a message of the client, if it waits for an answer."""
        (kind,) = struct.unpack_from("<i", message, 12)
        name = "hello"
        if kind == _OP_MSG:
            (flags,) = struct.unpack_from("<i", message, 16)
            if flags & _MORE_TO_COME:
                return
            name = next(iter(mongo_proxies.command_of(message)))
        self._is_late = True
        name = "hello" if name in _HELLO else name
        if name in _OPENING:
            self._opening.append(name)
            return
        self._side.names += [*self._opening, name]
        self._opening.clear()

    def _pass_answers(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._is_late:
                    time.sleep(self._side.round_trip_s)
                self._is_late = False
                self._client.sendall(data)
            self._client.shutdown(socket.SHUT_WR)
