"""CHECKs and generated columns, which Alembic does not compare.

The models' definition is tried on a copy of the table, and PostgreSQL's own wording of
it is compared with its wording of the existing definition.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from sqlalchemy import CheckConstraint, Column, Computed, MetaData, Table, text
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateColumn

from ...sql.tokens import literal
from ..tables.database_ops import DatabaseOp
from ..tables.state import final_name, full_name, sql_of
from ..tables.text_enums import (
    add_to,
    checked_enum,
    create_check,
    drop_check,
    labels_of,
)
from ..tables.types import plain_dialect
from .trial_sql import NotTried, try_out

_CHECKS = """
SELECT conname, pg_get_constraintdef(oid), pg_get_expr(conbin, conrelid)
FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(:place AS regclass)
"""
_COMPUTED = """
SELECT attname, attgenerated::text || pg_get_expr(adbin, adrelid)
FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attgenerated <> '' AND attrelid = CAST(:place AS regclass)
"""
_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attnum > 0 AND NOT attisdropped AND attrelid = CAST(:place AS regclass)
"""
_CHECK = """
SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = pg_my_temp_schema() AND contype = 'c'
"""
_SET_EXPRESSION = 170000
"""The first server_version_num with ALTER COLUMN … SET EXPRESSION."""


@dataclass(frozen=True)
class Check:
    """A CHECK as PostgreSQL has it, and the SQL of its expression."""

    name: str
    definition: str
    expression: str


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
    script: ops.MigrationScript,
    metadata: Collection[MetaData],
    connection: Connection,
    *,
    include: Callable[[Table], bool],
    not_compared: list[str],
) -> list[ChangeComputedOp]:
    """Add operations that make CHECKs match the models; return the changes of columns.

    include: returns whether a table of the models is compared. not_compared: gets a
    line for what is not, such as a CHECK that the models do not have.
    """
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    assert upgrade is not None
    assert downgrade is not None
    there = tables_of(connection)
    found: list[ChangeComputedOp] = []
    for table in (table for each in metadata for table in each.tables.values()):
        schema = table.schema or str(connection.dialect.default_schema_name)
        if (schema, table.name) not in there or not include(table):
            continue
        compared = _Table(table, schema, connection, not_compared)
        up, down = compared.checks()
        if up:
            add_to(upgrade, table, up)
            add_to(downgrade, table, down)
        found += compared.computed()
    return found


def tables_of(connection: Connection) -> set[tuple[str, str]]:
    """Return the schema and name of each existing table."""
    rows = connection.exec_driver_sql(
        "SELECT nspname, relname FROM pg_class "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p')"
    )
    return {(schema, name) for schema, name in rows}


