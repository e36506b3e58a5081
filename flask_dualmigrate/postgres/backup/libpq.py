"""How a PostgreSQL program reaches the server of an engine's connection."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

APPLICATION = "flask-dualmigrate backup"
_SECRET = ("password", "sslpassword", "passfile", "oauth_client_secret")
_NOT_FOR_PROGRAMS = ("client_encoding", "dbname", "application_name", "replication")


@dataclasses.dataclass(frozen=True)
class Libpq:
    """parameters: of libpq, without secrets; password: None if there is none."""

    database: str
    parameters: Mapping[str, str]
    password: str | None = dataclasses.field(repr=False)

    def argument(self, database: str | None = None) -> str:
        """Return `--dbname=…`, without a password. database: a different one to use."""
        words = {
            **self.parameters,
            "dbname": database or self.database,
            "application_name": APPLICATION,
        }
        text = " ".join(f"{key}={_quoted(value)}" for key, value in words.items())
        return f"--dbname={text}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the process, including the password."""
        variables = {k: v for k, v in os.environ.items() if k != "PGPASSWORD"}
        if self.password is not None:
            variables["PGPASSWORD"] = self.password
        return variables


def libpq_of(connection: Connection) -> Libpq:
    """Return how to reach the exact server and database of a connection.

    With a driver based on libpq it is read from the connection itself, so that
    connect_args, a service file or a list of hosts count too.
    """
    driver: Any = connection.connection.dbapi_connection
    info: Any = getattr(driver, "info", None)
    if hasattr(info, "get_parameters"):  # psycopg 3
        given, password = info.get_parameters(), info.password
    elif hasattr(info, "dsn_parameters"):  # psycopg2
        given, password = info.dsn_parameters, info.password
    else:
        return _of_url(connection)
    words = {
        str(key): str(value)
        for key, value in given.items()
        if key not in (*_SECRET, *_NOT_FOR_PROGRAMS)
    }
    # One of a list of hosts: the one that this connection reached.
    if "," in words.get("host", "") + words.get("hostaddr", ""):
        words.pop("hostaddr", None)
        words |= {"host": str(info.host)}
    words |= {"port": str(info.port), "user": str(info.user)}
    return Libpq(str(info.dbname), words, password or None)


def _of_url(connection: Connection) -> Libpq:
    url = connection.engine.url
    words = {
        key: str(value)
        for key, value in (
            ("host", url.host),
            ("port", url.port),
            ("user", url.username),
        )
        if value is not None
    }
    password = None if url.password is None else str(url.password)
    return Libpq(url.database or "", words, password)


def _quoted(value: str) -> str:
    """Quote a value of a connection string. Source: PostgreSQL manual, 32.1.1.1."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
