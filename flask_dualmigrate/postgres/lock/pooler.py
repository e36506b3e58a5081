"""A pooler in transaction mode, such as PgBouncer: a session lock does not hold there.

Each transaction may get a different session of the server, and someone else's next one
gets ours, lock and all. What only passes bytes on (a port forward, a NAT, a plain TCP
proxy) is not a pooler, and a pooler in session mode does no harm: so a pooler is
detected by its behavior.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from ...errors import DatabaseUnavailable

_ROUNDS = 4


def refuse_pooler(engine: Engine, connection: Connection) -> None:
    """Raise DatabaseUnavailable if sessions are shared between connections.

    Only to be asked if the session that answers is not the one of `greeted_by`.
    connection: in AUTOCOMMIT, and in no transaction.
    """
    if _shares_sessions(engine, connection):
        raise DatabaseUnavailable(
            "This PostgreSQL URL goes through a connection pooler in transaction mode "
            "(such as PgBouncer), where the migration lock does not hold",
            hint="Give the URL of the server itself in DUALMIGRATE_POSTGRES_URI; "
            "the app keeps its own URL.",
        )


def greeted_by(connection: Connection) -> int | None:
    """Return the pid of the session that greeted us; None if the driver does not say.

    The greeting contains it for canceling. A pooler makes up its own; what only passes
    bytes on cannot. Source: PostgreSQL manual, BackendKeyData.
    """
    raw: Any = connection.connection.dbapi_connection
    found = getattr(getattr(raw, "info", None), "backend_pid", None)
    return None if found is None else int(found)


def _shares_sessions(engine: Engine, connection: Connection) -> bool:
    """Return whether two connections share a session, or one changes its session.

    Neither ever happens on a server, or behind a pooler in session mode. An idle pooler
    assigns the session used last, so that both share it; a busy one moves them.
    """
    with engine.connect() as plain:
        other = plain.execution_options(isolation_level="AUTOCOMMIT")
        ours, theirs = set(), set()
        for _ in range(_ROUNDS):
            ours.add(_session_of(connection))
            theirs.add(_session_of(other))
        return len(ours) > 1 or len(theirs) > 1 or bool(ours & theirs)


def _session_of(connection: Connection) -> int:
    """Return the pid of the session that answers now.

    The text is never the same twice: psycopg would prepare it after five uses, and the
    prepared statement would be used in a different session.
    """
    query = sa.text(f"SELECT pg_backend_pid() /* {uuid4().hex} */")
    return int(connection.execute(query).scalar_one())
