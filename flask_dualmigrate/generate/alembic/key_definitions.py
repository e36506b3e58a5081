"""Primary keys, MATCH of foreign keys, exclusions: Alembic does not compare these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint, MetaData, Table, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.elements import conv

from ...alembic_scripts import foreign_key_op
from ..tables.database_ops import DatabaseOp
from ..tables.postgres_names import primary_key_name
from ..tables.state import final_name, full_name
from ..tables.text_enums import add_to
from ..tables.types import plain_dialect
from ..tables.walk import leaves
from .table_definitions import tables_of
from .trial_sql import NotTried, try_out

_KEY = """
SELECT conname, ARRAY(
    SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
), EXISTS (SELECT FROM pg_constraint other
    WHERE other.contype = 'f' AND other.conindid = entry.conindid)
FROM pg_constraint entry
WHERE contype = 'p' AND conrelid = CAST(:place AS regclass)
"""
_FOREIGN = """
SELECT conname, confmatchtype::text = 'f', ARRAY(
    SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
    JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
), relname FROM pg_constraint JOIN pg_class target ON target.oid = confrelid
WHERE contype = 'f' AND conrelid = CAST(:place AS regclass)
"""
_EXCLUSIONS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'x' AND conrelid = CAST(:place AS regclass)
"""
_EXCLUSION = """
SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = pg_my_temp_schema() AND contype = 'x'
"""


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


def add_keys(
    script: ops.MigrationScript,
    metadata: Collection[MetaData],
    connection: Connection,
    *,
    include: Callable[[Table], bool],
    not_compared: list[str],
) -> list[DatabaseOp]:
    """Add operations that make keys match the models; return those after the tables.

    include: returns whether a table of the models is compared. not_compared: gets a
    line for what is not, such as an exclusion constraint that the models do not have.
    """
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    there = tables_of(connection)
    handled = {
        (op.schema, str(op.table_name), str(op.constraint_name))
        for op in leaves(script.upgrade_ops.ops)
        if isinstance(op, ops.DropConstraintOp)
    }
    found: list[DatabaseOp] = []
    for table in (table for each in metadata for table in each.tables.values()):
        schema = table.schema or str(connection.dialect.default_schema_name)
        if (schema, table.name) not in there or not include(table):
            continue
        keys = _Keys(table, schema, connection, not_compared)
        for change in (keys.primary_key(), *keys.foreign_keys(handled)):
            if isinstance(change, DatabaseOp):
                found.append(change)
            elif change is not None:
                add_to(script.upgrade_ops, table, list(change.up))
                add_to(script.downgrade_ops, table, list(change.down))
        found += keys.exclusions()
    return found


@dataclass(frozen=True)
class _Change:
    up: Sequence[ops.MigrateOperation]
    down: Sequence[ops.MigrateOperation]


