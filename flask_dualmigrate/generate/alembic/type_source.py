"""The app's own types whose repr is not Python code that creates one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type as repr_type
from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.types import TypeDecorator, TypeEngine

from ...errors import UsageError
from ..tables.walk import leaves
from .source import RenderItem
from .steps import Note


def implementation_renderer(
    autogen: AutogenContext, operations: Sequence[ops.MigrateOperation]
) -> RenderItem:
    """Return a render_item hook that writes such a type's implementation.

    An existing hook comes first.
    """
    first: RenderItem | None = autogen.opts.get("render_item")
    places = {id(type_): place for place, type_ in _columns(operations)}

    def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool:
        rendered = first(kind, item, context) if first is not None else False
        if rendered is not False or kind != "type" or makes_one(item):
            return rendered
        if isinstance(item, TypeDecorator):
            return repr_type(item.load_dialect_impl(context.dialect), context)
        raise UsageError(
            f"{_name(item)}, the type of {places.get(id(item), 'a column')}, cannot "
            f"be written in a script: its repr, {item!r}, is not Python code that "
            "creates one",
            hint="Give it a __repr__ that is, or render it with render_item=.",
        )

    return render_item


def notes_on_types(
    operations: Sequence[ops.MigrateOperation], autogen: AutogenContext
) -> Iterator[Note]:
    """Note the columns for which the script has a type's implementation instead."""
    users: RenderItem | None = autogen.opts.get("render_item")
    for place, type_ in _columns(operations):
        if not isinstance(type_, TypeDecorator) or makes_one(type_):
            continue
        if users is None or users("type", type_, autogen) is False:
            yield Note(
                f"{place} is of {_name(type_)}, whose repr is not Python code "
                "that creates one, so its implementation is used here."
            )


def makes_one(type_: TypeEngine[Any]) -> bool:
    """Return whether evaluating a type's repr creates such a type.

    A script can use the class through its module, but no other name from the app.
    """
    kind = type(type_)
    if kind.__module__.partition(".")[0] == "sqlalchemy":
        return True
    try:
        made = eval(repr(type_), {kind.__name__: kind})
    except Exception:
        return False
    return isinstance(made, kind)


def _name(type_: Any) -> str:
    return f"{type(type_).__module__}.{type(type_).__name__}"


def _columns(
    operations: Sequence[ops.MigrateOperation],
) -> Iterator[tuple[str, TypeEngine[Any]]]:
    """Yield the columns whose types operations write, with those types."""
    for op in leaves(operations):
        if isinstance(op, ops.CreateTableOp):
            for item in op.columns:
                if isinstance(item, Column):
                    yield f"{op.table_name}.{item.name}", item.type
        elif isinstance(op, ops.AddColumnOp):
            yield f"{op.table_name}.{op.column.name}", op.column.type
        elif isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
            yield f"{op.table_name}.{op.column_name}", op.modify_type
