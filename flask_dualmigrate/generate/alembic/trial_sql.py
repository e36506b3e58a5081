"""Find out how PostgreSQL stores SQL, by trying it on a table's copy in a savepoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

_WAIT = "SET LOCAL lock_timeout TO '5s'"


class NotTried(Exception):
    """The copy could not be created or used; the message says why."""


def try_out(
    connection: Connection,
    table: tuple[str, str] | None,
    statements: Sequence[str],
    question: str,
) -> str | None:
    """Run statements on a copy of a table, and return the answer to a question.

    table: schema and name; None: the statements need no copy. In them pg_temp.<name> is
    the copy: only the columns and their types. question: SQL that returns one value.
    Returns None if PostgreSQL rejects the statements. Everything is undone.
    Raises NotTried if no copy can be made, for example without the privileges.
    """
    with _undone(connection):
        try:
            connection.exec_driver_sql(_WAIT)
            if table is not None:
                schema, name = map(connection.dialect.identifier_preparer.quote, table)
                _run(connection, f"CREATE TEMP TABLE {name} (LIKE {schema}.{name})")
        except DBAPIError as error:
            raise NotTried(_words(error)) from error
        try:
            for statement in statements:
                _run(connection, statement)
            answer = connection.exec_driver_sql(question).scalar()
        except DBAPIError as error:
            if _is_of_the_statement(error):
                return None
            raise NotTried(_words(error)) from error
    return None if answer is None else str(answer)


def _is_of_the_statement(error: DBAPIError) -> bool:
    """Return whether an error is about the statement itself, and not about privileges.

    Source: PostgreSQL's class 42; 42501 is insufficient_privilege.
    """
    driver = error.orig
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None) or ""
    return str(state).startswith("42") and state != "42501"


def _words(error: DBAPIError) -> str:
    return (str(error.orig).splitlines() or ["no answer"])[0]


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement.replace("%", "%%"))


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    if getattr(connection.connection, "autocommit", False):
        connection.exec_driver_sql("BEGIN")
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK")
        return
    nested = connection.begin_nested()
    try:
        yield
    finally:
        nested.rollback()
