"""Compare a model's index with the existing one by PostgreSQL's definitions of both.

Alembic compares the columns and the texts of expressions. PostgreSQL always writes a
definition in the same way, however it was declared; so the declared index is built on a
copy of its table, and the two definitions are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from alembic.ddl._autogen import ComparisonResult
from alembic.operations import ops
from sqlalchemy import Column, Index, UniqueConstraint, text
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateIndex
from sqlalchemy.types import NullType

from ...sql.tokens import escape_colons
from ...sql.words import words_of
from ..tables.catalog import Catalog
from ..tables.state import full_name, is_given
from .trial_sql import NotTried, try_out

_INDEXES = """
SELECT namespace.nspname, owner.relname, index.relname, pg_get_indexdef(index.oid)
FROM pg_index entry
JOIN pg_class index ON index.oid = entry.indexrelid
JOIN pg_class owner ON owner.oid = entry.indrelid
JOIN pg_namespace namespace ON namespace.oid = owner.relnamespace
WHERE namespace.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
"""
_NAME = "dualmigrate_scratch"
_INDEX = f"SELECT pg_get_indexdef(CAST('pg_temp.{_NAME}' AS regclass))"
_UNIQUE = (
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
    f"WHERE conname = '{_NAME}' AND connamespace = pg_my_temp_schema()"
)

Place = tuple[str, str, str]
"""Schema, table and name of an index or constraint."""

Alembics = Callable[[Any, Any], ComparisonResult]
Make = Callable[[Place, str], str | None]


class LeftOut(str):
    """A line about an index that was not compared; place: its table and name."""

    place: tuple[str, str]


class IndexDefinitions:
    """Compares indexes and unique constraints in place of Alembic's PostgresqlImpl.

    not_compared: gets a line for each that PostgreSQL could not be asked about.
    """

    def __init__(self, impl: Any, catalog: Catalog, not_compared: list[str]) -> None:
        self._impl = impl
        self._alembics: tuple[Alembics, Alembics] = (
            impl.compare_indexes,
            impl.compare_unique_constraint,
        )
        self._corrected = impl.correct_for_autogen_constraints
        self._catalog = catalog
        self._dialect = catalog.dialect
        self._not_compared = not_compared

    def install(self) -> None:
        """Make Alembic compare with this, and see indexes as they are."""
        self._impl.compare_indexes = self.compare_indexes
        self._impl.compare_unique_constraint = self.compare_uniques
        self._impl.correct_for_autogen_constraints = self._correct

    def compare_indexes(self, wanted: Index, found: Index) -> ComparisonResult:
        key = self._key(found)
        definition = self._catalog.once(_indexes).get(key)
        if definition is None:
            return self._alembics[0](wanted, found)
        declared = _declared(wanted, self._dialect)
        about = f"index {found.name}"
        return self._judge(about, key, definition, declared, self._index)

    def compare_uniques(
        self, wanted: UniqueConstraint, found: UniqueConstraint
    ) -> ComparisonResult:
        key, definition = self._key(found), self._unique_as_it_is(found)
        if definition is None:
            return self._alembics[1](wanted, found)
        sql = constraint_sql(wanted, self._dialect)
        about = f"unique constraint {found.name}"
        return self._judge(about, key, definition, sql, self._unique)

    def _judge(
        self, about: str, key: Place, there: str, declared: str, make: Make
    ) -> ComparisonResult:
        """Compare two definitions; make: returns PostgreSQL's form of a definition.

        PostgreSQL writes IN on a VARCHAR differently after reading its own output, so
        both are passed through it again before they are considered different.
        """
        if there == declared:
            return ComparisonResult.Equal()
        try:
            made = make(key, declared)
            if made is None:
                return ComparisonResult.Different("PostgreSQL cannot create it yet")
            if made == there or make(key, made) == make(key, there):
                return ComparisonResult.Equal()
        except NotTried as error:
            table = full_name(key[1], key[0], self._dialect)
            line = LeftOut(f"{about} of {table} ({error})")
            line.place = (table, key[2])
            self._not_compared.append(line)
            return ComparisonResult.Skip(str(error))
        return ComparisonResult.Different(f"{there} to {made}")

    def _index(self, key: Place, declared: str) -> str | None:
        unique, _, body = declared.partition("USING ")
        statement = f"CREATE {unique}INDEX {_NAME} ON {self._copy(key)} USING {body}"
        made = try_out(self._catalog.connection, key[:2], [statement], _INDEX)
        return None if made is None else _of_index(made)

    def _unique(self, key: Place, declared: str) -> str | None:
        table = self._copy(key)
        statement = f"ALTER TABLE {table} ADD CONSTRAINT {_NAME} {declared}"
        return try_out(self._catalog.connection, key[:2], [statement], _UNIQUE)

    def _correct(
        self, uniques: set[Any], indexes: set[Any], *metadata: Iterable[Any]
    ) -> None:
        self._corrected(uniques, indexes, *metadata)
        for index in indexes:
            self._as_it_is(index)
        for unique in uniques:
            words = self._unique_as_it_is(unique) or ""
            unique.deferrable = True if " DEFERRABLE" in words else None
            unique.initially = "DEFERRED" if " INITIALLY DEFERRED" in words else None

    def _unique_as_it_is(self, unique: UniqueConstraint) -> str | None:
        assert unique.table is not None
        rows = self._catalog.constraints(unique.table, "u")
        return next((row.definition for row in rows if row.name == unique.name), None)

    def _as_it_is(self, index: Index) -> None:
        """Give a reflected index its actual collations and other properties."""
        definition = self._catalog.once(_indexes).get(self._key(index))
        declared = _declared(index, self._dialect)
        if definition is None or definition == declared:
            return
        keys = _keys(definition)
        if keys != _keys(declared):
            parts: list[Any] = [text(escape_colons(key)) for key in keys]
            index.expressions = parts
            index.dialect_options["postgresql"]["ops"] = {}

    def _key(self, item: Index | UniqueConstraint) -> Place:
        assert item.table is not None
        return (*self._catalog.key(item.table), str(item.name))

    def _copy(self, key: Place) -> str:
        return f"pg_temp.{self._dialect.identifier_preparer.quote(key[1])}"


def _indexes(connection: Connection) -> dict[Place, str]:
    """Return what distinguishes each index, as `_of_index` does."""
    return {
        (schema, table, name): _of_index(definition)
        for schema, table, name, definition in connection.exec_driver_sql(_INDEXES)
    }


def _of_index(definition: str) -> str:
    """Return what distinguishes indexes: UNIQUE, if it is, and what follows ON."""
    head, _, body = definition.partition(" USING ")
    return ("UNIQUE " if head.startswith("CREATE UNIQUE") else "") + f"USING {body}"


def _declared(index: Index, dialect: Dialect) -> str:
    """Return the same for a SQLAlchemy index, without asking PostgreSQL."""
    assert index.table is not None
    unique = "UNIQUE " if index.unique else ""
    if _is_plain(index):
        quote = dialect.identifier_preparer.quote
        names = ", ".join(quote(column.name) for column in index.columns)
        return f"{unique}USING btree ({names})"
    sql = " ".join(str(CreateIndex(index).compile(dialect=dialect)).split("\n"))
    table = dialect.identifier_preparer.format_table(index.table)
    body = sql.partition(f" ON {table} ")[2].replace(" NULLS DISTINCT", "")
    using = "" if body.startswith("USING ") else "USING btree "
    return unique + using + body


def _is_plain(index: Index) -> bool:
    """Return whether an index has columns only, and no option that PostgreSQL reads."""
    return all(isinstance(item, Column) for item in index.expressions) and not any(
        is_given(value)
        for name, value in index.dialect_kwargs.items()
        if name.startswith("postgresql_")
    )


def with_included(op: ops.CreateUniqueConstraintOp) -> UniqueConstraint:
    """Return an operation's constraint, with the included columns added to its table.

    SQLAlchemy looks them up there, but Alembic adds them only for an index.
    """
    constraint = op.to_constraint()
    for name in included(op):
        if name not in constraint.table.columns:
            constraint.table.append_column(Column(name, NullType()))
    return constraint


def included(op: ops.CreateUniqueConstraintOp) -> list[str]:
    """Return the names of the columns that a constraint's index includes."""
    given = op.kw.get("postgresql_include") or ()
    return [item if isinstance(item, str) else str(item.name) for item in given]


def constraint_sql(constraint: UniqueConstraint, dialect: Dialect) -> str:
    """Return what follows the name in ALTER TABLE … ADD CONSTRAINT."""
    compiler: Any = dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]
    sql = str(compiler.process(constraint))
    return sql[sql.rindex("UNIQUE ") :]


def _keys(body: str) -> list[str]:
    """Return the parts of an index: what is between its first parentheses."""
    inner = words_of(body).brackets()
    return [] if inner is None else [part.text for part in inner.split(",")]
