"""PostgreSQL's domains: created, dropped and changed by the script, like enums."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN, CreateDomainType
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import ARRAY, TypeEngine

from ...sql.tokens import escape_colons
from .catalog import Catalog
from .database_ops import DatabaseOp
from .postgres_names import aside_name, kept
from .types import plain_type

_THERE = """
SELECT namespace.nspname, type.typname, format_type(type.typbasetype, type.typtypmod),
       type.typnotnull, type.typdefault, coalesce(collation_.collname, ''),
       ARRAY(
           SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(c.oid, true))
           FROM pg_constraint c WHERE contypid = type.oid AND contype = 'c' ORDER BY 1
       )
FROM pg_type type
JOIN pg_namespace namespace ON namespace.oid = type.typnamespace
JOIN pg_type base ON base.oid = type.typbasetype
LEFT JOIN pg_collation collation_
    ON collation_.oid = type.typcollation AND type.typcollation <> base.typcollation
WHERE type.typtype = 'd' AND namespace.nspname <> 'information_schema'
AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.objid = type.oid
    AND d.classid = 'pg_type'::regclass AND d.deptype = 'e'
)
"""
_SCRATCH = "dualmigrate_scratch"


@dataclass(frozen=True)
class DomainType:
    """A domain. schema: None for the default one; base: the SQL of its type.

    definition: what follows that in CREATE DOMAIN, as PostgreSQL itself would write it
    if it was read from there.
    """

    schema: str | None
    name: str
    base: str = field(compare=False)
    definition: str = field(compare=False)

    def sql_name(self, dialect: Dialect) -> str:
        quote = dialect.identifier_preparer.quote
        return ".".join(quote(part) for part in (self.schema, self.name) if part)

    def create(self, dialect: Dialect) -> str:
        parts = [f"CREATE DOMAIN {self.sql_name(dialect)} AS {self.base}"]
        return " ".join([*parts, self.definition]).strip()

    def drop(self, dialect: Dialect) -> str:
        return f"DROP DOMAIN {self.sql_name(dialect)}"


DomainColumn = tuple[str, str, str, bool]
"""A column that uses a domain: schema, table, name, and whether it is an array."""


class ChangeDomainOp(DatabaseOp):
    """A domain is recreated under its name. columns: those that use it."""

    kind = "domains"

    def __init__(
        self, old: DomainType, new: DomainType, columns: Sequence[DomainColumn]
    ) -> None:
        self.old = old
        self.new = new
        self.columns = tuple(columns)
        self.words = f"change domain {new.name}"

    def reverse(self) -> ChangeDomainOp:
        return ChangeDomainOp(self.new, self.old, self.columns)

    def first(self, dialect: Dialect) -> Iterator[str]:
        """Recreate it: a constraint cannot be added to a domain that arrays use."""
        quote, name = dialect.identifier_preparer.quote, self.new.sql_name(dialect)
        aside = DomainType(self.old.schema, aside_name(self.old.name), "", "")
        yield f"ALTER DOMAIN {name} RENAME TO {quote(aside.name)}"
        yield self.new.create(dialect)
        for *place, is_array in self.columns:
            schema, table, column = place
            known = [] if schema == dialect.default_schema_name else [schema]
            full = ".".join(map(quote, [*known, table]))
            many = "[]" if is_array else ""
            yield (
                f"ALTER TABLE {full} ALTER COLUMN {quote(column)} TYPE {name}{many} "
                f"USING {quote(column)}::{self.new.base}{many}::{name}{many}"
            )
        yield aside.drop(dialect)


def domains_of(type_: TypeEngine[Any], dialect: Dialect) -> Iterator[DOMAIN]:
    """Yield the domain that is a column's type, or the type of its items."""
    plain = plain_type(type_, dialect)
    if isinstance(plain, ARRAY):
        yield from domains_of(plain.item_type, dialect)
    elif isinstance(plain, DOMAIN):
        yield from domains_of(plain.data_type, dialect)
        yield plain


def domain_type(domain: DOMAIN, dialect: Dialect) -> DomainType:
    schema = domain.schema if domain.schema != dialect.default_schema_name else None
    statement = str(CreateDomainType(domain).compile(dialect=dialect))
    base = domain.data_type.compile(dialect=dialect)
    _, _, definition = statement.partition(f" AS {base}")
    return DomainType(schema, kept(str(domain.name)), base, definition.strip())


def existing_domains(connection: Connection) -> list[DomainType]:
    """Return the domains in the database."""
    default = connection.dialect.default_schema_name
    quote = connection.dialect.identifier_preparer.quote
    found = []
    for schema, name, base, not_null, value, collation, checks in connection.execute(
        sa.text(_THERE)
    ):
        parts = [
            f"COLLATE {quote(collation)}" if collation else "",
            f"DEFAULT {value}" if value is not None else "",
            "NOT NULL" if not_null else "",
            *checks,
        ]
        definition = " ".join(filter(None, parts))
        short = None if schema == default else schema
        found.append(DomainType(short, name, base, definition))
    return found


def changed_domains(
    wanted: Mapping[DomainType, DOMAIN],
    columns_of: Callable[[DomainType], Sequence[DomainColumn]],
    catalog: Catalog,
) -> list[ChangeDomainOp]:
    """Return a change for each domain that differs from the models.

    wanted: the models' domains; columns_of: returns a domain's columns in the database.
    """
    dialect, connection = catalog.dialect, catalog.connection
    existing = {item: item for item in catalog.once(existing_domains)} if wanted else {}
    found = []
    for key in sorted(wanted, key=lambda item: (item.schema or "", item.name)):
        domain, old = wanted[key], existing.get(key)
        read = None if old is None else _as_read(domain, connection)
        if old is None or read is None:
            continue
        if (read.base, _plain(read)) != (old.base, _plain(old)):
            new = domain_type(domain, dialect)
            found.append(ChangeDomainOp(old, new, columns_of(old)))
    return found


def _plain(domain: DomainType) -> str:
    """Return a definition without the name that PostgreSQL chose for a check."""
    given = rf'CONSTRAINT "?{re.escape(domain.name)}_check[0-9]*"? '
    return re.sub(given, "", domain.definition)


def _as_read(domain: DOMAIN, connection: Connection) -> DomainType | None:
    """Return a domain of the models as PostgreSQL reads it; None: it cannot be tried.

    It is created in a transaction that is rolled back.
    """
    if getattr(connection.connection, "autocommit", False):
        return None
    made = domain_type(domain, connection.dialect)
    scratch = DomainType("pg_temp", _SCRATCH, made.base, made.definition)
    statement = sa.text(escape_colons(scratch.create(connection.dialect)))
    nested = connection.begin_nested()
    try:
        connection.execute(statement)
        found = [item for item in existing_domains(connection) if item.name == _SCRATCH]
    except DBAPIError:
        return None
    finally:
        nested.rollback()
    return found[0] if found else None
