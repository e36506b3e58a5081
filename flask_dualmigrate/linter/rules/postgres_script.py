"""Rules about how an Alembic script is written, and about the types of its tables."""

from __future__ import annotations

import ast
import re
import sys
from typing import Any

from ..advice import paste
from ..advice.finding import Advice, Advices, rule
from ..views.postgres import PostgresView


@rule("DM117", "raw SQL that cannot be judged")
def raw_sql(view: PostgresView) -> Advices:
    """Neither lint nor the translation knows what it does."""
    for change in view.changes:
        if change.verb == "raw":
            statement = " ".join((change.sql or "").split())
            shown = statement if len(statement) <= 60 else f"{statement[:59]}…"
            yield Advice(
                f"No rule can examine what this does ({shown}), "
                "and nothing is translated from it for MongoDB.",
                "# Write it with op.… or as plain statements; or review it yourself:"
                "\n# dualmigrate: allow DM117 what it locks, and for how long\n"
                f"{paste.execute(statement)}",
                change.line,
            )


_FUNCTION_IMPORT = re.compile(r"(?m)^[ \t]+(?:from|import)\s")


@rule("DM118", "ORM model in a script", on_downgrade=True)
def orm_model(view: PostgresView) -> Advices:
    """It changes with the code, and the script does not."""
    own = view.module.__name__
    models = {
        name
        for name, value in vars(view.module).items()
        if _is_model(value) and value.__module__ not in (own, "builtins")
    }
    inner = _FUNCTION_IMPORT.search(view.source.text) is not None
    if not models and not inner:
        return
    for node in ast.walk(view.source.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found = [alias.name for alias in node.names if _imported(node, alias)]
            for name in found:
                yield Advice(
                    f"{name} is the model as of the time when the script runs: once "
                    "it gets a new column, this old script queries a column that "
                    "does not exist yet.",
                    _table_instead(name, node),
                    node.lineno,
                )


def _imported(node: ast.ImportFrom, alias: ast.alias) -> bool:
    module = sys.modules.get(node.module or "")
    return _is_model(getattr(module, alias.name, None))


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and hasattr(value, "__mapper__")


def _table_instead(name: str, node: ast.ImportFrom) -> str:
    model = getattr(sys.modules.get(node.module or ""), name, None)
    table: Any = getattr(model, "__table__", None)
    columns = "".join(
        f", sa.column({paste.text(str(column.name))})"
        for column in (table.columns if table is not None else ())
    )
    title = paste.text(str(table.name)) if table is not None else '"items"'
    return f"{name.lower()} = sa.table({title}{columns})"


@rule("DM119", "db.session in a script", on_downgrade=True)
def session(view: PostgresView) -> Advices:
    """It is another connection, which waits for the script's own locks."""
    if "session" not in view.source.text:
        return
    for node in ast.walk(view.source.tree):
        if not isinstance(node, ast.Attribute) or node.attr != "session":
            continue
        if isinstance(node.value, ast.Name) and node.value.id in ("db", "database"):
            yield Advice(
                "db.session uses another connection: it does not see the "
                "script's changes, waits forever for the script's own locks, and what "
                "it commits remains if the script fails.",
                'op.get_bind().execute(sa.text("UPDATE …"))',
                node.lineno,
            )


@rule("DM120", "COMMIT or ROLLBACK in a script", on_downgrade=True)
def commits(view: PostgresView) -> Advices:
    """It ends the transaction in which the whole revision should commit or fail."""
    for change in view.changes:
        if change.verb == "transaction":
            yield Advice(_ENDS, _IN_A_BLOCK, change.line)
    if ".commit(" not in view.source.text and ".rollback(" not in view.source.text:
        return
    for node in ast.walk(view.source.tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in ("commit", "rollback"):
            yield Advice(_ENDS, _IN_A_BLOCK, called.lineno)


_ENDS = (
    "It ends the revision's transaction: what was done before it remains if the rest "
    "fails, and the version row is no longer written in the same transaction."
)
_IN_A_BLOCK = (
    "with op.get_context().autocommit_block():\n"
    '    op.execute("…")  # only what must be outside the transaction'
)

_MOST_BYTES = 63


@rule("DM121", "identifier over 63 bytes", only_postgres=True)
def long_names(view: PostgresView) -> Advices:
    """PostgreSQL cuts it without an error."""
    for change in view.changes:
        for name in (change.table, change.column, change.name):
            part = (name or "").rpartition(".")[2]
            size = len(part.encode())
            if size > _MOST_BYTES and not change.verb.startswith("drop"):
                short = part.encode()[:_MOST_BYTES].decode(errors="ignore")
                yield Advice(
                    f"{part} has {size} bytes, and PostgreSQL keeps only the first "
                    f"63: it becomes {short} or is refused, and two names may become "
                    "the same.",
                    f"# {_shortened(part)}",
                    change.line,
                )


def _shortened(name: str) -> str:
    cut = name.encode()[: _MOST_BYTES - 5].decode(errors="ignore")
    return f"{cut}_{sum(name.encode()) % 10_000:04}"


@rule("DM122", "json rather than jsonb", only_postgres=True)
def json_column(view: PostgresView) -> Advices:
    """json has no equality: DISTINCT, UNION and many indexes fail on it."""
    verbs = ("column", "add_column", "alter_type")
    for change in view.changes:
        if change.verb in verbs and change.type_ in ("json", "json[]"):
            yield Advice(
                f"{change.place} is stored as text: it cannot be compared, "
                "so DISTINCT, UNION and GROUP BY fail, and it cannot be indexed.",
                "# from sqlalchemy.dialects import postgresql\n"
                f"sa.Column({paste.text(change.column or '')}, postgresql.JSONB())",
                change.line,
            )


_SMALL = ("integer", "int", "int4", "serial", "smallint", "smallserial", "int2")


@rule("DM124", "serial or integer key", only_postgres=True)
def small_key(view: PostgresView) -> Advices:
    """It runs out at 2,147,483,647, and changing it then rewrites the table."""
    for change in view.changes:
        if change.verb not in ("column", "add_column") or not change.primary_key:
            continue
        is_raw = change.sql is not None
        counts = is_raw or change.name == "auto"
        if change.type_ in _SMALL and counts:
            yield Advice(
                f"{change.place} runs out at 2,147,483,647, sooner if inserts "
                "fail or are rolled back; widening it then rewrites the whole table.",
                f"sa.Column({paste.text(change.column or '')}, sa.BigInteger(), "
                "sa.Identity(), primary_key=True)",
                change.line,
            )