class _Keys:
    """The keys of one table of the models that the database also has."""

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

    def _asked(self, query: str) -> list[Any]:
        quote = self._dialect.identifier_preparer.quote
        place = {"place": ".".join(map(quote, self._key))}
        return [tuple(row) for row in self._connection.execute(text(query), place)]

    def primary_key(self) -> _Change | ByHandOp | None:
        """Return what makes the key match the models; None if it already does."""
        name, columns, is_a_target = next(iter(self._asked(_KEY)), ("", [], False))
        wanted = [str(column.name) for column in self._table.primary_key]
        if columns == wanted:
            return None
        if is_a_target:
            return ByHandOp(
                f"primary key of {self._name}: ({', '.join(columns)}) -> "
                f"({', '.join(wanted)}) (by hand: foreign keys point to it)"
            )
        table, schema = str(self._table.name), self._table.schema
        new_name = final_name(self._table.primary_key.name, self._dialect)
        new_name = new_name or name or primary_key_name(table)
        up: list[ops.MigrateOperation] = []
        down: list[ops.MigrateOperation] = []
        for drops, creates, constraint, key in (
            (up, down, name, columns),
            (down, up, new_name, wanted),
        ):
            if key:
                drops.append(
                    ops.DropConstraintOp(
                        conv(constraint), table, type_="primary", schema=schema
                    )
                )
                creates.append(CreateKeyOp(conv(constraint), table, key, schema=schema))
        return _Change(up, down[::-1])

    def foreign_keys(
        self, handled: Collection[tuple[str | None, str, str]]
    ) -> Iterator[_Change]:
        """Yield what gives foreign keys the models' MATCH.

        handled: keys that are dropped and recreated with it in any case.
        """
        there = self._asked(_FOREIGN)
        for key in self._table.foreign_key_constraints:
            found = self._found(key, there)
            if found is None:
                continue
            name, is_full = found
            place = (self._table.schema, str(self._table.name), name)
            if place not in handled and is_full != (
                (key.match or "").upper() == "FULL"
            ):
                yield self._match(key, name, is_full=is_full)

    def _found(
        self, key: ForeignKeyConstraint, there: Sequence[Any]
    ) -> tuple[str, bool] | None:
        """Return the name and MATCH FULL of the existing key; None if there is none."""
        name = final_name(key.name, self._dialect)
        target = key.elements[0].target_fullname.rpartition(".")[0].rpartition(".")[2]
        columns = [str(element.parent.name) for element in key.elements]
        for constraint, is_full, names, table in there:
            same = constraint == name if name else (table, names) == (target, columns)
            if same:
                return constraint, is_full
        return None

    def _match(self, key: ForeignKeyConstraint, name: str, *, is_full: bool) -> _Change:
        table, schema = str(self._table.name), self._table.schema
        drop = ops.DropConstraintOp(
            conv(name), table, type_="foreignkey", schema=schema
        )
        new, old = (foreign_key_op(table, schema, key) for _ in range(2))
        for op in (new, old):
            op.constraint_name = conv(name)
        old.kw.pop("match", None)
        if is_full:
            old.kw["match"] = "FULL"
        return _Change([drop, new], [drop, old])

    def exclusions(self) -> Iterator[ChangeExclusionOp]:
        """Yield changes of exclusion constraints; note those the models do not have."""
        left = dict(self._asked(_EXCLUSIONS))
        constraints: Collection[Any] = self._table.constraints
        for item in sorted(constraints, key=lambda each: str(each.name)):
            if isinstance(item, ExcludeConstraint):
                yield from self._exclusion(item, left)
        self._not_compared.extend(
            f"exclusion constraint {name} of {self._name}, which the models do not have"
            for name in left
        )

    def _exclusion(
        self, item: ExcludeConstraint, left: dict[str, str]
    ) -> Iterator[ChangeExclusionOp]:
        """Compare one; remove the constraint that it matches from `left`."""
        name = final_name(item.name, self._dialect)
        compiler: Any = self._dialect.ddl_compiler(self._dialect, None)  # type: ignore[arg-type]
        words = str(compiler.process(item))
        sql = words[words.index("EXCLUDE USING") :]
        try:
            made = self._made(sql, name)
            same = name or next((n for n in left if made and left[n] == made[1]), None)
            old = left.pop(same, None) if same else None
            if old is not None and made is not None and self._is(old, made[1]):
                return
        except NotTried as error:
            left.pop(name or "", None)
            self._not_compared.append(
                f"exclusion constraint {name or sql} of {self._name} ({error})"
            )
            return
        new_name = name or (made[0] if made else f"{self._table.name}_excl")
        yield ChangeExclusionOp(
            (self._table.schema, str(self._table.name)),
            None if old is None or same is None else (same, old),
            (new_name, sql),
        )

    def _is(self, there: str, made: str) -> bool:
        """Compare two definitions; if they differ, compare again after re-reading."""
        if there == made:
            return True
        again = [self._made(sql, None) for sql in (there, made)]
        return None not in again and again[0] == again[1]

    def _made(self, sql: str, name: str | None) -> tuple[str, str] | None:
        """Return the name and definition that PostgreSQL gives a constraint."""
        quote = self._dialect.identifier_preparer.quote
        named = f"CONSTRAINT {quote(name)} " if name else ""
        copy = f"pg_temp.{quote(self._key[1])}"
        statement = f"ALTER TABLE {copy} ADD {named}{sql}"
        answer = try_out(self._connection, self._key, [statement], _EXCLUSION)
        if answer is None:
            return None
        given, _, definition = answer.partition(" EXCLUDE ")
        return given, f"EXCLUDE {definition}"
