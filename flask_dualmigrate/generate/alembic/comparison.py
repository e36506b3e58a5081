"""How Alembic compares: its options, and what does not belong to the app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from sqlalchemy import BIGINT, INTEGER, JSON, Column, MetaData, text
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import DefaultClause

from ...indexes.comparison import STAND_IN
from ...sql import expressions
from ...sql import tokens as sql_tokens
from ...sql.tokens import escape_colons, literal
from ..tables.catalog import Catalog, TableKey
from ..tables.defaults import CLOCKS
from ..tables.dialects import Comparing, comparing
from ..tables.state import sql_of
from ..tables.types import plain_dialect, plain_type
from .index_definitions import IndexDefinitions
from .partitions import parts_of_tables
from .sequences import existing_sequences
from .sqlite_indexes import ExpressionIndexes
from .type_names import TypeNames

OWN_PREFIX = "dualmigrate_"
"""The prefix of this package's own tables in PostgreSQL."""


def migration_context(
    catalog: Catalog,
    each: Sequence[MetaData],
    options: Mapping[str, Any],
    *,
    environment: EnvironmentContext | None = None,
    not_compared: list[str],
) -> MigrationContext:
    """Return a context that compares the models with everything except our own tables.

    options: those of Alembic's configure(), as the app gave them. not_compared: gets a
    line for each thing that the comparison leaves out.
    """
    connection = catalog.connection
    known = comparing(connection.dialect)
    opts = _options(options, _schemas(each, connection), known)
    opts["target_metadata"] = each[0] if len(each) == 1 else each
    if known.by_catalog:
        if not _is_autocommit(connection):
            # As in the scripts: a default without a time zone is in UTC.
            connection.execute(text("SET LOCAL timezone TO 'UTC'"))
        parts = parts_of_tables(each, connection)
        opts["include_name"] = _no_parts(opts["include_name"], parts, connection)
    if opts["compare_type"] is True and known.by_catalog:
        opts["compare_type"] = TypeNames(catalog, not_compared)
    context = MigrationContext.configure(
        connection=connection, environment_context=environment, opts=opts
    )
    if environment is not None:
        environment._migration_context = context  # as EnvironmentContext.configure()
    if opts["compare_server_default"] is True and known.by_catalog:
        # Not with the option: Alembic also calls that for identities, and fails there.
        impl: Any = context.impl
        impl.compare_server_default = _DefaultComparison(impl)
    if known.by_catalog:
        _read_columns_at_once(context.impl, catalog)
        IndexDefinitions(context.impl, catalog, not_compared).install()
    if known.expressions_by_text:
        ExpressionIndexes(context.impl, each, not_compared).install()
    if opts["compare_server_default"] is False:
        not_compared.append("server defaults (compare_server_default is False)")
    if opts["compare_type"] is False:
        not_compared.append("types of columns (compare_type is False)")
    return context


def _options(
    options: Mapping[str, Any], schemas: frozenset[str], known: Comparing
) -> dict[str, Any]:
    """Return the app's options on top of the defaults, without our own tables.

    SQLite alters a table by recreating it, in a batch. A default is then not worded as
    it was declared, so SQLite's defaults are compared only if the app asks for it.
    """
    opts: dict[str, Any] = {
        "sqlalchemy_module_prefix": "sa.",
        "alembic_module_prefix": "op.",
        "user_module_prefix": None,
        "render_as_batch": known.in_batches,
        "compare_type": True,
        "compare_server_default": known.compares_defaults,
        "include_schemas": bool(schemas),
        **options,
    }
    only = None if "include_schemas" in options else schemas
    opts["include_object"] = _not_ours_object(opts.get("include_object"))
    opts["include_name"] = _not_ours_name(opts.get("include_name"), only)
    return opts


def _schemas(each: Sequence[MetaData], connection: Connection) -> frozenset[str]:
    """Return the schemas of the models, without the default one.

    Alembic looks into them only on request; otherwise it would create their tables
    again in each revision.
    """
    named = {table.schema for item in each for table in item.tables.values()}
    default = connection.dialect.default_schema_name
    return frozenset(name for name in named if name is not None and name != default)


def _not_ours_object(include: Callable[..., bool] | None) -> Callable[..., bool]:
    def include_object(
        item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
    ) -> bool:
        if kind == "table" and name and name.startswith(OWN_PREFIX):
            return False
        if kind == "index" and name and name.startswith(STAND_IN):
            return False
        return include is None or include(item, name, kind, reflected, compare_to)

    return include_object