class _Table:
    """One table of the models that the database also has."""

    def __init__(
        self,
        table: Table,
        schema: str,
        connection: Connection,
        not_compared: list[str],
    ) -> None:
        self._table = table
        self._key = (schema, str(table.name))
        self._connection = connection
        self._dialect = plain_dialect(connection.dialect)
        self._not_compared = not_compared
        self._name = full_name(table.name, table.schema, self._dialect)
        quote = self._dialect.identifier_preparer.quote
        self._copy = f"pg_temp.{quote(str(table.name))}"
        self._full = ".".join(map(quote, self._key))

    def _asked(self, query: str) -> list[Any]:
        rows = self._connection.execute(text(query), {"place": self._full})
        return [tuple(row) for row in rows]

    def checks(self) -> tuple[list[Any], list[Any]]:
        """Return the operations on CHECKs, and those for the downgrade."""
        wanted = list(self._wanted())
        left = {row[0]: Check(*row) for row in self._asked(_CHECKS)}
        for name in [name for name, check in left.items() if self._is_an_enums(check)]:
            del left[name]
        up: list[Any] = []
        down: list[Any] = []
        for constraint in wanted:
            change = self._check(constraint, left)
            up += change[0]
            down += change[1]
        self._not_compared.extend(
            f"check constraint {name} of {self._name}, which the models do not have"
            for name in left
        )
        return up, down

    def _wanted(self) -> Iterator[CheckConstraint]:
        compiler: Any = self._dialect.ddl_compiler(self._dialect, None)  # type: ignore[arg-type]
        for item in sorted(self._table.constraints, key=lambda each: str(each.name)):
            is_bound = getattr(item, "_type_bound", False)
            if not isinstance(item, CheckConstraint) or is_bound:
                continue
            if compiler.process(item):
                yield item

    def _is_an_enums(self, check: Check) -> bool:
        return any(
            checked_enum(column.type) is not None
            and labels_of(check.expression, str(column.name)) is not None
            for column in self._table.columns
        )

    def _check(
        self, constraint: CheckConstraint, left: dict[str, Check]
    ) -> tuple[list[Any], list[Any]]:
        """Compare one CHECK; remove the one that it matches from `left`."""
        declared = sql_of(constraint.sqltext, self._dialect)
        name = final_name(constraint.name, self._dialect)
        try:
            made = self._made(declared, name)
            same = name or next((n for n in left if self._is(left[n], made)), None)
            old = left.pop(same or (made[0] if made else ""), None)
            if old is not None and self._is(old, made):
                return [], []
        except NotTried as error:
            left.pop(name or "", None)
            label = name or f"({declared})"
            self._not_compared.append(
                f"check constraint {label} of {self._name} ({error})"
            )
            return [], []
        new_name = name or (made[0] if made else f"{self._table.name}_check")
        up: list[Any] = [create_check(new_name, declared, self._table)]
        down: list[Any] = [drop_check(new_name, self._table)]
        if old is not None:
            up.insert(0, drop_check(old.name, self._table))
            down.append(create_check(old.name, old.expression, self._table))
        return up, down

    def _made(self, expression: str, name: str | None) -> tuple[str, str] | None:
        """Return the name and definition that PostgreSQL gives a CHECK."""
        quote = self._dialect.identifier_preparer.quote
        named = f"CONSTRAINT {quote(name)} " if name else ""
        statement = f"ALTER TABLE {self._copy} ADD {named}CHECK ({expression})"
        answer = try_out(self._connection, self._key, [statement], _CHECK)
        if answer is None:
            return None
        given, _, definition = answer.partition(" CHECK ")
        return given, f"CHECK {definition}"

    def _is(self, there: Check, made: tuple[str, str] | None) -> bool:
        """Compare two definitions; if they differ, compare again after re-reading."""
        if made is None:
            return False
        definition = there.definition.removesuffix(" NOT VALID")
        if definition == made[1]:
            return True
        again = [
            self._made(sql.removeprefix("CHECK (").removesuffix(")"), None)
            for sql in (definition, made[1])
        ]
        return None not in again and again[0] == again[1]

    def computed(self) -> list[ChangeComputedOp]:
        """Return the changes of generated columns; note those that cannot be made."""
        there = dict(self._asked(_COMPUTED))
        is_there = {name for (name,) in self._asked(_COLUMNS)}
        found: list[ChangeComputedOp] = []
        for column in self._table.columns:
            name, computed = str(column.name), column.server_default
            if name in is_there and (name in there or isinstance(computed, Computed)):
                found += self._column(column, there.get(name))
        return found

    def _column(
        self, column: Column[Any], old: str | None
    ) -> Sequence[ChangeComputedOp]:
        computed, name = column.server_default, str(column.name)
        if not isinstance(computed, Computed):
            return [ChangeComputedOp(self._name, name, old, None)]
        try:
            made = self._column_made(column)
        except NotTried as error:
            self._not_compared.append(f"generated column {self._name}.{name} ({error})")
            return ()
        if made == old:
            return ()
        kind = made[0] if made else "s"
        new = kind + sql_of(computed.sqltext, self._dialect)
        version = int(self._asked_one("SHOW server_version_num"))
        return [
            ChangeComputedOp(
                self._name, name, old, new, can_be_set=version >= _SET_EXPRESSION
            )
        ]

    def _asked_one(self, query: str) -> Any:
        return self._connection.exec_driver_sql(query).scalar_one()

    def _column_made(self, column: Column[Any]) -> str | None:
        quote = self._dialect.identifier_preparer.quote
        declared = str(CreateColumn(column).compile(dialect=self._dialect))
        statements = [
            f"ALTER TABLE {self._copy} DROP COLUMN {quote(str(column.name))}",
            f"ALTER TABLE {self._copy} ADD COLUMN {declared}",
        ]
        copy = literal(self._copy)
        question = (
            "SELECT attgenerated::text || pg_get_expr(adbin, adrelid) "
            "FROM pg_attribute "
            "JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
            f"WHERE attgenerated <> '' AND attrelid = CAST({copy} AS regclass)"
        )
        return try_out(self._connection, self._key, statements, question)
