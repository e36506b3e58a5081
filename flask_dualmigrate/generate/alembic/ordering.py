"""Puts Alembic's operations in an order that PostgreSQL accepts.

Alembic drops a table before other tables' foreign keys to it, drops tables in no
particular order, and cannot create two that point to each other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.engine import Dialect

from ...alembic_scripts import by_class, foreign_key_op
from ..tables.database_ops import DatabaseOp
from ..tables.postgres_names import foreign_key_name
from ..tables.state import final_name
from ..tables.walk import table_of

# What comes first on a table: an index would be in the way of a type change.
_LAST = 9
_RANKS: dict[type[Any], int] = {
    ops.DropConstraintOp: 1,
    ops.DropIndexOp: 1,
    ops.AddColumnOp: 2,
    ops.AlterColumnOp: 3,
    ops.CreateTableCommentOp: 4,
    ops.DropTableCommentOp: 4,
    ops.CreateUniqueConstraintOp: 5,
    ops.CreateCheckConstraintOp: 5,
    ops.CreatePrimaryKeyOp: 5,
    ops.CreateIndexOp: 5,
    ops.DropColumnOp: 6,
    ops.CreateForeignKeyOp: _LAST,
}
_KNOWN = (ops.CreateTableOp, ops.DropTableOp, ops.ModifyTableOps)


def ordered(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> list[ops.MigrateOperation]:
    """Return the operations: tables to create, changes, tables to drop.

    Among tables to create, those that others point to come first; among tables to drop,
    those that point to others. If an app's hook added operations, all stay where they
    are.
    """
    first, operations, last = _tables_apart(operations)
    return [*first, *_ordered(operations, dialect), *last]


def _tables_apart(
    operations: Sequence[ops.MigrateOperation],
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the operations of no table at the start, the rest, those at the end."""
    found = list(operations)
    first, last = [], []
    while found and isinstance(found[0], DatabaseOp):
        first.append(found.pop(0))
    while found and isinstance(found[-1], DatabaseOp):
        last.append(found.pop())
    return first, found, last[::-1]


