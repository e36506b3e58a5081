"""What may stand before MongoDB: a proxy that refuses commands, as managed servers do.

It knows one thing of the protocol: the command that a message (OP_MSG) has.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from tests.support.listener import listening

_OP_MSG = 2013
_DECODED: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)

Command = Mapping[str, Any]
Refuse = Callable[[str, Command], tuple[int, str] | None]
"""Takes the name of a command and the whole; returns a code and a text, or None."""


class Wire:
    """A network before the server.

    refuse: what is not passed on. round_trip_s: how long the server is away.
    answers: command -> what is answered in place of the server. slow: command ->
    seconds that the server takes longer for it. seen: how often each command came by.
    bytes_sent: of all of them.
    """

    def __init__(self) -> None:
        self.refuse: Refuse = lambda name, command: None
        self.round_trip_s = 0.0
        self.slow: dict[str, float] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.seen: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.bytes_sent = 0

    def deny(self, code: int, *names: str) -> None:
        """Refuse commands, and stages of pipelines, by their names."""

        def refuse(name: str, command: Command) -> tuple[int, str] | None:
            stages = command.get("pipeline", ())
            asked = {name, *(key for stage in stages for key in stage)}
            found = asked & set(names)
            return (code, f"{found} is not allowed") if found else None

        self.refuse = refuse

    def answer(self, message: bytes) -> bytes | None:
        """Return the reply to a message that is refused; None to pass it on."""
        self.bytes_sent += len(message)
        number, _, kind = struct.unpack("<iii", message[4:16])
        if kind != _OP_MSG or message[20] != 0:
            return None
        command = command_of(message)
        name = next(iter(command))
        self.seen[name] += 1
        time.sleep(self.slow.get(name, 0.0))
        why = self.refuse(name, command)
        if why is not None:
            self.refused[name] += 1
            body = bson.encode({"ok": 0.0, "code": why[0], "errmsg": why[1]})
        elif name in self.answers:
            body = bson.encode({**self.answers[name], "ok": 1.0})
        else:
            return None
        out = struct.pack("<IB", 0, 0) + body
        return struct.pack("<iiii", 16 + len(out), 1, number, _OP_MSG) + out


def command_of(message: bytes) -> dict[str, Any]:
    """Return the command that a message (OP_MSG) begins with."""
    (size,) = struct.unpack_from("<i", message, 21)
    return bson.decode(message[21 : 21 + size], _DECODED)


def dial(uri: str) -> socket.socket:
    """Connect to the one server that a URI names."""
    place = uri.partition("://")[2].rpartition("@")[2].partition("/")[0]
    host, _, port = place.partition(":")
    return socket.create_connection((host, int(port or 27017)))


def by_way_of(uri: str, port: int) -> str:
    """Return the URI of a server of a test that leads through a port of this host."""
    head, _, tail = uri.partition("://")
    login, at, rest = tail.rpartition("@")
    _, slash, path = rest.partition("/")
    return f"{head}://{login}{at}127.0.0.1:{port}{slash}{path}"


@contextmanager
def wired(uri: str) -> Iterator[tuple[str, Wire]]:
    """Pass all on to a server; yield the URI that leads through the wire, and it."""
    wire = Wire()

    def serve(client: socket.socket) -> None:
        with client, dial(uri) as server:
            back = threading.Thread(target=_copy, args=(wire, server, client))
            back.daemon = True
            back.start()
            with suppress(OSError):
                while asked := message(client):
                    reply = wire.answer(asked)
                    target, data = (server, asked) if reply is None else (client, reply)
                    target.sendall(data)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    with listening(serve) as port:
        yield by_way_of(uri, port), wire


def _copy(wire: Wire, source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            time.sleep(wire.round_trip_s)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def message(stream: socket.socket) -> bytes:
    head = _exactly(stream, 4)
    return head + _exactly(stream, struct.unpack("<i", head)[0] - 4) if head else b""


def _exactly(stream: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        data = stream.recv(size - len(found))
        if not data:
            return b""
        found += data
    return bytes(found)
