"""Code to paste: a script's lines that avoid a danger, with its own names in them."""

from __future__ import annotations

import json

from ...alembic_scripts.change import Change
from ...sql.names import quoted
from .finding import NEXT

AUTOCOMMIT = "with op.get_context().autocommit_block():"


def text(value: str) -> str:
    """Return a string as Python source."""
    return json.dumps(value, ensure_ascii=False)


def execute(sql: str) -> str:
    return f"op.execute({text(sql)})"


def indented(*lines: str) -> str:
    return "\n".join(f"    {line}" for line in "\n".join(lines).splitlines())


def autocommit(*lines: str) -> str:
    return f"{AUTOCOMMIT}\n{indented(*lines)}"


def then(*blocks: str) -> str:
    """Return blocks of code, each for a separate revision."""
    return f"\n\n{NEXT}\n".join(blocks)


def table_arguments(table: str | None) -> tuple[str, str]:
    """Return a table as an argument, and the argument for its schema, if any."""
    schema, _, name = (table or "").rpartition(".")
    return text(name), f", schema={text(schema)}" if schema else ""


def columns(change: Change) -> str:
    """Return the columns of an index as a list of arguments."""
    found = (text(c) if _is_name(c) else f"sa.text({text(c)})" for c in change.columns)
    return f"[{', '.join(found)}]"


def _is_name(column: str) -> bool:
    return column.replace("_", "a").isalnum()


def index_name(change: Change) -> str:
    names = [name for name in change.columns if _is_name(name)]
    table = (change.table or "").rpartition(".")[2]
    return change.name or "_".join(["ix", table, *names])


def default_name(change: Change, suffix: str) -> str:
    """Return the name that PostgreSQL would give a constraint."""
    table = (change.table or "").rpartition(".")[2]
    parts = [table, *change.columns] if change.columns else [table, change.column or ""]
    return change.name or "_".join([*filter(None, parts), suffix])


def concurrent_index(change: Change) -> str:
    """Return the code that builds an index while others write."""
    table, schema = table_arguments(change.table)
    where = f", postgresql_where=sa.text({text(change.where)})" if change.where else ""
    unique = ", unique=True" if change.unique else ""
    more = "".join(f", {key}={value}" for key, value in change.options)
    return autocommit(
        f"op.create_index({text(index_name(change))}, {table}, {columns(change)}"
        f"{schema}{unique}{where}{more}, "
        "if_not_exists=True, postgresql_concurrently=True)"
    )


def alter(table: str | None, action: str) -> str:
    return execute(f"ALTER TABLE {quoted(table or '')} {action}")
