"""Scratch databases on a PostgreSQL server."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from ..errors import DatabaseUnavailable
from ..revision import BackendName
from .names import Mark, is_scratch_name, scratch_name

_SCRATCHES = """
    SELECT d.datname, shobj_description(d.oid, 'pg_database') FROM pg_database d
    WHERE d.datname LIKE '%\\_scratch\\_%' AND NOT d.datistemplate
"""


class PostgresPlace:
    """Makes databases by a connection to another one, and drops them.

    url: of a database on the server; connect_args: as the app's engine has them.
    """

    backend = BackendName.POSTGRES

    def __init__(self, url: URL, connect_args: dict[str, Any]) -> None:
        self._url = url
        self._connect_args = connect_args

    @property
    def server(self) -> str:
        host = self._url.host or self._url.query.get("host") or "a local socket"
        return f"{host}:{self._url.port}" if self._url.port else str(host)

    def make(self) -> str:
        """Make an empty database; returns its name.

        Raises DatabaseUnavailable where the server or the account does not let us.
        """
        name = scratch_name(self._url.database or "app")
        try:
            self._execute(lambda quote: f"CREATE DATABASE {quote(name)}")
            self.mark(name, Mark.own())
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise DatabaseUnavailable(
                f"A scratch database cannot be made on PostgreSQL: {reason}",
                where=self.server,
            ) from error
        return name

    def mark(self, name: str, mark: Mark) -> None:
        text = mark.text().replace("'", "''").replace(":", r"\:")
        self._execute(lambda quote: f"COMMENT ON DATABASE {quote(name)} IS '{text}'")

    def drop(self, name: str) -> None:
        """Drop a scratch database, whoever is still connected to it."""
        assert is_scratch_name(name), name
        self._execute(lambda q: f"DROP DATABASE IF EXISTS {q(name)} WITH (FORCE)")

    def sweep(self) -> list[str]:
        """Drop what killed runs left; returns the names."""
        with self._engine().connect() as connection:
            found = connection.exec_driver_sql(_SCRATCHES.replace("%", "%%")).all()
        gone = []
        for name, comment in found:
            mark = Mark.of(comment) if is_scratch_name(name) else None
            if mark is not None and mark.is_dead():
                self.drop(name)
                gone.append(name)
        return gone

    def engine(self, name: str) -> Engine:
        """Return an engine of a scratch database, which keeps no connection."""
        return self._engine(name)

    def _engine(self, name: str | None = None) -> Engine:
        url = self._url if name is None else self._url.set(database=name)
        return sa.create_engine(
            url, poolclass=sa.pool.NullPool, connect_args=self._connect_args
        )

    def _execute(self, statement: Any) -> None:
        """Execute a statement outside of a transaction; it gets the quoting."""
        engine = self._engine().execution_options(isolation_level="AUTOCOMMIT")
        quote = engine.dialect.identifier_preparer.quote_identifier
        with engine.connect() as connection:
            connection.execute(sa.text(statement(quote)))