def _not_ours_name(
    include: Callable[..., bool] | None, schemas: frozenset[str] | None
) -> Callable[..., bool]:
    """schemas: those to look into besides the default one; None: all of them."""

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "table" and name and name.startswith(OWN_PREFIX):
            return False
        looked_into = schemas is None or name is None or name in schemas
        if kind == "schema" and not looked_into:
            return False
        return include is None or include(name, kind, parents)

    return include_name


def _no_parts(
    include: Callable[..., bool], parts: frozenset[TableKey], connection: Connection
) -> Callable[..., bool]:
    default = connection.dialect.default_schema_name

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "table" and (parents.get("schema_name") or default, name) in parts:
            return False
        return include(name, kind, parents)

    return include_name


def _read_columns_at_once(impl: Any, catalog: Catalog) -> None:
    """Correct the reflected columns, without a query for each.

    A domain's default and NOT NULL are not the column's own; nor is a SERIAL's default,
    for which Alembic would ask about one sequence after another.
    """
    alembics = impl.autogen_column_reflect

    @cache
    def owners() -> dict[str, str | None]:
        found = catalog.once(existing_sequences)
        return {item.sql_name: item.owner[2] if item.owner else None for item in found}

    def reflect(inspector: Any, table: Any, column: Any) -> None:
        catalog.inspector = inspector
        catalog.corrected.append((column, dict(column)))
        own = catalog.columns(table).get(column["name"])
        if isinstance(column["type"], DOMAIN) and own is not None:
            column["nullable"] = not own.not_null
            if not own.has_default:
                column["default"] = None
        name = _sequence_of(column)
        if name is None or name not in owners():
            alembics(inspector, table, column)
        elif owners()[name] == column["name"]:
            column["default"] = None

    impl.autogen_column_reflect = reflect


def _sequence_of(column: Any) -> str | None:
    """Return the sequence that an integer column takes its default from."""
    before, _, rest = (column.get("default") or "").partition("nextval('")
    if before or not isinstance(column["type"], INTEGER | BIGINT):
        return None
    return rest.partition("'::regclass)")[0] or None


class _DefaultComparison:
    """Decides whether two server defaults differ, in place of Alembic's PostgresqlImpl.

    Alembic asks PostgreSQL whether one equals the other, which fails if their types
    have no = : json, or an integer that becomes a boolean.
    """

    def __init__(self, impl: Any) -> None:
        self._connection: Connection = impl.connection
        self._alembics = impl.compare_server_default

    def __call__(
        self,
        inspected: Column[Any],
        column: Column[Any],
        rendered: str | None,
        inspected_default: str | None,
    ) -> bool:
        server_default = column.server_default
        if not isinstance(server_default, DefaultClause) or inspected_default is None:
            return bool(self._alembics(inspected, column, rendered, inspected_default))
        arg = server_default.arg
        dialect = plain_dialect(self._connection.dialect)
        default = literal(arg) if isinstance(arg, str) else sql_of(arg, dialect)
        same = _same_expression(inspected_default, default)
        if same is None:
            same = _same_value(self._connection, inspected_default, default, column)
        return not same


def _same_expression(one: str, other: str) -> bool | None:
    """Compare two expressions by their meaning; None: only their values can decide."""
    try:
        left, right = (
            expressions.bare(expressions.parse(one)),
            expressions.bare(expressions.parse(other)),
        )
    except sql_tokens.UnknownSql:
        return True if one == other else None
    if left == right:
        return True
    calls = {item.name for item in (left, right) if isinstance(item, expressions.Call)}
    return None if calls <= set(CLOCKS) else False


def _same_value(
    connection: Connection, one: str, other: str, column: Column[Any]
) -> bool:
    """Compare two defaults as values of the column's type, on the server."""
    type_ = plain_type(column.type, connection.dialect)
    name = "jsonb" if isinstance(type_, JSON) else type_.compile(connection.dialect)
    query = (
        f"SELECT CAST({one} AS {name})::text IS NOT DISTINCT FROM "
        f"CAST({other} AS {name})::text"
    )
    in_transaction = not _is_autocommit(connection)
    try:
        # A savepoint: a failure would otherwise abort the rest of the comparison.
        with connection.begin_nested() if in_transaction else nullcontext():
            return bool(connection.scalar(text(escape_colons(query))))
    except DBAPIError:
        return False


def _is_autocommit(connection: Connection) -> bool:
    return bool(getattr(connection.connection, "autocommit", False))
