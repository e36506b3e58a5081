"""Checking whether a database server is up, within a short time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from .dialects import dialect_of
from .server.errors import driver_errors, first_line

_TIMEOUTS = dict.fromkeys(
    ("psycopg", "psycopg2", "pymysql", "mysqldb"), "connect_timeout"
)
"""Driver -> its connection timeout argument, in seconds; libpq's minimum is 2."""


def why_absent(engine: Engine, timeout_s: float) -> str | None:
    """Return why the server accepts no connections or writes yet; None if it does.

    timeout_s: seconds that connecting may take, at least 2. Raises DatabaseUnavailable
    if waiting does not help: wrong credentials, a database that does not exist.
    """
    with driver_errors("be reached"), _brief(engine, timeout_s) as parameters:
        try:
            return _ask(engine)
        except DBAPIError as error:
            if not _takes_connections(engine, error, parameters()):
                return first_line(error)
        # It may have come up in between: only now does a refusal concern us.
        return _ask(engine)


def _ask(engine: Engine) -> str | None:
    with engine.connect() as connection:
        is_replica = dialect_of(engine).is_replica(connection)
    return "the server is a replica, or it recovers" if is_replica else None


@contextmanager
def _brief(
    engine: Engine, timeout_s: float
) -> Iterator[Callable[[], Mapping[str, Any]]]:
    """Let the engine connect in a short time; yield what it last connected with."""
    used: dict[str, Any] = {}

    def shorten(dialect: Any, record: Any, words: Any, parameters: Any) -> None:
        if key := _TIMEOUTS.get(engine.dialect.driver):
            limits = (int(parameters.get(key) or 0), max(2, round(timeout_s)))
            parameters[key] = min(limit for limit in limits if limit > 0)
        used.clear()
        used.update(parameters)

    event.listen(engine, "do_connect", shorten)
    try:
        yield lambda: used
    finally:
        event.remove(engine, "do_connect", shorten)


def _takes_connections(
    engine: Engine, error: DBAPIError, parameters: Mapping[str, Any]
) -> bool:
    """Return whether a server is up but refuses these parameters.

    libpq's PQping shows this: it uses the error's code, which a failed connection does
    not expose, and not its text, which may be in any language. If it is not available
    the answer is no, so that the caller waits; for a file it does not wait.
    """
    if engine.dialect.driver != "psycopg":
        return dialect_of(engine).is_answer(error)
    from psycopg import conninfo, pq

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    asked = {key: value for key, value in parameters.items() if key in known}
    ping = pq.PGconn.ping(conninfo.make_conninfo("", **asked).encode())
    return ping in (pq.Ping.OK, pq.Ping.NO_ATTEMPT)
