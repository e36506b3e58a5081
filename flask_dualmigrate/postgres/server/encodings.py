"""Text that a database can hold, whatever its encoding; what it cannot is escaped."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from ...text import storable


def fitting(connection: Connection, text: str) -> str:
    r"""Return a text as this database can hold it: `→` becomes `\u2192` in LATIN1."""
    text = storable(text)
    for codec in _codecs(connection):
        text = text.encode(codec, "backslashreplace").decode(codec)
    return text


def _codecs(connection: Connection) -> Iterator[str]:
    """Yield Python's names of the encodings that a text passes through.

    PostgreSQL tells its own ones on connecting: no round trip is needed. Other servers
    are taken to hold any text.
    """
    raw: Any = connection.connection.driver_connection
    told = getattr(raw, "info", None)
    ask = getattr(told, "parameter_status", None)
    if ask is None:
        return
    server, client = ask("server_encoding"), ask("client_encoding")
    # A server in SQL_ASCII takes any bytes: the client's encoding decides.
    for name in {client, client if server == "SQL_ASCII" else server} - {None}:
        yield codec_of(str(name), unknown="ascii")


def codec_of(name: str, *, unknown: str = "utf-8") -> str:
    """Return Python's name of an encoding of PostgreSQL's.

    unknown: for one that Python does not have, and for SQL_ASCII, which is none.
    """
    if name == "SQL_ASCII":
        return unknown
    try:
        return codecs.lookup(name.replace("WIN", "cp").replace("KOI8", "koi8_")).name
    except LookupError:
        return unknown
