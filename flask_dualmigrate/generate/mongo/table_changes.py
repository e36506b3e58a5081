"""What happens to a collection when its table is created, dropped, renamed, …"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.schema import Constraint

from ...ops import CreateCollection, DropCollection, RenameCollection, RenameField, Todo
from ..tables.state import final_name, sql_of
from .change import Change
from .context import Untranslatable
from .source import Comment, Statement
from .validators import check_filter


def create_table(change: Change) -> list[Statement]:
    context, new = change.context, change.new
    found: list[Statement] = [CreateCollection(change.collection)]
    for name in new.columns:
        try:
            context.field(new, name)
        except Untranslatable as error:
            found.append(Todo(str(error)))
    table = change.op.to_table()
    for constraint in sorted(table.constraints, key=lambda item: str(item.name)):
        if isinstance(constraint, ForeignKeyConstraint):
            found.append(_foreign_key(change, constraint))
        elif isinstance(constraint, CheckConstraint):
            found += _check(change, constraint)
        elif isinstance(constraint, ExcludeConstraint):
            found += exclude(change, constraint)
    if table.comment:
        found += comment_on_table(change)
    return found


def drop_table(change: Change) -> list[Statement]:
    """Drop the collection, unless another table also uses it."""
    name, collection = change.old.name, change.collection
    for other in sorted({*change.after, *change.context.others} - {name}):
        if change.context.naming.collection(other) == collection:
            raise Untranslatable(
                f"Table {name} is dropped, but its collection {collection} "
                f"also belongs to table {other}: delete the documents that were {name}"
            )
    return [DropCollection(collection)]


def rename_table(change: Change) -> list[Statement]:
    """Rename the collection, and the fields that fields= now names differently."""
    context, old, new = change.context, change.old, change.new
    before, after = context.collection(old.name), context.collection(new.name)
    if before is None or after is None:
        raise Untranslatable(
            f"Table {old.name} becomes {new.name}, but only one of the "
            "two has a collection"
        )
    found: list[Statement] = []
    if before == after:
        found.append(Comment(f"Table {old.name} stays collection {after}."))
    else:
        found.append(RenameCollection(before, after))
    for column in new.columns:
        names = context.field(old, column), context.field(new, column)
        if names[0] != names[1]:
            found.append(RenameField(after, *names))
    return found


def comment_on_table(change: Change) -> list[Statement]:
    return [Comment(f"Comment of table {change.new.name}: MongoDB has none.")]


def add_foreign_key(change: Change) -> list[Statement]:
    return [_foreign_key(change, change.op.to_constraint())]


def _foreign_key(change: Change, constraint: ForeignKeyConstraint) -> Comment:
    ours = ", ".join(f"{change.new.name}.{name}" for name in constraint.column_keys)
    theirs = ", ".join(element.target_fullname for element in constraint.elements)
    rule = f" (ON DELETE {constraint.ondelete})" if constraint.ondelete else ""
    return Comment(f"Foreign key {ours} -> {theirs}{rule}: MongoDB has none.")


def add_check(change: Change) -> list[Statement]:
    return _check(change, change.op.to_constraint())


def _check(change: Change, constraint: CheckConstraint) -> list[Statement]:
    """Note that MongoDB does not have it, unless it is in the validator."""
    if getattr(constraint, "_type_bound", False):
        return []
    context, name = change.context, change.new.name
    text = sql_of(constraint.sqltext, context.dialect)
    if context.validators == "off":
        return [Comment(f"Check of {name}, {text}: MongoDB has none.")]
    try:
        check_filter(text, change.new, context)
    except Untranslatable:
        return [Comment(f"Check of {name}, {text}: not in the validator.")]
    return []


def exclude(change: Change, constraint: Constraint) -> list[Statement]:
    """Leave a todo: MongoDB has no such constraint."""
    name = final_name(constraint.name, change.context.dialect) or ""
    words = f"{type(constraint).__name__} {name}".strip()
    return [Todo(f"{words} of {change.new.name}: MongoDB has no such constraint.")]


def add_primary_key(change: Change) -> list[Statement]:
    if change.new.primary_key == ("id",) and _is_id(change, change.op.columns):
        raise Untranslatable(
            f"Column {change.new.name}.id becomes the primary key: the _id of "
            "an existing document cannot be changed"
        )
    return []


def drop_constraint(change: Change) -> list[Statement]:
    """Note what is dropped; a unique constraint's index is dropped like any index."""
    op, old = change.op, change.old
    index = old.indexes.get(str(final_name(op.constraint_name, change.context.dialect)))
    if index is not None and index.is_primary_key and _is_id(change, index.columns):
        raise Untranslatable(
            f"The primary key of {old.name} is the _id, which cannot be removed"
        )
    if op.constraint_type not in ("foreignkey", "check"):
        return []
    if op.constraint_type == "check" and change.context.validators != "off":
        return []
    kind = "Foreign key" if op.constraint_type == "foreignkey" else "Check"
    return [Comment(f"{kind} {op.constraint_name} of {old.name}: MongoDB has none.")]


def _is_id(change: Change, columns: Sequence[str]) -> bool:
    if tuple(columns) != ("id",):
        return False
    naming = change.context.naming
    return naming.field(change.old.name, "id", primary_key=("id",)) == "_id"
