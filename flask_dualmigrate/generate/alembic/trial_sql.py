"""What PostgreSQL makes of SQL: tried on a copy of a table, in a savepoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

_WAIT = "SET LOCAL lock_timeout TO '5s'"


class NotTried(Exception):
    """The copy could not be made, or not be used; the message says why."""


def try_out(
    connection: Connection,
    table: tuple[str, str] | None,
    statements: Sequence[str],
    question: str,
) -> str | None:
    """Return the answer to a question after some statements about a table's copy.

    table: schema and name; None: the statements need no copy. In them pg_temp.<name> is
    the copy: the columns and their types, nothing else. question: SQL of one value.
    None: PostgreSQL does not take the statements. All is undone.
    Raises NotTried where no copy can be had, such as for want of rights.
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
    """Return whether an error is about what the statement says, and not about rights.

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
