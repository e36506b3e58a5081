"""Translate Alembic's operations to those of a Mongo script.

Each operation changes the state of the tables (`evolve`). MongoDB must then drop
indexes, do the operation's own part on collections and fields, and create indexes; the
indexes are the difference between the projected states before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy.engine import Dialect

from ...ops import CreateCollection, CreateIndex, DropIndex, Operation, Todo
from ..tables.evolve import evolve
from ..tables.state import Schema, TableState, full_name
from ..tables.walk import leaves, table_of
from .change import Change
from .changes import changes
from .context import Context, Untranslatable
from .indexes import Projected, Spec, Unknown, project
from .source import Comment, Statement
from .validators import validator_changes


def translate(
    operations: Sequence[ops.MigrateOperation], before: Schema, context: Context
) -> tuple[list[Statement], Schema]:
    """Return the statements of a script's function, and the tables they leave.

    operations: Alembic's, in order. before: the tables before them.
    """
    found = without_indexes_of_dropped_tables(list(leaves(operations)), context.dialect)
    statements: list[Statement] = []
    schema = before
    for op in found:
        after = evolve(schema, op, context.dialect)
        statements += _statements(op, schema, after, context)
        schema = after
    statements = _without_detours(statements)
    statements = validator_changes(statements, before, schema, context)
    return _without_repeats(statements), schema


def replay(
    operations: Sequence[ops.MigrateOperation], before: Schema, context: Context
) -> Schema:
    """Return the tables that operations leave, without translating them."""
    schema = before
    for op in leaves(operations):
        schema = evolve(schema, op, context.dialect)
    return schema


def without_indexes_of_dropped_tables(
    operations: list[Any], dialect: Dialect
) -> list[Any]:
    """Leave out operations that drop parts of a table that is dropped later.

    Its indexes are dropped with the collection, or kept if the collection is kept in an
    aside.
    """
    parts = (ops.DropIndexOp, ops.DropConstraintOp)
    dropped: set[str | None] = set()
    found = []
    for op in reversed(operations):
        if isinstance(op, ops.DropTableOp):
            dropped.add(table_of(op, dialect))
        elif isinstance(op, ops.CreateTableOp):
            dropped.discard(table_of(op, dialect))
        if not (isinstance(op, parts) and table_of(op, dialect) in dropped):
            found.append(op)
    return found[::-1]


def _statements(
    op: Any, before: Schema, after: Schema, context: Context
) -> list[Statement]:
    """Return what one operation amounts to."""
    name = table_of(op, context.dialect)
    old = before.get(name) if name else None
    new_name = name
    if isinstance(op, ops.RenameTableOp):
        new_name = full_name(op.new_table_name, op.schema, context.dialect)
    new = after.get(new_name) if new_name else None
    try:
        collections = [context.collection(table) for table in (name, new_name) if table]
        if collections and not any(collections):
            return [Comment(f"Table {name} has no Mongo side.")]
        empty = TableState(name or "")
        own = changes(Change(op, old or empty, new or empty, after, context))
    except Untranslatable as error:
        return [Todo(str(error))]
    drops, creates = _index_changes(op, old, new, context)
    return [*drops, *own, *creates]


def _index_changes(
    op: Any, old: TableState | None, new: TableState | None, context: Context
) -> tuple[list[Statement], list[Statement]]:
    """Return what changes a collection's indexes from one state to the other."""
    if new is None or isinstance(op, ops.CreateTableOp):
        old = None
    before = project(old, context) if old else {}
    after = project(new, context) if new else {}
    drops: list[Statement] = []
    creates: list[Statement] = []
    collection = context.collection(new.name) if new else None
    if collection is None:
        return [], []
    for name, projected in before.items():
        drops += _drop(collection, name, projected, after.get(name))
    for name, projected in after.items():
        if before.get(name) != projected:
            creates += _create(collection, name, projected, before.get(name))
    if old is not None and isinstance(op, ops.RenameTableOp):
        old_collection = context.collection(old.name)
        drops = [_in_collection(item, old_collection) for item in drops]
    return drops, creates


def _in_collection(statement: Statement, collection: str | None) -> Statement:
    if isinstance(statement, DropIndex) and collection is not None:
        return DropIndex(collection, statement.name)
    return statement


def _drop(
    collection: str, name: str, old: Projected, new: Projected | None
) -> list[Statement]:
    if isinstance(old, Spec) and old != new:
        return [DropIndex(collection, name)]
    if isinstance(old, Unknown) and not isinstance(new, Unknown):
        return [Todo(f"{old.text}. Remove its equivalent from {collection}.")]
    return []


def _create(
    collection: str, name: str, new: Projected, old: Projected | None
) -> list[Statement]:
    if isinstance(new, Spec):
        notes = [Comment(text) for text in new.notes]
        return [*notes, CreateIndex(collection, new.keys, name, new.options)]
    if isinstance(new, Unknown):
        verb = "Change" if isinstance(old, Unknown) else "Write"
        return [Todo(f"{new.text}. {verb} its equivalent in {collection}.")]
    return [Comment(new.text)] if new.text else []


def _without_detours(statements: list[Statement]) -> list[Statement]:
    """Leave out an index of a new collection that is dropped again later."""
    new = {item.collection for item in statements if isinstance(item, CreateCollection)}
    found = list(statements)
    for drop in [item for item in statements if isinstance(item, DropIndex)]:
        at = found.index(drop)
        for create in reversed(found[:at]):
            if (
                isinstance(create, CreateIndex)
                and drop.collection in new
                and (create.collection, create.name) == (drop.collection, drop.name)
            ):
                found.remove(create)
                found.remove(drop)
                break
    return found


def _without_repeats(statements: list[Statement]) -> list[Statement]:
    """Say each comment once."""
    said: set[str] = set()
    found: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Operation):
            found.append(statement)
        elif statement.text not in said:
            said.add(statement.text)
            found.append(statement)
    return found
