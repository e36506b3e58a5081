"""The session settings that a script depends on: it sets them itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column, ColumnDefault
from sqlalchemy.schema import DefaultClause

from ..tables.casts import IN_UTC, keeps_zone, settings
from ..tables.defaults import CLOCKS
from ..tables.state import sql_of
from ..tables.types import plain_type
from ..tables.walk import leaves
from .steps import Call, Scope, execute


def set_for_script(
    operations: Sequence[ops.MigrateOperation], scope: Scope
) -> Iterator[Call]:
    """Yield steps that set, for this transaction, what the operations depend on."""
    found: dict[str, str] = {}
    for op in leaves(operations):
        found.update(_needed(op, scope))
    for name, value in sorted(found.items()):
        yield execute(f"SET LOCAL {name} TO '{value}'")


def _needed(op: Any, scope: Scope) -> dict[str, str]:
    if isinstance(op, ops.CreateTableOp):
        columns = [item for item in op.columns if isinstance(item, Column)]
        is_read = any(_is_read(c.type, c.server_default, scope) for c in columns)
        return IN_UTC if is_read else {}
    if isinstance(op, ops.AddColumnOp):
        column = op.column
        default = column.server_default
        is_used = (
            _fills(column.type, default, scope)
            or _is_read(column.type, default, scope)
            or _has_constant(op, str(column.name), column.type, scope)
        )
        return IN_UTC if is_used else {}
    if isinstance(op, ops.AlterColumnOp):
        return _needed_to_alter(op, scope)
    return {}


def _needed_to_alter(op: ops.AlterColumnOp, scope: Scope) -> dict[str, str]:
    old, new = op.existing_type, op.modify_type
    column = scope.left.column(op.schema, op.table_name, op.column_name)
    type_ = new if new is not None else old
    default = op.modify_server_default
    if default is False and column is not None and new is not None:
        default = column.server_default
    if default is False:
        default = op.existing_server_default
    found: dict[str, str] = {}
    if new is not None and old is not None:
        found.update(settings(old, new, scope.dialect))
    if type_ is not None and (
        _is_read(type_, default, scope)
        or (op.modify_nullable is False and _fills(type_, default, scope))
        or (
            op.modify_nullable is False
            and _has_constant(op, op.column_name, type_, scope)
        )
    ):
        found.update(IN_UTC)
    return found


def _is_read(type_: Any, default: Any, scope: Scope) -> bool:
    """Return whether a default is a string that is read as a time with a zone."""
    if not isinstance(default, DefaultClause) or not keeps_zone(type_, scope.dialect):
        return False
    return not _is_clock(default, scope)


def _fills(type_: Any, default: Any, scope: Scope) -> bool:
    """Return whether rows get the current time as a time without a zone."""
    if not isinstance(default, DefaultClause):
        return False
    return keeps_zone(plain_type(type_, scope.dialect), scope.dialect) is False and (
        _is_clock(default, scope)
    )


def _has_constant(op: Any, name: str, type_: Any, scope: Scope) -> bool:
    """Return whether rows may get the model's own constant as a time with a zone."""
    column = scope.left.column(op.schema, op.table_name, name)
    default = None if column is None else column.default
    is_constant = isinstance(default, ColumnDefault) and default.is_scalar
    return is_constant and bool(keeps_zone(type_, scope.dialect))


def _is_clock(default: DefaultClause, scope: Scope) -> bool:
    if isinstance(default.arg, str):
        return default.arg.strip().lower() == "now"
    text = sql_of(default.arg, scope.dialect).lower()
    return any(clock in text for clock in CLOCKS)