def _ordered(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> list[ops.MigrateOperation]:
    if not all(isinstance(op, _KNOWN) for op in operations):
        return list(operations)
    create = {_name(op, dialect) for op in operations if _is(op, ops.CreateTableOp)}
    drop = {_name(op, dialect) for op in operations if _is(op, ops.DropTableOp)}
    if create & drop:
        return list(operations)
    groups = _by_table(operations, dialect)
    changes = [op for op in operations if _name(op, dialect) not in create | drop]
    changes, keys_first, keys_last = _keys_aside(changes)
    created, late = _create(
        [groups[name] for name in groups if name in create], dialect
    )
    dropped, early = _drop([groups[name] for name in groups if name in drop], dialect)
    return [*keys_first, *created, *late, *changes, *keys_last, *early, *dropped]


def _keys_aside(
    changes: list[ops.MigrateOperation],
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the ordered changes of tables, with foreign keys to drop before all of
    them and to create after all of them."""
    middle: list[Any] = []
    first: list[Any] = []
    last: list[Any] = []
    for op in changes:
        assert isinstance(op, ops.ModifyTableOps)
        parts: dict[int, list[ops.MigrateOperation]] = {}
        for inner in op.ops:
            parts.setdefault(_rank(inner), []).append(inner)
        if any(by_class(_RANKS, inner) is None for inner in op.ops):
            middle.append(op)  # An app's own operation keeps its place.
            continue
        for rank, found in (
            (first, parts.pop(0, [])),
            (last, parts.pop(_LAST, [])),
            (middle, [inner for key in sorted(parts) for inner in parts[key]]),
        ):
            if found:
                rank.append(ops.ModifyTableOps(op.table_name, found, schema=op.schema))
    return middle, first, last


def _rank(op: ops.MigrateOperation) -> int:
    if isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey":
        return 0
    rank = by_class(_RANKS, op)
    return _LAST if rank is None else rank


def _is(op: ops.MigrateOperation, kind: type[Any]) -> bool:
    return isinstance(op, kind)


def _name(op: ops.MigrateOperation, dialect: Dialect) -> str:
    return table_of(op, dialect) or ""


def _by_table(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for op in operations:
        groups.setdefault(_name(op, dialect), []).append(op)
    return groups


def _create(
    groups: list[list[Any]], dialect: Dialect
) -> tuple[list[Any], list[ops.MigrateOperation]]:
    """Return the operations that create tables, and the foreign keys to add later."""
    waiting = {_name(group[0], dialect): group for group in groups}
    needs = {name: _targets(group, dialect) for name, group in waiting.items()}
    found: list[Any] = []
    late: list[ops.MigrateOperation] = []
    for name in _sorted(needs):
        for op in waiting.pop(name):
            if not isinstance(op, ops.CreateTableOp):
                found.append(op)
                continue
            to_come = {*waiting}
            table, keys = _without_keys(op, to_come, dialect)
            found.append(table)
            late += keys
    return found, late


def _drop(
    groups: list[list[Any]], dialect: Dialect
) -> tuple[list[Any], list[ops.MigrateOperation]]:
    """Return the operations that drop tables, and the foreign keys to drop before."""
    by_name = {_name(group[0], dialect): group for group in groups}
    needs = {name: _targets(group, dialect) for name, group in by_name.items()}
    order = _sorted(needs)[::-1]
    early: list[ops.MigrateOperation] = []
    for at, name in enumerate(order):
        for key in _keys(by_name[name]):
            if _target(key, dialect) in order[:at]:
                early.append(_drop_key(by_name[name][-1], key, dialect))
    return [op for name in order for op in by_name[name]], early


def _targets(group: Iterable[Any], dialect: Dialect) -> set[str]:
    return {_target(key, dialect) for key in _keys(group)}


def _keys(group: Iterable[Any]) -> list[ForeignKeyConstraint]:
    return sorted(
        (
            constraint
            for op in group
            if isinstance(op, ops.CreateTableOp | ops.DropTableOp)
            for constraint in op.to_table().constraints
            if isinstance(constraint, ForeignKeyConstraint)
        ),
        key=lambda key: (str(key.name), key.column_keys),
    )


def _target(key: ForeignKeyConstraint, dialect: Dialect) -> str:
    """Return the full name of the table that a foreign key points to."""
    table = key.elements[0].target_fullname.rpartition(".")[0]
    return table.removeprefix(f"{dialect.default_schema_name}.")


def _sorted(needs: dict[str, set[str]]) -> list[str]:
    """Return names, each after those it needs, unless there is a cycle."""
    found: list[str] = []
    waiting = {name: (need & set(needs)) - {name} for name, need in needs.items()}
    while waiting:
        ready = [name for name, need in waiting.items() if not need & set(waiting)]
        name = ready[0] if ready else min(waiting, key=lambda item: len(waiting[item]))
        found.append(name)
        del waiting[name]
    return found


def _without_keys(
    op: ops.CreateTableOp, to_come: set[str], dialect: Dialect
) -> tuple[ops.CreateTableOp, list[ops.MigrateOperation]]:
    """Return a table without the foreign keys that must wait, and those keys.

    They wait for a table that is created later, or because the model says use_alter,
    in which case Alembic would never create them.
    """
    late = [
        item
        for item in op.columns
        if isinstance(item, ForeignKeyConstraint)
        and (item.use_alter or _target(item, dialect) in to_come)
    ]
    if not late:
        return op, []
    table = copy.copy(op)
    # By identity: comparing SQLAlchemy columns with == returns an expression.
    gone = {id(item) for item in late}
    table.columns = [item for item in op.columns if id(item) not in gone]
    return table, [_add_key(op, item, dialect) for item in late]


def _add_key(
    op: ops.CreateTableOp, key: ForeignKeyConstraint, dialect: Dialect
) -> ops.CreateForeignKeyOp:
    made = foreign_key_op(op.table_name, op.schema, key)
    made.constraint_name = _key_name(op.table_name, key, dialect)
    return made


def _drop_key(
    op: Any, key: ForeignKeyConstraint, dialect: Dialect
) -> ops.DropConstraintOp:
    return ops.DropConstraintOp(
        _key_name(op.table_name, key, dialect),
        op.table_name,
        type_="foreignkey",
        schema=op.schema,
    )


def _key_name(table: str, key: ForeignKeyConstraint, dialect: Dialect) -> str:
    return final_name(key.name, dialect) or foreign_key_name(table, key.column_keys)
