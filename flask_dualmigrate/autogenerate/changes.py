"""What each of Alembic's operations does to collections and fields, indexes aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.operations import ops
from sqlalchemy import CheckConstraint, ForeignKeyConstraint

from ..ops import (
    MISSING,
    NOW,
    AddField,
    ConvertField,
    CreateCollection,
    DropCollection,
    DropField,
    RenameCollection,
    RenameField,
    Todo,
    Update,
)
from ..ops.documents import UpdateSpec
from .context import Context, Untranslatable
from .defaults import TODAY, NoValue, client_value, server_value
from .enums import ChangeEnumOp
from .evolve import column_of
from .render import Comment, Statement
from .state import ColumnState, Schema, TableState, sql_of
from .statements import insert_rows, translate_sql
from .types import conversion
from .validators import check_filter

_MIDNIGHT = {"$dateTrunc": {"date": "$$NOW", "unit": "day"}}


def changes(
    op: Any,
    old: TableState | None,
    new: TableState | None,
    after: Schema,
    context: Context,
) -> list[Statement]:
    """Return what an operation does but for the indexes.

    old, new: its table before and after. Raises Untranslatable.
    """
    change = _CHANGES.get(type(op))
    if change is not None:
        return change(op, old or new or TableState(""), new, context)
    if isinstance(op, ops.DropTableOp):
        return _drop_table(op, old, after, context)
    if isinstance(op, ChangeEnumOp):
        return [_change_enum(op)]
    if isinstance(op, ops.ExecuteSQLOp):
        return translate_sql(op.sqltext, after, context)
    if isinstance(op, ops.BulkInsertOp):
        return insert_rows(op, after, context)
    if isinstance(op, _INDEXES):
        return []
    return [Todo(f"{type(op).__name__}: write what stands for it.")]


def _change_enum(op: ChangeEnumOp) -> Comment:
    labels = ", ".join(map(repr, op.new.labels))
    return Comment(f"Enum {op.new.name} is now {labels}: MongoDB has no enums.")


def _create_table(
    op: ops.CreateTableOp, _: TableState, new: TableState | None, context: Context
) -> list[Statement]:
    assert new is not None
    collection = context.collection(new.name)
    found: list[Statement] = []
    if collection is not None:
        found.append(CreateCollection(collection))
    for name in new.columns:
        context.field(new, name)
    table = op.to_table()
    for constraint in sorted(table.constraints, key=lambda item: str(item.name)):
        if isinstance(constraint, ForeignKeyConstraint):
            found.append(_foreign_key(new.name, constraint))
        elif isinstance(constraint, CheckConstraint):
            found += _check(new, constraint, context)
    if table.comment:
        found.append(Comment(f"Comment of table {new.name}: MongoDB has none."))
    return found


def _foreign_key(table: str, constraint: ForeignKeyConstraint) -> Comment:
    ours = ", ".join(f"{table}.{name}" for name in constraint.column_keys)
    theirs = ", ".join(element.target_fullname for element in constraint.elements)
    rule = f" (ON DELETE {constraint.ondelete})" if constraint.ondelete else ""
    return Comment(f"Foreign key {ours} -> {theirs}{rule}: MongoDB has none.")


def _check(
    table: TableState, constraint: CheckConstraint, context: Context
) -> list[Statement]:
    if getattr(constraint, "_type_bound", False):
        return []
    text = sql_of(constraint.sqltext, context.dialect)
    if context.validators == "off":
        return [Comment(f"Check of {table.name}, {text}: MongoDB has none.")]
    try:
        check_filter(text, table, context)
    except Untranslatable:
        return [Comment(f"Check of {table.name}, {text}: not in the validator.")]
    return []


def _drop_table(
    op: ops.DropTableOp, old: TableState | None, after: Schema, context: Context
) -> list[Statement]:
    name = old.name if old else str(op.table_name)
    collection = context.collection(name)
    if collection is None:
        return []
    for other in after:
        if context.naming.collection(other) == collection:
            raise Untranslatable(
                f"Table {name} is dropped, and its collection {collection} is that of "
                f"table {other} as well: delete the documents that were {name}"
            )
    return [DropCollection(collection)]


def _rename_table(
    op: ops.RenameTableOp, old: TableState, new: TableState | None, context: Context
) -> list[Statement]:
    assert new is not None
    before = context.collection(str(op.table_name) if not old.name else old.name)
    after = context.collection(new.name)
    if before == after:
        return [Comment(f"Table {op.table_name} stays collection {after}.")]
    if before is None or after is None:
        raise Untranslatable(
            f"Table {op.table_name} becomes {new.name}, and only one of the two has a "
            "collection"
        )
    return [RenameCollection(before, after)]


def _add_column(
    op: ops.AddColumnOp, table: TableState, new: TableState | None, context: Context
) -> list[Statement]:
    assert new is not None
    collection, column = _place(new, context), op.column
    field = context.field(new, str(column.name))
    place = f"{new.name}.{column.name}"
    if field == "_id":
        raise Untranslatable(f"Column {place} is the _id, which no document can change")
    found: list[Statement] = []
    try:
        if column.server_default is not None:
            value = server_value(column.server_default, column.type, context.dialect)
        elif not column.nullable:
            value = client_value(column, context.dialect)
        else:
            return [AddField(collection, field)]
    except NoValue as error:
        if column.server_default is not None:
            raise Untranslatable(
                f"Column {place}: no default can be told, as {error}. Add the field "
                f"{field} to {collection}."
            ) from error
        found = [Comment(f"{place} may not be null, and has no default.")]
        value = MISSING
    return [*found, _add_field(collection, field, value)]


def _add_field(collection: str, field: str, value: Any) -> AddField:
    if value is TODAY:
        return AddField(collection, field, using=_MIDNIGHT)
    return AddField(collection, field, default=value)


def _drop_column(
    op: ops.DropColumnOp, table: TableState, _: TableState | None, context: Context
) -> list[Statement]:
    collection = _place(table, context)
    field = context.field(table, str(op.column_name))
    if field == "_id":
        raise Untranslatable(
            f"Column {table.name}.{op.column_name} is the _id, which stays"
        )
    return [DropField(collection, field)]


def _alter_column(
    op: ops.AlterColumnOp, table: TableState, new: TableState | None, context: Context
) -> list[Statement]:
    assert new is not None
    old_column = column_of(table, op)
    new_column = new.columns[str(op.modify_name or op.column_name)]
    found: list[Statement] = []
    if op.modify_name is not None and op.modify_name != op.column_name:
        found += _rename_column(op, table, new, context)
    if op.modify_type is not None:
        found += _change_type(old_column, new_column, new, context)
    if op.modify_server_default is not False:
        found.append(_change_default(new_column, new))
    if op.modify_nullable is not None:
        found += _change_nullable(op, new_column, new, context)
    if op.modify_comment is not False:
        found.append(
            Comment(f"Comment of {new.name}.{new_column.name}: MongoDB has none.")
        )
    return found


def _rename_column(
    op: ops.AlterColumnOp, table: TableState, new: TableState, context: Context
) -> list[Statement]:
    before = context.field(table, str(op.column_name))
    after = context.field(new, str(op.modify_name))
    if before == after:
        return [Comment(f"{table.name}.{op.column_name} stays field {before}.")]
    if "_id" in (before, after):
        raise Untranslatable(
            f"Column {table.name}.{op.column_name} becomes {op.modify_name}: the _id "
            "of a document cannot be renamed"
        )
    return [RenameField(_place(table, context), before, after)]


def _change_type(
    old: ColumnState, new: ColumnState, table: TableState, context: Context
) -> list[Statement]:
    place = f"{table.name}.{new.name}"
    words = f"{_type_words(old, context)} becomes {_type_words(new, context)}"
    before, after = context.bson_of(old.type_), context.bson_of(new.type_)
    field = context.field(table, new.name)
    how = conversion(before, after, field)
    if how is None:
        raise Untranslatable(
            f"Column {place}: {words}, which MongoDB cannot convert. Write it with "
            f"op.transform({_place(table, context)!r}, …)."
        )
    if how.to is None:
        return [Comment(f"{place}: {words}; in MongoDB both are {after.word}.")]
    if field == "_id":
        raise Untranslatable(f"Column {place}: {words}, and the _id cannot be changed")
    return [ConvertField(_place(table, context), field, to=how.to, using=how.using)]


def _type_words(column: ColumnState, context: Context) -> str:
    return str(column.type_.compile(dialect=context.dialect))


def _change_nullable(
    op: ops.AlterColumnOp, column: ColumnState, table: TableState, context: Context
) -> list[Statement]:
    """Give the documents without a value the column's default, as the rows get it."""
    place = f"{table.name}.{column.name}"
    in_validator = context.validators != "off"
    if column.nullable:
        text = f"{place} may be null now: MongoDB has no such rule."
        return [] if in_validator else [Comment(text)]
    try:
        value = _default_of(op, column, context)
    except NoValue:
        text = f"{place} may not be null any more: MongoDB has no such rule."
        return [] if in_validator else [Comment(text)]
    if value is None:
        return []
    field = context.field(table, column.name)
    return [
        Comment(f"{place} may not be null any more."),
        Update(_place(table, context), {field: None}, _set(field, value), keep=True),
    ]


