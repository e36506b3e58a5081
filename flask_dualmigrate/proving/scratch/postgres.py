"""Scratch databases on a PostgreSQL server."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from ...errors import DatabaseUnavailable
from ...revisions import BackendName
from ...sql.tokens import literal
from .names import Mark, is_scratch_name, scratch_name

log = logging.getLogger(__name__)

_SCRATCHES = """
    SELECT d.datname, shobj_description(d.oid, 'pg_database') FROM pg_database d
    WHERE d.datname LIKE '%\\_scratch\\_%' AND NOT d.datistemplate
"""

# Set by ALTER DATABASE and ALTER ROLE … IN DATABASE; the role's own come later.
_SETTINGS = """
    SELECT unnest(s.setconfig) FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
    WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
    ORDER BY s.setrole
"""
_LISTS = {"search_path", "temp_tablespaces", "session_preload_libraries"}
"""Settings whose stored value is a list of quoted items."""


class PostgresPlace:
    """Creates databases through a connection to another one, and drops them.

    url: of a database on the server; connect_args: those of the app's engine.
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
        """Create an empty database; return its name.

        Raises DatabaseUnavailable if the server or the account does not allow it.
        """
        name = scratch_name(self._url.database or "app")
        try:
            self._execute(lambda quote: f"CREATE DATABASE {quote(name)}")
            self.mark(name, Mark.own())
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise DatabaseUnavailable(
                f"A scratch database cannot be created on PostgreSQL: {reason}",
                where=self.server,
            ) from error
        return name

    def furnish(
        self, name: str, *, schemas: Iterable[str], created: Collection[str]
    ) -> None:
        """Give a scratch database what the app's has before the first revision.

        That is the database's settings, the schemas in its search_path, and `schemas`.
        created: the schemas that scripts create.
        """
        with self.open().connect() as connection:
            settings = connection.exec_driver_sql(_SETTINGS).scalars().all()
            found = connection.exec_driver_sql("SELECT unnest(current_schemas(false))")
            path = [schema for schema in found.scalars() if schema not in created]
        for setting in settings:
            key, _, value = setting.partition("=")
            shown = value if key in _LISTS else literal(value)
            said = f"SET {key} TO {shown}".replace(":", r"\:")
            try:
                self._execute(lambda q, s=said: f"ALTER DATABASE {q(name)} {s}")
            except SQLAlchemyError as error:  # only a superuser may set it
                log.debug("The scratch database does not have %s: %s", key, error)
        with self.open(name).begin() as connection:
            for schema in {*schemas, *path}:
                connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))

    def mark(self, name: str, mark: Mark) -> None:
        text = literal(mark.text()).replace(":", r"\:")
        self._execute(lambda quote: f"COMMENT ON DATABASE {quote(name)} IS {text}")

    def drop(self, name: str) -> None:
        """Drop a scratch database, whoever is still connected to it."""
        assert is_scratch_name(name), name
        self._execute(lambda q: f"DROP DATABASE IF EXISTS {q(name)} WITH (FORCE)")

    def sweep(self) -> list[str]:
        """Drop the databases that killed runs left behind; return their names."""
        with self.open().connect() as connection:
            found = connection.exec_driver_sql(_SCRATCHES.replace("%", "%%")).all()
        gone = []
        for name, comment in found:
            mark = Mark.of(comment) if is_scratch_name(name) else None
            if mark is not None and mark.is_dead():
                self.drop(name)
                gone.append(name)
        return gone

    def open(self, name: str | None = None) -> Engine:
        """Return an engine that keeps no connection open.

        name: of a scratch database; None: the app's own.
        """
        url = self._url if name is None else self._url.set(database=name)
        return sa.create_engine(
            url, poolclass=sa.pool.NullPool, connect_args=self._connect_args
        )

    def _execute(self, statement: Any) -> None:
        """Execute a statement outside a transaction; it is given a quoting function."""
        engine = self.open().execution_options(isolation_level="AUTOCOMMIT")
        quote = engine.dialect.identifier_preparer.quote_identifier
        with engine.connect() as connection:
            connection.execute(sa.text(statement(quote)))
