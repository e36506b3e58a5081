"""Enums that are text without a CHECK: no database has their labels.

The labels are in the models and in the scripts; the models are compared with the last
script that defines the column. MongoDB's validators use the same labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.engine import Dialect

from .dialects import comparing
from .sides import Sides
from .state import Schema, full_name
from .text_enums import add_to
from .types import plain_type
from .walk import leaves


def text_enum(type_: Any, dialect: Dialect) -> sa.Enum | None:
    """Return a type as an enum, if it is one stored as text."""
    plain = plain_type(type_() if isinstance(type_, type) else type_, dialect)
    return plain if isinstance(plain, sa.Enum) and not plain.native_enum else None


def unchecked_enum(type_: Any, dialect: Dialect) -> sa.Enum | None:
    """Return a type as an enum, if it is one stored as text without a CHECK."""
    enum = text_enum(type_, dialect)
    return None if enum is None or enum.create_constraint else enum


def has_unchecked_enums(metadata: MetaData, dialect: Dialect) -> bool:
    """Return whether the models have any, so that the scripts are needed."""
    return any(
        unchecked_enum(column.type, dialect) is not None
        for table in metadata.tables.values()
        for column in table.columns
    )


def label_words(old: Any, new: Any, dialect: Dialect) -> str | None:
    """Return in words how a type change alters the labels, if it alters only them."""
    enums = [None if each is None else text_enum(each, dialect) for each in (old, new)]
    if enums[0] is None or enums[1] is None or enums[0].length != enums[1].length:
        return None
    before, after = (list(enum.enums) for enum in enums if enum is not None)
    changes = [f"add {label!r}" for label in after if label not in before]
    changes += [f"remove {label!r}" for label in before if label not in after]
    return ", ".join(changes) or None


def with_labels(there: Schema, made: Schema, dialect: Dialect) -> dict[str, Any]:
    """Return the database's tables with the labels from the scripts."""
    found = dict(there)
    for name, table in there.items():
        if name not in made:
            continue
        columns = dict(table.columns)
        for key, column in made[name].columns.items():
            if key in columns and _is_kept_as(
                column.type_, columns[key].type_, dialect
            ):
                columns[key] = replace(columns[key], type_=column.type_)
        found[name] = replace(table, columns=columns)
    return found


def _is_kept_as(type_: Any, there: Any, dialect: Dialect) -> bool:
    """Return whether the database stores an enum from the scripts as this text type."""
    if unchecked_enum(type_, dialect) is None:
        return False
    return bool(type_.compile(dialect=dialect) == there.compile(dialect=dialect))


def add_unchecked_enums(
    script: ops.MigrationScript, sides: Sides, made: Schema | None
) -> None:
    """Add operations that change the scripts' labels to the models', and back.

    made: the tables that the scripts create; None: nothing is compared. A column whose
    labels the scripts do not show is noted.
    """
    dialect = sides.dialect
    wanted = [
        (table, columns)
        for table in (sides.tables() if made is not None else ())
        if (columns := [c for c in table.columns if unchecked_enum(c.type, dialect)])
    ]
    names: dict[str | None, list[str]] = {}
    for table, _ in wanted:
        names.setdefault(table.schema, []).append(str(table.name))
    found: dict[Any, Any] = {}
    for schema, filter_names in names.items():
        inspector = sides.catalog.inspector
        found |= inspector.get_multi_columns(schema, filter_names=filter_names)
    comparison = _Labels(script, made or {}, dialect, sides.not_compared)
    for table, columns in wanted:
        there = {
            item["name"]: item for item in found.get((table.schema, table.name), ())
        }
        for column in columns:
            if column.name in there and sides.include(column, "column"):
                comparison.column(table, column, there[column.name]["type"])


class _Labels:
    """Compares columns one by one, and adds the differences to a script."""

    def __init__(
        self,
        script: ops.MigrationScript,
        made: Schema,
        dialect: Dialect,
        not_compared: list[str],
    ) -> None:
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None
        self._ways: tuple[Any, Any] = (script.upgrade_ops, script.downgrade_ops)
        self._made = made
        self._dialect = dialect
        self._not_compared = not_compared

    def column(self, table: Table, column: Column[Any], there: Any) -> None:
        """Compare one column; there: its type in the database."""
        name = full_name(table.name, table.schema, self._dialect)
        place = f"labels of column {name}.{column.name}"
        scripts = self._made.get(name)
        found = None if scripts is None else scripts.columns.get(column.name)
        old = None if found is None else text_enum(found.type_, self._dialect)
        new = unchecked_enum(column.type, self._dialect)
        assert new is not None
        if old is None:
            self._not_compared.append(
                f"{place}, an enum without a CHECK: no script defines them"
            )
            return
        if set(old.enums) == set(new.enums):
            return
        changes = [self._change(way, table, column) for way in self._ways]
        if comparing(self._dialect).by_catalog and (
            _is_kept_as(old, there, self._dialect)
        ):
            self._say(changes, table, column, (old, column.type))
        elif changes[0] is None:
            self._not_compared.append(
                f"{place}: the scripts have {_listed(old)}, the models {_listed(new)}"
            )

    def _say(
        self, changes: list[Any], table: Table, column: Column[Any], types: Any
    ) -> None:
        """Make the change of the column's type show the old and the new labels."""
        ways = zip(self._ways, changes, (types, types[::-1]), strict=True)
        for way, change, (existing, modified) in ways:
            if change is None:
                change = ops.AlterColumnOp(
                    str(table.name),
                    str(column.name),
                    schema=table.schema,
                    existing_nullable=column.nullable,
                )
                add_to(way, table, [change])
            change.existing_type, change.modify_type = existing, modified

    def _change(self, way: Any, table: Table, column: Column[Any]) -> Any:
        """Return the operation that changes a column's type; None if there is none."""
        for op in leaves(way.ops):
            if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
                place = (op.schema, op.table_name, op.column_name)
                if place == (table.schema, table.name, column.name):
                    return op
        return None


def _listed(enum: sa.Enum) -> str:
    return f"({', '.join(enum.enums)})"
