"""What each Alembic operation does to collections and fields, apart from indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import ops

from ...alembic_scripts import by_class
from ...ops import Todo
from ..tables.database_ops import DatabaseOp
from ..tables.enums import ChangeEnumOp
from ..tables.enums_of_others import words_of_another
from ..tables.words import describe, entity_words
from .change import Change
from .column_changes import add_column, alter_column, drop_column
from .source import Comment, Statement
from .statements import insert_rows, translate_sql
from .table_changes import (
    add_check,
    add_foreign_key,
    add_primary_key,
    comment_on_table,
    create_table,
    drop_constraint,
    drop_table,
    exclude,
    rename_table,
)


def changes(change: Change) -> list[Statement]:
    """Return what an operation does, apart from indexes. Raises Untranslatable."""
    op = change.op
    translate = by_class(_CHANGES, op)
    if translate is not None:
        return translate(change)
    if isinstance(op, DatabaseOp):
        text = f"MongoDB has no {op.kind}, so there is nothing to do here: {op.words}."
        return [Comment(text)]
    if isinstance(op, ops.AddConstraintOp):
        return exclude(change, op.to_constraint())
    dialect = change.context.dialect
    others = entity_words(op) or words_of_another(op, dialect)
    if others is not None:
        text = f"MongoDB has none of these, so there is nothing to do here: {others}."
        return [Comment(text)]
    words = describe(op, dialect)
    return [Todo(f"Write the equivalent of: {words}")]


def _nothing(change: Change) -> list[Statement]:
    """Do nothing: only indexes change, and they are handled separately."""
    return []


def _change_enum(change: Change) -> list[Statement]:
    enum = change.op.new
    labels = ", ".join(map(repr, enum.labels))
    return [Comment(f"Enum {enum.name} is now {labels}: MongoDB has no enums.")]


def _execute(change: Change) -> list[Statement]:
    return translate_sql(change.op.sqltext, change.after, change.context)


def _insert(change: Change) -> list[Statement]:
    return insert_rows(change.op, change.after, change.context)


_CHANGES: dict[type[Any], Callable[[Change], list[Statement]]] = {
    ops.CreateTableOp: create_table,
    ops.DropTableOp: drop_table,
    ops.RenameTableOp: rename_table,
    ops.CreateTableCommentOp: comment_on_table,
    ops.DropTableCommentOp: comment_on_table,
    ops.AddColumnOp: add_column,
    ops.DropColumnOp: drop_column,
    ops.AlterColumnOp: alter_column,
    ops.CreateIndexOp: _nothing,
    ops.DropIndexOp: _nothing,
    ops.CreateUniqueConstraintOp: _nothing,
    ops.CreatePrimaryKeyOp: add_primary_key,
    ops.CreateForeignKeyOp: add_foreign_key,
    ops.CreateCheckConstraintOp: add_check,
    ops.DropConstraintOp: drop_constraint,
    ops.ExecuteSQLOp: _execute,
    ops.BulkInsertOp: _insert,
    ChangeEnumOp: _change_enum,
}
