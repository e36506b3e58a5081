"""Alembic's operations in words: what was detected, and what `check` finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy.engine import Dialect

from .enums import ChangeEnumOp
from .evolve import dropped_name
from .state import IndexState, Key, constraint_index, full_name, index_state
from .walk import leaves, table_of


def describe_all(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> tuple[str, ...]:
    """Return one line for each operation: "add table items"."""
    return tuple(describe(op, dialect) for op in leaves(operations))


def describe(op: Any, dialect: Dialect) -> str:
    """Return an operation in words."""
    table = table_of(op, dialect)
    match op:
        case ops.CreateTableOp():
            return f"add table {table}"
        case ops.DropTableOp():
            return f"remove table {table}"
        case ops.AddColumnOp():
            return f"add column {table}.{op.column.name}"
        case ops.DropColumnOp():
            return f"remove column {table}.{op.column_name}"
        case ops.AlterColumnOp():
            return f"change {_aspects(op)} of column {table}.{op.column_name}"
        case ops.CreateIndexOp():
            return f"add {_index(index_state(op.to_index(), dialect), table)}"
        case ops.DropIndexOp():
            return f"remove index {dropped_name(op, dialect)} of {table}"
        case ops.CreateUniqueConstraintOp():
            constraint = op.to_constraint()
            index = constraint_index(constraint, constraint.table, dialect)
            return f"add unique constraint {index.name} on {table}{_columns(index)}"
        case ops.CreateForeignKeyOp():
            columns = ", ".join(op.local_cols)
            schema = op.kw.get("referent_schema")
            target = full_name(op.referent_table, schema, dialect)
            return f"add foreign key {table}({columns}) -> {target}"
        case ops.DropConstraintOp():
            kind = {"foreignkey": "foreign key"}.get(
                op.constraint_type or "", f"{op.constraint_type or ''} constraint"
            )
            name = dropped_name(op, dialect)
            return f"remove {kind.strip()} {name} of {table}"
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            return f"change comment of table {table}"
        case ChangeEnumOp():
            return f"change labels of enum {op.new.name}: {_labels(op)}"
        case ops.ExecuteSQLOp():
            return f"run SQL {op.sqltext}"
    return f"{type(op).__name__} {table or ''}".strip()


def _labels(op: ChangeEnumOp) -> str:
    old, new = op.old.labels, op.new.labels
    added = [f"add {label!r}" for label in new if label not in old]
    removed = [f"remove {label!r}" for label in old if label not in new]
    return ", ".join(added + removed)


def _aspects(op: ops.AlterColumnOp) -> str:
    aspects = [
        ("name", op.modify_name is not None),
        ("type", op.modify_type is not None),
        ("nullable", op.modify_nullable is not None),
        ("server default", op.modify_server_default is not False),
        ("comment", op.modify_comment is not False),
    ]
    return ", ".join(word for word, changed in aspects if changed) or "options"


def _index(index: IndexState, table: str | None) -> str:
    unique = "unique " if index.unique else ""
    return f"{unique}index {index.name} on {table}{_columns(index)}"


def _columns(index: IndexState) -> str:
    return f"({', '.join(map(_key, index.keys))})"


def _key(key: Key) -> str:
    return f"{key.column or key.expression}{' DESC' if key.descending else ''}"
