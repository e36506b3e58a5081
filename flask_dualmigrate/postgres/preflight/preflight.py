"""Finding what makes a database unfit for a plan before anything is changed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy import Engine

from ...alembic_scripts.source_calls import (
    argument,
    body_of,
    calls_of,
    text_of,
    texts_in,
)
from ...alembic_scripts.sql_changes import changes_of_sql
from ...errors import IntegrityError, Irreversible, TreeError
from ...revisions import Direction
from ...tree.script_file import LoadedScript
from ..lock.at_work import IS_AT_WORK, work_parameters
from ..server.errors import driver_errors
from .destructive import destructive_calls


def refuse_irreversible(script: LoadedScript, direction: Direction) -> None:
    """Raise Irreversible for a script that lacks the function, or refuses to run it.

    A function that begins with `raise NotImplementedError` says that it cannot be done;
    anything else it raises is a failure of the run.
    """
    if not callable(getattr(script.module, direction, None)):
        said = "has no"
    elif direction is Direction.DOWNGRADE and _refuses(script):
        said = "refuses its"
    else:
        return
    raise Irreversible(
        f"Revision {script.revision} {said} {direction}() function, so it "
        "cannot be undone",
        where=script.path,
        hint="Write one, or choose a target above it.",
    )


def _refuses(script: LoadedScript) -> bool:
    body = body_of(script, Direction.DOWNGRADE)
    if body and isinstance(body[0], ast.Expr) and text_of(body[0].value) is not None:
        body = body[1:]  # its docstring
    if not body or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return False
    raised = ast.unparse(body[0].exc)
    return "NotImplementedError" in raised or "rreversible" in raised.partition("(")[0]


def refuse_concurrently(script: LoadedScript, function: str) -> None:
    """Raise TreeError for CONCURRENTLY within the script's transaction."""
    for call in _concurrent(body_of(script, function)):
        raise TreeError(
            f"Revision {script.revision} builds or drops an index CONCURRENTLY, "
            "which PostgreSQL cannot do in a transaction",
            where=f"{script.path}:{call.lineno}",
            hint="Put it into: with op.get_context().autocommit_block():",
        )


def _concurrent(body: Sequence[ast.AST]) -> Iterator[ast.Call]:
    """Yield the calls with CONCURRENTLY outside of an autocommit block."""
    for node in body:
        if isinstance(node, ast.With) and any(
            "autocommit_block" in ast.unparse(item.context_expr) for item in node.items
        ):
            continue
        if isinstance(node, ast.Call) and _is_concurrent(node):
            yield node
        yield from _concurrent(list(ast.iter_child_nodes(node)))


def _is_concurrent(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name == "op.execute":
        changes = (each for sql in texts_in(*call.args) for each in changes_of_sql(sql))
        return any(change.concurrently for change in changes)
    return name in ("op.create_index", "op.drop_index") and _is_true(
        call, "postgresql_concurrently"
    )


def _is_true(call: ast.Call, option: str) -> bool:
    return getattr(argument(call, option), "value", None) is True


def refuse_invalid_indexes(
    engine: Engine, key: int, scripts: Sequence[tuple[LoadedScript, Direction]]
) -> None:
    """Raise IntegrityError for an invalid index that IF NOT EXISTS would accept.

    A CREATE INDEX CONCURRENTLY that fails leaves its index behind, marked INVALID. An
    index that another run is still building is INVALID too: wait for that run. key: of
    the migration lock.
    """
    wanted = {
        name: script
        for script, function in scripts
        for call in calls_of(script, function)
        if (name := _made_if_missing(call)) is not None
    }
    if not wanted:
        return
    with driver_errors("list its indexes"), engine.connect() as connection:
        parameters = {"names": list(wanted), **work_parameters(key)}
        found = connection.execute(_INVALID, parameters).first()
    if found is not None:
        raise IntegrityError(
            f"PostgreSQL has an INVALID index {found.name} on {found.place}, left "
            f"by a failed build, which revision {wanted[found.name].revision} would "
            "take for a complete one",
            where=wanted[found.name].path,
            hint="Rebuild it with: flask db-migrate index rebuild "
            f"{found.place} {found.name} --backend postgres",
        )


_INVALID = sa.text(
    "SELECT c.relname AS name, t.relname AS place FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
    "WHERE NOT i.indisvalid AND c.relname = ANY(:names) AND c.relkind = 'i' "
    "AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p "
    "WHERE p.index_relid = i.indexrelid AND " + IS_AT_WORK.format(pid="p.pid") + ")"
)


def _made_if_missing(call: ast.Call) -> str | None:
    """Return the name of an index that a call creates unless it exists."""
    if ast.unparse(call.func) != "op.create_index":
        return None
    name = text_of(argument(call, "index_name", 0))
    return name if _is_true(call, "if_not_exists") else None


def refuse_tables_without_history(
    engine: Engine, scripts: Sequence[LoadedScript]
) -> None:
    """Raise IntegrityError if a database without history has what scripts create.

    scripts: of an upgrade from base, in order. Those after one that drops something are
    not examined: it may make room.
    """
    wanted = {
        table: script for script in _until_a_drop(scripts) for table in _made(script)
    }
    if not wanted:
        return
    with driver_errors("list its tables"), engine.connect() as connection:
        inspector = sa.inspect(connection)
        schemas = {schema for schema, _ in wanted}
        there = {
            (schema, name)
            for schema in schemas
            for name in inspector.get_table_names(schema=schema)
        }
    for table, script in wanted.items():
        if table in there:
            name = ".".join(filter(None, table))
            raise IntegrityError(
                "The PostgreSQL database has no history, but already has the "
                f"table {name} that revision {script.revision} would create",
                where=script.path,
                hint="Start with an empty database; or, if it matches "
                "a revision, record that: flask db-migrate stamp REVISION",
            )


def _until_a_drop(scripts: Sequence[LoadedScript]) -> Iterator[LoadedScript]:
    for script in scripts:
        if destructive_calls(script, Direction.UPGRADE):
            return
        yield script


def _made(script: LoadedScript) -> Iterator[tuple[str | None, str]]:
    """Yield (schema, name) for each `create_table("name", …)` in a script."""
    for call in calls_of(script, Direction.UPGRADE):
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr != "create_table" or argument(call, "if_not_exists"):
            continue
        name, place = text_of(argument(call, "table_name", 0)), argument(call, "schema")
        schema = text_of(place)
        if name and (place is None or schema):
            yield schema, name
