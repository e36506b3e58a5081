"""Checking what the role of a PostgreSQL URL may do, before anything is changed."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...alembic_scripts.source_calls import (
    argument,
    calls_of,
    switches_role,
    text_of,
)
from ...errors import DatabaseUnavailable
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


_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What our own tables need."""

_ASK = sa.text(
    """
    SELECT current_setting('transaction_read_only') = 'on' AS is_read_only,
      current_user AS role, current_schema() AS current_schema,
      to_regclass(a.full_name) IS NOT NULL AS is_there,
      has_schema_privilege(to_regnamespace(
        quote_ident(coalesce(a.schema, current_schema()))), 'CREATE') AS may_create,
      (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c
        WHERE c.oid = to_regclass(a.full_name)) AS owns,
      ARRAY(SELECT r FROM unnest(CAST(:rights AS text[])) WITH ORDINALITY u(r, place)
        WHERE NOT has_table_privilege(to_regclass(a.full_name), r)
        ORDER BY place) AS lacks
    FROM (
      SELECT *, coalesce(quote_ident(schema) || '.', '') || quote_ident(name)
        AS full_name
      FROM json_to_recordset(CAST(:asked AS json))
        AS x(place int, schema text, name text)
    ) a
    ORDER BY a.place
    """
)


@dataclasses.dataclass(frozen=True)
class _Need:
    """What a script, or the journal, needs of a table; name: None: to create one.

    ours: all rights on it, or the right to create it. why: completes the error.
    """

    schema: str | None
    name: str | None
    why: str
    ours: bool = False

    def refuse(self, found: sa.Row[Any]) -> None:
        """Raise DatabaseUnavailable if the answer is that it is not had."""
        schema = f"schema {self.schema or found.current_schema}"
        if self.name is None or (self.ours and not found.is_there):
            # None: a schema that does not exist yet, which a script may create.
            if found.may_create is False:
                raise _denied(found.role, f"CREATE {self.why}", schema)
        elif self.ours:
            for right in found.lacks:
                raise _denied(found.role, right, self.name)
        elif found.owns is False:  # None: there is no such table yet
            raise _denied(found.role, self.why, self.name)


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
    switches to another role is trusted. It is one query, however much is needed.
    """
    needs = [_Need(schema, name, f"to make {name}", ours=True) for name in ours]
    needs += _needs(scripts)
    asked = [
        {"place": place, "schema": need.schema, "name": need.name}
        for place, need in enumerate(needs)
    ]
    answers = connection.execute(
        _ASK, {"asked": json.dumps(asked), "rights": list(_RIGHTS)}
    ).all()
    if answers[0].is_read_only:
        raise DatabaseUnavailable(
            "This PostgreSQL session is read-only",
            where="default_transaction_read_only",
            hint="Use a server and a role that may write in DATABASE_URL or "
            "DUALMIGRATE_POSTGRES_URI.",
        )
    for need, answer in zip(needs, answers, strict=True):
        need.refuse(answer)


def _needs(scripts: Sequence[tuple[LoadedScript, str]]) -> Iterator[_Need]:
    for script, function in scripts:
        if switches_role(script):
            return
        for call in calls_of(script, function):
            yield from _needs_of(script, call)


def _needs_of(script: LoadedScript, call: ast.Call) -> Iterator[_Need]:
    assert isinstance(call.func, ast.Attribute)
    method = call.func.attr
    given = argument(call, "schema")
    schema = text_of(given)
    if given is not None and schema is None:
        return
    if method == "create_table":
        yield _Need(schema, None, f"for revision {script.revision}")
        return
    place = _TABLE_ARGUMENT.get(method)
    if place is not None and place < len(call.args):
        table = text_of(call.args[place])
        if table is not None:
            yield _Need(schema, table, f"{method} for revision {script.revision}")


def _denied(role: str, right: str, where: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"The PostgreSQL role {role} has no right to {right}; nothing was changed",
        where=where,
        hint=_HINT,
    )
