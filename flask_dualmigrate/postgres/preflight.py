"""What makes a database unfit for a plan, found before anything is changed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from alembic.script.base import Script
from sqlalchemy import Engine

from ..errors import IntegrityError
from ..revision import Direction
from .destructive import destructive_calls
from .errors import driver_errors
from .script_calls import calls_of, text_of


def refuse_tables_without_history(engine: Engine, scripts: Sequence[Script]) -> None:
    """Raise IntegrityError if a database without history has what scripts would make.

    scripts: of an upgrade from base, in order. Those after one that drops something
    are not looked at: it may make room.
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
                f"The PostgreSQL database has no history, and has the table {name} "
                f"that revision {script.revision} would make",
                where=script.path,
                hint="Start with an empty one; or, if the database is as a revision "
                "leaves it, say so: flask db-migrate stamp REVISION",
            )


def _until_a_drop(scripts: Sequence[Script]) -> Iterator[Script]:
    for script in scripts:
        if destructive_calls(script, Direction.UPGRADE):
            return
        yield script


def _made(script: Script) -> Iterator[tuple[str | None, str]]:
    """Yield (schema, name) of each `create_table("name", …)` in a script."""
    for call in calls_of(script, Direction.UPGRADE):
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr != "create_table" or "if_not_exists" in options:
            continue
        name = text_of(call.args[0]) if call.args else None
        schema = text_of(options["schema"]) if "schema" in options else None
        if name and ("schema" not in options or schema):
            yield schema, name
