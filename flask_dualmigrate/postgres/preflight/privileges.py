"""Checking what the role of a PostgreSQL URL may do, before anything is changed."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from ...alembic_scripts.source_calls import (
    argument,
    calls_of,
    switches_role,
    text_of,
)
from ...errors import DatabaseUnavailable
from ...sql.names import quote_full
from ...tree.script_file import LoadedScript

_HINT = "Use a role that owns the tables in DATABASE_URL or DUALMIGRATE_POSTGRES_URI."

_TABLE_ARGUMENT = {
    **dict.fromkeys(("add_column", "drop_column", "alter_column"), 0),
    **dict.fromkeys(("drop_table", "rename_table"), 0),
    **dict.fromkeys(("create_index", "create_unique_constraint"), 1),
    **dict.fromkeys(("create_check_constraint", "create_foreign_key"), 1),
    "drop_constraint": 1,
}
"""Method of `op` -> which of its arguments is a table only its owner may change."""


def require_writable(connection: Connection) -> None:
    """Raise DatabaseUnavailable if the session is read-only."""
    if connection.execute(sa.text("SHOW transaction_read_only")).scalar_one() == "on":
        raise DatabaseUnavailable(
            "This PostgreSQL session is read-only",
            where="default_transaction_read_only",
            hint="Use a server and a role that may write in DATABASE_URL or "
            "DUALMIGRATE_POSTGRES_URI.",
        )


def require_privileges(
    connection: Connection,
    scripts: Sequence[tuple[LoadedScript, str]],
    *,
    ours: Sequence[str],
    schema: str | None,
) -> None:
    """Raise DatabaseUnavailable if the role may not do what scripts need.

    scripts: each with the name of its function. ours: the version table and those of
    the journal, in `schema`. What a script computes is not seen, and a script that
    switches to another role is trusted.
    """
    _require_journal(connection, ours, schema)
    for script, function in scripts:
        if switches_role(script):
            return
        for call in calls_of(script, function):
            _require_call(connection, script, call)


def _require_journal(
    connection: Connection, ours: Sequence[str], schema: str | None
) -> None:
    inspector = sa.inspect(connection)
    for table in ours:
        if not inspector.has_table(table, schema=schema):
            _require_create(connection, schema, f"to make {table}")
            continue
        name = quote_full((schema, table))
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            query = sa.select(sa.func.has_table_privilege(name, right))
            if not connection.execute(query).scalar_one():
                raise _denied(connection, right, table)


def _require_call(connection: Connection, script: LoadedScript, call: ast.Call) -> None:
    assert isinstance(call.func, ast.Attribute)
    method = call.func.attr
    given = argument(call, "schema")
    schema = text_of(given)
    if given is not None and schema is None:
        return
    if method == "create_table":
        _require_create(connection, schema, f"for revision {script.revision}")
        return
    place = _TABLE_ARGUMENT.get(method)
    if place is not None and place < len(call.args):
        table = text_of(call.args[place])
        if table is not None and not _owns(connection, schema, table):
            raise _denied(connection, f"{method} for revision {script.revision}", table)


def _require_create(connection: Connection, schema: str | None, why: str) -> None:
    query = sa.text(
        "SELECT has_schema_privilege(to_regnamespace(quote_ident("
        "coalesce(:schema, current_schema()))), 'CREATE'), current_schema()"
    )
    may, current = connection.execute(query, {"schema": schema}).one()
    # None: a schema that does not exist yet, which a script may create.
    if may is False:
        raise _denied(connection, f"CREATE {why}", f"schema {schema or current}")


def _owns(connection: Connection, schema: str | None, table: str) -> bool:
    """Return whether the role may change a table; True if there is none yet."""
    query = sa.text(
        "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class "
        "WHERE oid = to_regclass(coalesce(quote_ident(:schema) || '.', '') "
        "|| quote_ident(:table))"
    )
    found = connection.execute(query, {"schema": schema, "table": table}).scalar()
    return found is not False


def _denied(connection: Connection, right: str, where: str) -> DatabaseUnavailable:
    user = connection.execute(sa.text("SELECT current_user")).scalar_one()
    return DatabaseUnavailable(
        f"The PostgreSQL role {user} has no right to {right}; nothing was changed",
        where=where,
        hint=_HINT,
    )