def _default_of(op: ops.AlterColumnOp, column: ColumnState, context: Context) -> Any:
    if column.server_default is not None:
        return server_value(column.server_default, column.type_, context.dialect)
    model = context.models.column(op.schema, op.table_name, column.name)
    if model is None:
        raise NoValue("there is no model of it")
    return client_value(model, context.dialect)


def _set(field: str, value: Any) -> UpdateSpec:
    if value is NOW or value is TODAY:
        now = "$$NOW" if value is NOW else _MIDNIGHT
        return ({"$set": {field: now}},)
    return {"$set": {field: value}}


def _change_default(column: ColumnState, table: TableState) -> Comment:
    place = f"{table.name}.{column.name}"
    if column.server_default is None:
        words = "has no server default any more"
    else:
        words = "has another server default"
    return Comment(
        f"{place} {words}: MongoDB has none, and documents stay as they are."
    )


def _comment_on_table(
    op: Any, table: TableState, _: TableState | None, context: Context
) -> list[Statement]:
    return [Comment(f"Comment of table {table.name}: MongoDB has none.")]


def _create_foreign_key(
    op: ops.CreateForeignKeyOp, table: TableState, _: TableState | None, __: Context
) -> list[Statement]:
    constraint = op.to_constraint()
    assert isinstance(constraint, ForeignKeyConstraint)
    return [_foreign_key(table.name, constraint)]


