"""Enums that are text with a CHECK: the CHECK is recreated if its labels change.

Alembic only compares the length of the text, and if that grows it adds the CHECK again
under the existing one's name.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import CheckConstraint, Column, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import TypeDecorator

from ...sql.tokens import escape_colons, literal, quote, values
from .catalog import Catalog, ConstraintRow
from .postgres_names import check_name
from .sides import Sides
from .state import final_name
from .walk import leaves

_LABEL = r"'(?:[^']|'')*'"
_CAST = r"(?:\s*::\s*[\w ]+(?:\(\d+\))?(?:\[\])?)*"
# Cast once more, as after a downgrade: ('a'::character varying)::text.
_ITEM = rf"\(*{_LABEL}(?:{_CAST}\))*{_CAST}"
_LIST = rf"{_ITEM}(?:\s*,\s*{_ITEM})*"


def add_text_enums(script: ops.MigrationScript, sides: Sides) -> None:
    """Add operations that give CHECKs the models' labels, in both directions."""
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    _without_checks([*script.upgrade_ops.ops, *script.downgrade_ops.ops])
    for table in filter(sides.catalog.has, sides.tables()):
        there = sides.catalog.columns(table)
        up: list[Any] = []
        down: list[Any] = []
        for column in table.columns:
            if column.name in there and checked_enum(column.type) is not None:
                change = _change(table, column, sides.catalog)
                up += change[0]
                down += change[1]
        add_both(script, table, up, down)


def add_both(
    script: ops.MigrationScript, table: Table, up: list[Any], down: list[Any]
) -> None:
    """Add operations on a table to an upgrade and its downgrade, if there are any."""
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    if up:
        add_to(script.upgrade_ops, table, up)
        add_to(script.downgrade_ops, table, down)


def add_to(
    container: ops.UpgradeOps | ops.DowngradeOps, table: Table, found: list[Any]
) -> None:
    """Add operations to the others on their table, which are ordered later."""
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps) and (op.table_name, op.schema) == (
            table.name,
            table.schema,
        ):
            op.ops = [*op.ops, *found]
            return
    added = ops.ModifyTableOps(str(table.name), found, schema=table.schema)
    container.ops.append(added)


def _without_checks(operations: Collection[ops.MigrateOperation]) -> None:
    """Make changes of columns give only the text type: the CHECK is done separately."""
    for op in leaves([*operations]):
        if isinstance(op, ops.AlterColumnOp):
            for name in ("modify_type", "existing_type"):
                enum = checked_enum(getattr(op, name))
                if enum is not None:
                    setattr(op, name, sa.String(enum.length))


def checked_enum(type_: Any) -> sa.Enum | None:
    """Return a type as an enum, if it is one stored as text with a CHECK."""
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    if isinstance(type_, sa.Enum) and not type_.native_enum and type_.create_constraint:
        return type_
    return None


def _change(
    table: Table, column: Column[Any], catalog: Catalog
) -> tuple[list[Any], list[Any]]:
    """Return the operations on one column, and those for the downgrade."""
    enum = checked_enum(column.type)
    assert enum is not None
    name, dialect = str(column.name), catalog.dialect
    checks = ((row.name, _bare(row)) for row in catalog.constraints(table, "c"))
    found = [
        (check, sql, labels)
        for check, sql in checks
        if (labels := labels_of(sql, name)) is not None
    ]
    if any(labels == set(enum.enums) for _, _, labels in found):
        return [], []
    quoted = dialect.identifier_preparer.quote(name)
    wanted = f"{quoted} IN ({', '.join(map(literal, enum.enums))})"
    new_name = found[0][0] if found else _name(table, column, dialect)
    drop = [drop_check(item[0], table) for item in found]
    up = [*drop, create_check(new_name, wanted, table)]
    down = [
        drop_check(new_name, table),
        *(create_check(n, s, table) for n, s, _ in found),
    ]
    return up, down


def _bare(check: ConstraintRow) -> str:
    """Return a CHECK's expression without the parentheses around all of it."""
    sql = str(check.expression)
    return sql[1:-1] if sql.startswith("(") and sql.endswith(")") else sql


def drop_check(name: str, table: Table) -> ops.DropConstraintOp:
    return ops.DropConstraintOp(
        conv(name), str(table.name), type_="check", schema=table.schema
    )


def create_check(name: str, sql: str, table: Table) -> ops.CreateCheckConstraintOp:
    text = sa.text(escape_colons(sql))
    return ops.CreateCheckConstraintOp(
        conv(name), str(table.name), text, schema=table.schema
    )


def labels_of(sql: str, column: str) -> set[str] | None:
    """Return the labels that a CHECK allows in a column; None: it is not about it."""
    quoted = re.escape(quote(column))
    name = rf"\(*(?:{re.escape(column)}|{quoted})\)?{_CAST}\)?"
    many = rf"=\s*ANY\s*\(\(?ARRAY\[(?P<many>{_LIST})\]\)?{_CAST}\)"
    one = rf"=\s*(?P<one>{_ITEM})"
    within = rf"(?i:IN)\s*\((?P<within>{_LIST})\)"
    pattern = rf"{name}\s*(?:{many}|{one}|{within})\)*"
    match = re.fullmatch(pattern, sql.strip(), re.DOTALL)
    if match is None:
        return None
    listed = match["many"] or match["one"] or match["within"]
    return {*values(listed)}


def _name(table: Table, column: Column[Any], dialect: Dialect) -> str:
    """Return the CHECK's name in the models, or else the one PostgreSQL would give."""
    for item in table.constraints:
        is_bound = isinstance(item, CheckConstraint) and bool(
            getattr(item, "_type_bound", False)
        )
        if is_bound and {*item.columns.keys()} == {column.key}:  # type: ignore[attr-defined]
            named = final_name(item.name, dialect)
            if named:
                return named
    return check_name(str(table.name), [str(column.name)])
