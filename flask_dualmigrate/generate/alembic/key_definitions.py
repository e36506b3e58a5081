"""Primary keys, MATCH of foreign keys, exclusions: Alembic does not compare these."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint, Table
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import conv

from ...alembic_scripts import foreign_key_op
from ..tables.catalog import ConstraintRow
from ..tables.database_ops import DatabaseOp
from ..tables.postgres_names import primary_key_name
from ..tables.sides import Sides
from ..tables.state import final_name
from ..tables.text_enums import add_both
from ..tables.walk import leaves
from .compared_table import ComparedTable, Definition


class CreateKeyOp(ops.CreatePrimaryKeyOp):
    """A primary key that autogenerate adds; Alembic does not render it."""


@renderers.dispatch_for(CreateKeyOp)
def _create_key(autogen: AutogenContext, op: CreateKeyOp) -> str:
    prefix = autogen.opts.get("alembic_module_prefix") or ""
    in_batch = autogen._has_batch
    parts = [repr(str(op.constraint_name))]
    parts += [] if in_batch else [repr(str(op.table_name))]
    parts.append(repr([str(column) for column in op.columns]))
    if op.schema and not in_batch:
        parts.append(f"schema={str(op.schema)!r}")
    return (
        f"{'batch_op.' if in_batch else prefix}create_primary_key({', '.join(parts)})"
    )


class ByHandOp(DatabaseOp):
    """A difference that must be fixed by hand, and is reported until it is."""

    kind = "primary keys"

    def __init__(self, words: str) -> None:
        self.words = words

    @property
    def is_made(self) -> bool:
        return False

    def reverse(self) -> ByHandOp:
        return self


class ChangeExclusionOp(DatabaseOp):
    """An exclusion constraint is added, dropped or replaced.

    place: schema and name of the table. old, new: name and SQL, or None.
    """

    kind = "exclusion constraints"

    def __init__(
        self,
        place: tuple[str | None, str],
        old: tuple[str, str] | None,
        new: tuple[str, str] | None,
    ) -> None:
        self._place = place
        self._old = old
        self._new = new
        verb = "remove" if new is None else "add" if old is None else "change"
        name = (new or old or ("", ""))[0]
        table = ".".join(part for part in place if part)
        self.words = f"{verb} exclusion constraint {name} of {table}"

    def reverse(self) -> ChangeExclusionOp:
        return ChangeExclusionOp(self._place, self._new, self._old)

    def last(self, dialect: Dialect) -> Iterator[str]:
        quote = dialect.identifier_preparer.quote
        table = ".".join(quote(part) for part in self._place if part)
        if self._old is not None:
            # It was dropped together with one of its columns.
            name = quote(self._old[0])
            yield f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
        if self._new is not None:
            name, sql = self._new
            yield f"ALTER TABLE {table} ADD CONSTRAINT {quote(name)} {sql}"


def add_keys(script: ops.MigrationScript, sides: Sides) -> list[DatabaseOp]:
    """Add operations that make keys match the models; return those after the tables.

    What is not compared is noted, such as an exclusion constraint that the models do
    not have.
    """
    assert script.upgrade_ops is not None
    handled = {
        (op.schema, str(op.table_name), str(op.constraint_name))
        for op in leaves(script.upgrade_ops.ops)
        if isinstance(op, ops.DropConstraintOp)
    }
    found: list[DatabaseOp] = []
    for table in filter(sides.catalog.has, sides.tables()):
        keys = _Keys(table, sides)
        for change in (keys.primary_key(), *keys.foreign_keys(handled)):
            if isinstance(change, DatabaseOp):
                found.append(change)
            elif change is not None:
                add_both(script, table, *change)
        found += keys.exclusions()
    return found


_Change = tuple[list[ops.MigrateOperation], list[ops.MigrateOperation]]
"""Operations of an upgrade, and those of its downgrade."""


class _Keys(ComparedTable):
    """The keys and exclusion constraints of one table."""

    def primary_key(self) -> _Change | ByHandOp | None:
        """Return what makes the key match the models; None if it already does."""
        row = next(iter(self.catalog.constraints(self.table, "p")), None)
        name, columns = ("", []) if row is None else (row.name, [*(row.columns or ())])
        wanted = [str(column.name) for column in self.table.primary_key]
        if columns == wanted:
            return None
        if row is not None and row.index_oid in self.catalog.targets:
            return ByHandOp(
                f"primary key of {self.name}: ({', '.join(columns)}) -> "
                f"({', '.join(wanted)}) (by hand: foreign keys point to it)"
            )
        table, schema = str(self.table.name), self.table.schema
        new_name = final_name(self.table.primary_key.name, self.dialect)
        new_name = new_name or name or primary_key_name(table)
        up: list[ops.MigrateOperation] = []
        down: list[ops.MigrateOperation] = []
        for drops, creates, constraint, key in (
            (up, down, name, columns),
            (down, up, new_name, wanted),
        ):
            if key:
                drops.append(_drop(self.table, constraint, "primary"))
                creates.append(CreateKeyOp(conv(constraint), table, key, schema=schema))
        return up, down[::-1]

    def foreign_keys(
        self, handled: Collection[tuple[str | None, str, str]]
    ) -> Iterator[_Change]:
        """Yield what gives foreign keys the models' MATCH.

        handled: keys that are dropped and recreated with it in any case.
        """
        for key in self.table.foreign_key_constraints:
            found = self._found(key)
            if found is None:
                continue
            place = (self.table.schema, str(self.table.name), found.name)
            is_full = (key.match or "").upper() == "FULL"
            if place not in handled and found.is_full != is_full:
                yield self._match(key, found)

    def _found(self, key: ForeignKeyConstraint) -> ConstraintRow | None:
        """Return the existing key; None if there is none."""
        name = final_name(key.name, self.dialect)
        target = key.elements[0].target_fullname.rpartition(".")[0].rpartition(".")[2]
        columns = [str(element.parent.name) for element in key.elements]
        for row in self.catalog.constraints(self.table, "f"):
            parts = (row.target, row.columns)
            if row.name == name if name else parts == (target, columns):
                return row
        return None

    def _match(self, key: ForeignKeyConstraint, found: ConstraintRow) -> _Change:
        table, schema = str(self.table.name), self.table.schema
        drop = _drop(self.table, found.name, "foreignkey")
        new, old = (foreign_key_op(table, schema, key) for _ in range(2))
        for op in (new, old):
            op.constraint_name = conv(found.name)
        old.kw.pop("match", None)
        if found.is_full:
            old.kw["match"] = "FULL"
        return [drop, new], [drop, old]

    def exclusions(self) -> Iterator[ChangeExclusionOp]:
        """Yield changes of exclusion constraints; note those the models do not have."""
        left = {row.name: row for row in self.catalog.constraints(self.table, "x")}
        place = (self.table.schema, str(self.table.name))
        for old, name, sql in self.differing("x", self._exclusions(), left):
            before = None if old is None else (old.name, str(old.definition))
            yield ChangeExclusionOp(place, before, (name, sql))

    def _exclusions(self) -> Iterator[Definition]:
        constraints: Collection[Any] = self.table.constraints
        for item in sorted(constraints, key=lambda each: str(each.name)):
            if isinstance(item, ExcludeConstraint):
                words = str(self.compiler.process(item))
                sql = words[words.index("EXCLUDE USING") :]
                yield final_name(item.name, self.dialect), sql


def _drop(table: Table, name: str, kind: str) -> ops.DropConstraintOp:
    return ops.DropConstraintOp(
        conv(name), str(table.name), type_=kind, schema=table.schema
    )