def _create_check(
    op: ops.CreateCheckConstraintOp,
    table: TableState,
    _: TableState | None,
    context: Context,
) -> list[Statement]:
    constraint = op.to_constraint()
    assert isinstance(constraint, CheckConstraint)
    return _check(table, constraint, context)


def _drop_constraint(
    op: ops.DropConstraintOp, table: TableState, _: TableState | None, __: Context
) -> list[Statement]:
    """Say what is gone; the index of a unique constraint goes as an index does."""
    if op.constraint_type not in ("foreignkey", "check"):
        return []
    kind = "Foreign key" if op.constraint_type == "foreignkey" else "Check"
    return [Comment(f"{kind} {op.constraint_name} of {table.name}: MongoDB has none.")]


def _place(table: TableState, context: Context) -> str:
    collection = context.collection(table.name)
    assert collection is not None
    return collection


_INDEXES = (
    ops.CreateIndexOp,
    ops.DropIndexOp,
    ops.CreateUniqueConstraintOp,
    ops.CreatePrimaryKeyOp,
)
_Change = Callable[[Any, TableState, TableState | None, Context], list[Statement]]
_CHANGES: dict[type[Any], _Change] = {
    ops.CreateTableOp: _create_table,
    ops.RenameTableOp: _rename_table,
    ops.AddColumnOp: _add_column,
    ops.DropColumnOp: _drop_column,
    ops.AlterColumnOp: _alter_column,
    ops.CreateTableCommentOp: _comment_on_table,
    ops.DropTableCommentOp: _comment_on_table,
    ops.CreateForeignKeyOp: _create_foreign_key,
    ops.CreateCheckConstraintOp: _create_check,
    ops.DropConstraintOp: _drop_constraint,
}
