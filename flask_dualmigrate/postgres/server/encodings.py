"""Escaping text that a database cannot hold in its encoding."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from ...text import storable


def fitting(connection: Connection, text: str) -> str:
    r"""Return a text so that this database can hold it: `→` is `\u2192` in LATIN1."""
    text = storable(text)
    for codec in _codecs(connection):
        text = text.encode(codec, "backslashreplace").decode(codec)
    return text


def _codecs(connection: Connection) -> Iterator[str]:
    """Yield Python's names of the encodings that a text passes through.

    PostgreSQL reports its encodings on connecting: no round trip is needed. Other
    servers are assumed to hold any text.
    """
    raw: Any = connection.connection.driver_connection
    told = getattr(raw, "info", None)
    ask = getattr(told, "parameter_status", None)
    if ask is None:
        return
    server, client = ask("server_encoding"), ask("client_encoding")
    # A server in SQL_ASCII accepts any bytes: the client's encoding decides.
    for name in {client, client if server == "SQL_ASCII" else server} - {None}:
        yield codec_of(str(name), unknown="ascii")


def codec_of(name: str, *, unknown: str = "utf-8") -> str:
    """Return Python's name for a PostgreSQL encoding.

    unknown: for one that Python does not have, and for SQL_ASCII, which is not one.
    """
    if name == "SQL_ASCII":
        return unknown
    try:
        return codecs.lookup(name.replace("WIN", "cp").replace("KOI8", "koi8_")).name
    except LookupError:
        return unknown
