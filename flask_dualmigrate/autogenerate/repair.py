"""Makes of Alembic's operations a script that PostgreSQL runs as it is, both ways.

What Alembic leaves to a person: enum types, USING for a change of type, a default that
cannot be cast along, NOT NULL where rows have none, schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column, ColumnDefault, text
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import DefaultClause

from .casts import NoCast, using
from .context import FindColumn
from .enums import ChangeEnumOp, EnumPlan, EnumType, Place, add_values
from .sql import escape_colons
from .state import index_state, sql_of
from .walk import leaves


@dataclass(frozen=True)
class Note:
    """A comment among the operations."""

    text: str


@dataclass(frozen=True)
class Call:
    """One operation; keywords: further arguments that Alembic does not render."""

    op: ops.MigrateOperation
    keywords: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OnTable:
    """The operations on one table, which may be rendered as a batch."""

    op: ops.ModifyTableOps
    steps: tuple[Call | Note, ...]


Step = Note | Call | OnTable


def plain_steps(operations: Sequence[ops.MigrateOperation]) -> list[Step]:
    """Return operations as they are."""
    return [
        OnTable(op, tuple(Call(inner) for inner in op.ops))
        if isinstance(op, ops.ModifyTableOps)
        else Call(op)
        for op in operations
    ]


NO_ENUMS = EnumPlan()


@dataclass(frozen=True)
class Repair:
    """Turns operations into steps.

    target: finds a column as the operations shall leave it. enums: the types to create
    before all, and to drop after all. schemas: those to create.
    """

    dialect: Dialect
    target: FindColumn
    enums: EnumPlan = NO_ENUMS
    schemas: tuple[str, ...] = ()

    def steps(self, operations: Sequence[ops.MigrateOperation]) -> list[Step]:
        """Return the steps of upgrade() or downgrade()."""
        quote = self.dialect.identifier_preparer.quote
        sql = [f"CREATE SCHEMA IF NOT EXISTS {quote(name)}" for name in self.schemas]
        sql += [enum.create(self.dialect) for enum in self.enums.created]
        found: list[Step] = [_execute(statement) for statement in sql]
        for op in operations:
            found += self._step(op, operations)
        dropped = [enum.drop(self.dialect) for enum in self.enums.dropped]
        return [*found, *map(_execute, dropped)]

    def _step(
        self, op: ops.MigrateOperation, all_: Sequence[ops.MigrateOperation]
    ) -> list[Step]:
        if isinstance(op, ops.ModifyTableOps):
            steps = [step for inner in op.ops for step in self._on_table(inner)]
            return [OnTable(op, tuple(steps))]
        if isinstance(op, ChangeEnumOp):
            return list(self._change_enum(op, all_))
        return list(self._on_table(op))

    def _change_enum(
        self, op: ChangeEnumOp, all_: Sequence[ops.MigrateOperation]
    ) -> Iterator[Call]:
        """Add the labels to the type; or make it anew, where some go or are used.

        A label cannot be used in the transaction that adds it.
        """
        old, new = set(op.old.labels), set(op.new.labels)
        if old <= new and not self._uses(new - old, all_):
            for statement in add_values(op, self.dialect):
                yield _execute(statement)
            return
        name = op.new.sql_name(self.dialect)
        quote = self.dialect.identifier_preparer.quote
        aside = EnumType(op.old.schema, f"{op.old.name[:55]}__old", ())
        yield _execute(f"ALTER TYPE {name} RENAME TO {quote(aside.name)}")
        yield _execute(op.new.create(self.dialect))
        for (schema, table, column), default in op.columns:
            yield from self._retype(op, (schema, table, column), default)
        yield _execute(aside.drop(self.dialect))

    def _retype(
        self, op: ChangeEnumOp, place: Place, default: str | None
    ) -> Iterator[Call]:
        """Give a column of the old type the new one, its default too."""
        schema, table, column = place
        alter = partial(
            ops.AlterColumnOp,
            table,
            column,
            schema=None if schema == self.dialect.default_schema_name else schema,
        )
        if default is not None:
            yield Call(alter(modify_server_default=None))
        name = op.new.sql_name(self.dialect)
        quoted = self.dialect.identifier_preparer.quote(column)
        yield Call(
            alter(existing_type=op.old.of_type(), modify_type=op.new.of_type()),
            {"postgresql_using": f"{quoted}::text::{name}"},
        )
        if default is not None:
            yield Call(alter(modify_server_default=DefaultClause(text(default))))

    def _uses(
        self, labels: set[str], operations: Sequence[ops.MigrateOperation]
    ) -> bool:
        """Return True if the operations may use one of these labels of an enum."""
        texts: list[str] = []
        for op in leaves(operations):
            if isinstance(op, ops.CreateIndexOp):
                texts.append(index_state(op.to_index(), self.dialect).where or "")
            elif isinstance(op, ops.AddColumnOp | ops.AlterColumnOp):
                texts += self._defaults(op)
        return any(label in text for label in labels for text in texts)

    def _defaults(self, op: ops.AddColumnOp | ops.AlterColumnOp) -> list[str]:
        """Return the SQL of the defaults that an operation sets, or fills in."""
        if isinstance(op, ops.AddColumnOp):
            name, default = str(op.column.name), op.column.server_default
        else:
            name, default = op.column_name, op.modify_server_default
        column = self.target(op.schema, op.table_name, name)
        found = [] if column is None else [self._constant(op, column) or ""]
        if isinstance(default, DefaultClause):
            found.append(sql_of(default.arg, self.dialect))
        return found

    def _on_table(self, op: ops.MigrateOperation) -> Iterator[Call | Note]:
        if isinstance(op, ops.AddColumnOp):
            yield from self._add_column(op)
        elif isinstance(op, ops.AlterColumnOp):
            yield from self._alter_column(op)
        else:
            yield Call(op)

    def _add_column(self, op: ops.AddColumnOp) -> Iterator[Call | Note]:
        """Fill a column that may not be null from the model's own default."""
        column = op.column
        if column.nullable or column.server_default is not None or column.primary_key:
            yield Call(op)
            return
        value = self._constant(op, column)
        if value is None:
            yield Note(
                f"{op.table_name}.{column.name} has no default: PostgreSQL adds it to "
                "an empty table only."
            )
            yield Call(op)
            return
        filled: Column[Any] = Column(
            column.name,
            column.type,
            nullable=False,
            server_default=text(value),
            comment=column.comment,
        )
        yield Call(ops.AddColumnOp(op.table_name, filled, schema=op.schema))
        yield Call(
            ops.AlterColumnOp(
                op.table_name,
                str(column.name),
                schema=op.schema,
                modify_server_default=None,
            )
        )

    def _alter_column(self, op: ops.AlterColumnOp) -> Iterator[Call | Note]:
        keywords = {}
        default = op.modify_server_default
        existing = op.existing_server_default
        if op.modify_type is not None and op.existing_type is not None:
            try:
                expression = using(
                    op.column_name, op.existing_type, op.modify_type, self.dialect
                )
            except NoCast as error:
                yield Note(f"PostgreSQL cannot cast {error}: say postgresql_using=.")
                expression = None
            if expression is not None:
                keywords["postgresql_using"] = expression
                if isinstance(existing, DefaultClause):
                    yield Call(self._default_only(op, None))
                    if default is False:
                        default = self._target_default(op)
        if not keywords and op.modify_nullable is not False:
            yield Call(op)
            return
        yield from self._in_order(op, default, keywords)

    def _in_order(
        self, op: ops.AlterColumnOp, default: Any, keywords: Mapping[str, str]
    ) -> Iterator[Call | Note]:
        """Yield the type first, then the default, then NOT NULL."""
        not_null = op.modify_nullable is False
        if op.modify_type is not None or op.modify_comment is not False:
            yield Call(
                _alter(
                    op,
                    modify_type=op.modify_type,
                    modify_comment=op.modify_comment,
                    modify_nullable=None if not_null else op.modify_nullable,
                ),
                keywords,
            )
        if default is not False and not (default is None and keywords):
            yield Call(self._default_only(op, default))
        if not_null:
            yield self._fill(op, default)
            yield Call(_alter(op, modify_nullable=False))

    def _default_only(self, op: ops.AlterColumnOp, default: Any) -> ops.AlterColumnOp:
        return ops.AlterColumnOp(
            op.table_name,
            op.column_name,
            schema=op.schema,
            modify_server_default=default,
        )

    def _target_default(self, op: ops.AlterColumnOp) -> Any:
        column = self.target(op.schema, op.table_name, op.column_name)
        return None if column is None else column.server_default

    def _fill(self, op: ops.AlterColumnOp, default: Any) -> Call | Note:
        """Return what gives the rows that are null a value, before NOT NULL."""
        column = self.target(op.schema, op.table_name, op.column_name)
        value = None
        if default is False:
            default = op.existing_server_default or None
        if default is not None:
            value = "DEFAULT"
        elif column is not None:
            value = self._constant(op, column)
        if value is None:
            return Note(
                f"{op.table_name}.{op.column_name} has no default: PostgreSQL refuses "
                "NOT NULL while a row is null."
            )
        quote = self.dialect.identifier_preparer.quote
        place = ".".join(quote(part) for part in (op.schema, op.table_name) if part)
        name = quote(op.column_name)
        return _execute(f"UPDATE {place} SET {name} = {value} WHERE {name} IS NULL")

    def _constant(
        self, op: ops.AddColumnOp | ops.AlterColumnOp, column: Column[Any]
    ) -> str | None:
        """Return the SQL of a column's own `default=`, if it is a constant."""
        model = self.target(op.schema, op.table_name, str(column.name))
        default = column.default if model is None else model.default
        if not isinstance(default, ColumnDefault) or not default.is_scalar:
            return None
        processor = column.type.dialect_impl(self.dialect).literal_processor(
            self.dialect
        )
        return processor(default.arg) if processor is not None else None


def _alter(op: ops.AlterColumnOp, **changes: Any) -> ops.AlterColumnOp:
    """Return the operation with these changes alone."""
    return ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=op.existing_type,
        existing_nullable=op.existing_nullable,
        existing_comment=op.existing_comment,
        **changes,
    )


def _execute(statement: str) -> Call:
    """Return a statement; a colon before a word would be a parameter."""
    return Call(ops.ExecuteSQLOp(escape_colons(statement)))
