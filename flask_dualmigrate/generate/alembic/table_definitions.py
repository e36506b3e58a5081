"""CHECKs and generated columns, which Alembic does not compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import CheckConstraint, Column, Computed
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateColumn

from ...sql.tokens import literal
from ..tables.catalog import ConstraintRow
from ..tables.database_ops import DatabaseOp
from ..tables.sides import Sides
from ..tables.state import final_name, sql_of
from ..tables.text_enums import (
    add_both,
    checked_enum,
    create_check,
    drop_check,
    labels_of,
)
from .compared_table import ComparedTable, Definition
from .trial_sql import NotTried

_COMPUTED = """
SELECT attgenerated::text || pg_get_expr(adbin, adrelid)
FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attgenerated <> '' AND attrelid = CAST({copy} AS regclass)
"""
_SET_EXPRESSION = 170000
"""The first server_version_num with ALTER COLUMN … SET EXPRESSION."""


class ChangeComputedOp(DatabaseOp):
    """A column's generation expression is changed, added or removed.

    old, new: its kind, a letter as in pg_attribute.attgenerated, and its SQL; None
    if it is not generated. can_be_set: the server has SET EXPRESSION. What the server
    cannot do is left to the user, and the difference remains.
    """

    kind = "generated columns"

    def __init__(
        self,
        table: str,
        column: str,
        old: str | None,
        new: str | None,
        *,
        can_be_set: bool = False,
    ) -> None:
        self._place = (table, column)
        self._old = old
        self._new = new
        self._can_be_set = can_be_set
        self.words = f"generated column {table}.{column}: {_told(old)} -> {_told(new)}"
        if not self.is_made:
            self.words += " (by hand: drop the column, and add it as declared)"

    @property
    def is_made(self) -> bool:
        old, new = self._old, self._new
        return self._can_be_set and bool(old and new and old[0] == new[0])

    def reverse(self) -> ChangeComputedOp:
        return ChangeComputedOp(
            *self._place, self._new, self._old, can_be_set=self._can_be_set
        )

    def last(self, dialect: Dialect) -> Iterator[str]:
        if not self.is_made or self._new is None:
            return
        table, column = self._place
        quote = dialect.identifier_preparer.quote
        full = ".".join(map(quote, table.split(".")))
        yield (
            f"ALTER TABLE {full} ALTER COLUMN {quote(column)} "
            f"SET EXPRESSION AS ({self._new[1:]})"
        )


def _told(expression: str | None) -> str:
    return "none" if expression is None else expression[1:]


def add_definitions(
    script: ops.MigrationScript, sides: Sides
) -> list[ChangeComputedOp]:
    """Add operations that make CHECKs match the models; return the changes of columns.

    What is not compared is noted, such as a CHECK that the models do not have.
    """
    found: list[ChangeComputedOp] = []
    for table in filter(sides.catalog.has, sides.tables()):
        compared = _Definitions(table, sides)
        add_both(script, table, *compared.checks())
        found += compared.computed()
    return found


class _Definitions(ComparedTable):
    """The CHECKs and generated columns of one table."""

    def checks(self) -> tuple[list[Any], list[Any]]:
        """Return the operations on CHECKs, and those for the downgrade."""
        rows = self.catalog.constraints(self.table, "c")
        left = {row.name: row for row in rows if not self._is_an_enums(row)}
        up: list[Any] = []
        down: list[Any] = []
        for old, name, sql in self.differing("c", self._wanted(), left):
            declared = sql.removeprefix("CHECK (").removesuffix(")")
            if old is not None:
                up.append(drop_check(old.name, self.table))
            up.append(create_check(name, declared, self.table))
            down.append(drop_check(name, self.table))
            if old is not None:
                down.append(create_check(old.name, str(old.expression), self.table))
        return up, down

    def _wanted(self) -> Iterator[Definition]:
        for item in sorted(self.table.constraints, key=lambda each: str(each.name)):
            is_bound = getattr(item, "_type_bound", False)
            if not isinstance(item, CheckConstraint) or is_bound:
                continue
            if self.compiler.process(item):
                sql = sql_of(item.sqltext, self.dialect)
                yield final_name(item.name, self.dialect), f"CHECK ({sql})"

    def _is_an_enums(self, check: ConstraintRow) -> bool:
        return any(
            checked_enum(column.type) is not None
            and labels_of(str(check.expression), str(column.name)) is not None
            for column in self.table.columns
        )

    def computed(self) -> Iterator[ChangeComputedOp]:
        """Yield the changes of generated columns; note those that cannot be made."""
        there = self.catalog.columns(self.table)
        for column in self.table.columns:
            row, is_computed = there.get(column.name), _is_computed(column)
            if row is not None and (row.generated is not None or is_computed):
                yield from self._column(column, row.generated)

    def _column(
        self, column: Column[Any], old: str | None
    ) -> Iterator[ChangeComputedOp]:
        computed, name = column.server_default, str(column.name)
        if not isinstance(computed, Computed):
            yield ChangeComputedOp(self.name, name, old, None)
            return
        try:
            made = self._column_made(column)
        except NotTried as error:
            self.leave_out(f"generated column {self.name}.{name}", error)
            return
        if made != old:
            new = (made[0] if made else "s") + sql_of(computed.sqltext, self.dialect)
            can_be_set = self.catalog.once(_version) >= _SET_EXPRESSION
            yield ChangeComputedOp(self.name, name, old, new, can_be_set=can_be_set)

    def _column_made(self, column: Column[Any]) -> str | None:
        quote = self.dialect.identifier_preparer.quote
        declared = str(CreateColumn(column).compile(dialect=self.dialect))
        statements = [
            f"ALTER TABLE {self.copy} DROP COLUMN {quote(str(column.name))}",
            f"ALTER TABLE {self.copy} ADD COLUMN {declared}",
        ]
        return self.tried(statements, _COMPUTED.format(copy=literal(self.copy)))


def _is_computed(column: Column[Any]) -> bool:
    return isinstance(column.server_default, Computed)


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
