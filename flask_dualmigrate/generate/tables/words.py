"""Alembic's operations in words: what was detected, and what `check` finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy.engine import Dialect

from ...alembic_scripts import by_class
from .database_ops import DatabaseOp
from .enums import ChangeEnumOp
from .enums_of_others import words_of_another
from .evolve import dropped_name
from .state import IndexState, Key, constraint_index, final_name, full_name, index_state
from .unchecked_enums import label_words
from .walk import leaves, table_of


def describe_all(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> tuple[str, ...]:
    """Return one line for each operation, such as "add table items"."""
    return tuple(describe(op, dialect) for op in leaves(operations))


def describe(op: Any, dialect: Dialect) -> str:
    """Return an operation in words."""
    table = table_of(op, dialect) or ""
    if isinstance(op, DatabaseOp) and op.words:
        return op.words
    others = entity_words(op) or words_of_another(op, dialect)
    if others is not None:
        return others
    words = by_class(_WORDS, op)
    if words is None:
        return f"{type(op).__name__} {table}".strip()
    return words(op, table, dialect)


def entity_words(op: Any) -> str | None:
    """Name the view, function or trigger that an operation is about; None: no such one.

    Source: ReplaceableEntity of alembic_utils.
    """
    entity = getattr(op, "target", None)
    if not hasattr(entity, "to_sql_statement_create"):
        return None
    kind = str(getattr(entity, "type_", type(entity).__name__)).replace("_", " ")
    verb = {"CreateOp": "add", "DropOp": "remove"}.get(type(op).__name__, "change")
    schema, name = getattr(entity, "schema", None), getattr(entity, "signature", "")
    return f"{verb} {kind} {f'{schema}.' if schema else ''}{name}".rstrip()


def _alter_column(op: ops.AlterColumnOp, table: str, dialect: Dialect) -> str:
    labels = label_words(op.existing_type, op.modify_type, dialect)
    aspects = [
        ("name", op.modify_name is not None),
        ("labels", labels is not None),
        ("type", op.modify_type is not None and labels is None),
        ("nullable", op.modify_nullable is not None),
        ("server default", op.modify_server_default is not False),
        ("comment", op.modify_comment is not False),
    ]
    changed = ", ".join(word for word, is_changed in aspects if is_changed)
    words = f"change {changed or 'options'} of column {table}.{op.column_name}"
    return f"{words}: {labels}" if labels else words


def _create_index(op: ops.CreateIndexOp, table: str, dialect: Dialect) -> str:
    return f"add {index_words(index_state(op.to_index(), dialect), table)}"


def index_words(index: IndexState, table: str) -> str:
    """Return an index in words, such as "unique index ix on items(name)"."""
    unique = "unique " if index.unique else ""
    return f"{unique}index {index.name} on {table}{_columns(index)}"


def _create_unique(
    op: ops.CreateUniqueConstraintOp, table: str, dialect: Dialect
) -> str:
    constraint = op.to_constraint()
    index = constraint_index(constraint, constraint.table, dialect)
    return f"add unique constraint {index.name} on {table}{_columns(index)}"


def _create_constraint(kind: str) -> Callable[[Any, str, Dialect], str]:
    def words(op: Any, table: str, dialect: Dialect) -> str:
        name = final_name(op.constraint_name, dialect)
        return f"add {kind} {name or 'without a name'} on {table}"

    return words


def _create_foreign_key(
    op: ops.CreateForeignKeyOp, table: str, dialect: Dialect
) -> str:
    schema = op.kw.get("referent_schema")
    target = full_name(op.referent_table, schema, dialect)
    return f"add foreign key {table}({', '.join(op.local_cols)}) -> {target}"


def _drop_constraint(op: ops.DropConstraintOp, table: str, dialect: Dialect) -> str:
    kinds = {"foreignkey": "foreign key", "primary": "primary key", None: "constraint"}
    kind = kinds.get(op.constraint_type, f"{op.constraint_type} constraint")
    return f"remove {kind} {dropped_name(op, dialect)} of {table}"


def _change_enum(op: ChangeEnumOp, _: str, __: Dialect) -> str:
    old, new = op.old.labels, op.new.labels
    changes = [f"add {label!r}" for label in new if label not in old]
    changes += [f"remove {label!r}" for label in old if label not in new]
    stay = [label for label in new if label in old]
    if stay != [label for label in old if label in new]:
        changes.append(f"order them {', '.join(map(repr, new))}")
    return f"change labels of enum {op.new.name}: {', '.join(changes)}"


def _comment(_: Any, table: str, __: Dialect) -> str:
    return f"change comment of table {table}"


def _columns(index: IndexState) -> str:
    return f"({', '.join(map(_key, index.keys))})"


def _key(key: Key) -> str:
    return f"{key.column or key.expression}{' DESC' if key.descending else ''}"


_WORDS: dict[type[Any], Callable[[Any, str, Dialect], str]] = {
    ops.CreateTableOp: lambda op, table, _: f"add table {table}",
    ops.DropTableOp: lambda op, table, _: f"remove table {table}",
    ops.RenameTableOp: lambda op, table, _: f"rename {table} to {op.new_table_name}",
    ops.AddColumnOp: lambda op, table, _: f"add column {table}.{op.column.name}",
    ops.DropColumnOp: lambda op, table, _: f"remove column {table}.{op.column_name}",
    ops.AlterColumnOp: _alter_column,
    ops.CreateIndexOp: _create_index,
    ops.DropIndexOp: lambda op, table, dialect: (
        f"remove index {dropped_name(op, dialect)} of {table}"
    ),
    ops.CreateUniqueConstraintOp: _create_unique,
    ops.CreateForeignKeyOp: _create_foreign_key,
    ops.CreateCheckConstraintOp: _create_constraint("check constraint"),
    ops.CreatePrimaryKeyOp: _create_constraint("primary key"),
    ops.DropConstraintOp: _drop_constraint,
    ops.CreateTableCommentOp: _comment,
    ops.DropTableCommentOp: _comment,
    ops.ExecuteSQLOp: lambda op, _, __: f"run SQL {op.sqltext}",
    ChangeEnumOp: _change_enum,
}
