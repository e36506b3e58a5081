"""PostgreSQL's enum types: created, dropped and changed by the script itself.

Alembic leaves them behind when a table is dropped, so that a second upgrade fails; does
not create them for an added column; and does not see that a label is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from alembic.operations import ops
from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import DOMAIN, ENUM
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.types import ARRAY, NullType, TypeEngine

from ...sql.tokens import literal
from .catalog import Catalog
from .database_ops import DatabaseOp
from .domains import (
    ChangeDomainOp,
    DomainColumn,
    DomainType,
    changed_domains,
    domain_type,
    domains_of,
    existing_domains,
)
from .postgres_names import kept
from .sides import Sides
from .types import plain_type
from .walk import leaves

_USES = """
SELECT type_schema.nspname, type.typname, table_schema.nspname, relation.relname,
       attribute.attname, attribute.atttypid = type.typarray,
       CASE WHEN attgenerated = '' THEN pg_get_expr(adbin, adrelid) END
FROM pg_type type
JOIN pg_namespace type_schema ON type_schema.oid = type.typnamespace
JOIN pg_attribute attribute ON attribute.atttypid IN (type.oid, type.typarray)
JOIN pg_class relation ON relation.oid = attribute.attrelid
JOIN pg_namespace table_schema ON table_schema.oid = relation.relnamespace
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE type.typtype IN ('e', 'd') AND relation.relkind IN ('r', 'p') AND NOT attisdropped
"""

Place = tuple[str, str, str]
"""A column: schema, table, name."""


@dataclass(frozen=True)
class EnumColumn:
    """A column of an enum type, or of an array of it; default: SQL, or None."""

    place: Place
    is_array: bool
    default: str | None = None


@dataclass(frozen=True)
class EnumType:
    """An enum type; schema: None for the default one."""

    schema: str | None
    name: str
    labels: tuple[str, ...] = field(compare=False)

    def of_type(self) -> ENUM:
        return ENUM(*self.labels, name=self.name, schema=self.schema)

    def sql_name(self, dialect: Dialect) -> str:
        quote = dialect.identifier_preparer.quote
        parts = [self.schema, self.name] if self.schema else [self.name]
        return ".".join(quote(part) for part in parts if part)

    def create(self, dialect: Dialect) -> str:
        labels = ", ".join(map(literal, self.labels))
        return f"CREATE TYPE {self.sql_name(dialect)} AS ENUM ({labels})"

    def drop(self, dialect: Dialect) -> str:
        return f"DROP TYPE {self.sql_name(dialect)}"


NamedType = EnumType | DomainType
Named = TypeVar("Named", EnumType, NamedType)


class ChangeEnumOp(DatabaseOp):
    """The labels of an enum type change.

    columns: those that use the type.
    """

    def __init__(
        self,
        old: EnumType,
        new: EnumType,
        columns: Sequence[EnumColumn],
    ) -> None:
        self.old = old
        self.new = new
        self.columns = tuple(columns)

    def reverse(self) -> ChangeEnumOp:
        return ChangeEnumOp(self.new, self.old, self.columns)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("modify_enum", self.old, self.new)


@dataclass(frozen=True)
class EnumPlan:
    """The enum types and domains that an upgrade creates, and those that it leaves
    without a column, each in the order of creation."""

    created: tuple[NamedType, ...] = ()
    dropped: tuple[NamedType, ...] = ()

    def reverse(self) -> EnumPlan:
        return EnumPlan(self.dropped, self.created)


def enums_of(type_: TypeEngine[Any], dialect: Dialect) -> Iterator[ENUM]:
    """Yield the enum type that is a column's type, or the type of its items."""
    plain = plain_type(type_, dialect)
    if isinstance(plain, ARRAY):
        yield from enums_of(plain.item_type, dialect)
    elif isinstance(plain, DOMAIN):
        yield from enums_of(plain.data_type, dialect)
    elif isinstance(plain, ENUM) and plain.name:
        yield plain


def _named(
    type_: TypeEngine[Any], dialect: Dialect
) -> Iterator[tuple[NamedType, bool]]:
    """Yield the named types in a column's type, and whether we create them; a type
    comes after those that it is made from."""
    for enum in enums_of(type_, dialect):
        yield enum_type(enum, dialect), enum.create_type
    for domain in domains_of(type_, dialect):
        yield domain_type(domain, dialect), domain.create_type


def enum_type(enum: ENUM, dialect: Dialect) -> EnumType:
    schema = enum.schema if enum.schema != dialect.default_schema_name else None
    return EnumType(schema, kept(str(enum.name)), tuple(map(str, enum.enums)))


def existing_types(
    catalog: Catalog, like: Iterable[NamedType]
) -> dict[NamedType, NamedType]:
    """Return the database's types of the kinds in `like`, by schema and name."""
    kinds = {type(item) for item in like}
    found: list[NamedType] = []
    if EnumType in kinds:
        default, inspector = catalog.dialect.default_schema_name, catalog.inspector
        for item in cast("Any", inspector).get_enums(schema="*"):
            schema = None if item["schema"] == default else item["schema"]
            found.append(EnumType(schema, item["name"], tuple(item["labels"])))
    if DomainType in kinds:
        found += catalog.once(existing_domains)
    return {item: item for item in found}


def uses(connection: Connection) -> dict[tuple[str, str], set[EnumColumn]]:
    """Return the columns of each enum type and domain, by schema and name."""
    found: dict[tuple[str, str], set[EnumColumn]] = {}
    for schema, name, *place, is_array, default in connection.execute(text(_USES)):
        column = EnumColumn((place[0], place[1], place[2]), is_array, default)
        found.setdefault((schema, name), set()).add(column)
    return found


def plan_enums(
    upgrade: Sequence[ops.MigrateOperation],
    catalog: Catalog,
    *,
    skip: Callable[[TypeEngine[Any]], bool],
    others: Set[EnumType] = frozenset(),
) -> EnumPlan:
    """Return which named types an upgrade creates, and which it leaves unused.

    skip: returns whether the app renders a type itself. others: enum types that another
    package handles.
    """
    dialect = catalog.dialect
    wanted = {
        named: create
        for _, type_ in _brought(upgrade, dialect)
        if not skip(type_)
        for named, create in _named(type_, dialect)
    }
    gone = dict(_taken(upgrade, dialect))
    taken = {named for type_ in gone.values() for named, _ in _named(type_, dialect)}
    existing = existing_types(catalog, {*wanted, *taken})
    left = {*existing, *others}
    created = [
        named for named, create in wanted.items() if create and named not in left
    ]
    freed = {existing[named] for named in taken if named in existing} - set(wanted)
    unused = freed - _in_use(freed, set(gone), catalog)
    return EnumPlan(_sorted(created), _sorted(unused - others))


def _in_use(
    enums: set[NamedType], gone: set[Place], catalog: Catalog
) -> set[NamedType]:
    """Return the named types used by a column that is not dropped."""
    return {
        enum
        for enum in enums
        if {column.place for column in _columns_of(enum, catalog)} - gone
    }


def _columns_of(enum: NamedType, catalog: Catalog) -> list[EnumColumn]:
    schema = enum.schema or str(catalog.dialect.default_schema_name)
    found = catalog.once(uses).get((schema, enum.name), set())
    return sorted(found, key=lambda item: item.place)


def _sorted(found: Iterable[Named]) -> tuple[Named, ...]:
    """Return types in order; a domain may be based on an enum."""

    def key(item: NamedType) -> tuple[bool, str, str]:
        return (isinstance(item, DomainType), item.schema or "", item.name)

    return tuple(sorted(found, key=key))


def _brought(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> Iterator[tuple[Place, TypeEngine[Any]]]:
    """Yield the columns that operations add or give a new type, with that type."""
    for op in leaves(operations):
        if isinstance(op, ops.CreateTableOp):
            yield from _columns(op.to_table(), dialect)
        elif isinstance(op, ops.AddColumnOp):
            yield _place(op, op.column.name, dialect), op.column.type
        elif isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
            yield _place(op, op.column_name, dialect), op.modify_type


def _taken(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> Iterator[tuple[Place, TypeEngine[Any]]]:
    """Yield the columns that operations drop or take a type from, with that type."""
    for op in leaves(operations):
        if isinstance(op, ops.DropTableOp):
            yield from _columns(op.to_table(), dialect)
        elif isinstance(op, ops.DropColumnOp):
            yield _place(op, op.column_name, dialect), op.to_column().type
        elif isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
            type_ = op.existing_type or NullType()
            yield _place(op, op.column_name, dialect), type_


def _columns(table: Table, dialect: Dialect) -> Iterator[tuple[Place, TypeEngine[Any]]]:
    schema = table.schema or str(dialect.default_schema_name)
    for column in table.columns:
        yield (schema, str(table.name), str(column.name)), column.type


def _place(op: Any, column: Any, dialect: Dialect) -> Place:
    schema = op.schema or dialect.default_schema_name
    return (str(schema), str(op.table_name), str(column))


def changed_enums(
    sides: Sides, *, others: Set[EnumType] = frozenset()
) -> list[ChangeEnumOp]:
    """Return a change for each enum type whose labels, or their order, differ.

    others: as in plan_enums.
    """
    wanted: dict[EnumType, EnumType] = {}
    for column in (column for table in sides.tables() for column in table.columns):
        for enum in enums_of(column.type, sides.dialect):
            found = enum_type(enum, sides.dialect)
            wanted.setdefault(found, found)
    existing = existing_types(sides.catalog, wanted)
    return [
        ChangeEnumOp(old, enum, _columns_of(enum, sides.catalog))
        for enum in _sorted(wanted.keys() - others)
        if isinstance(old := existing.get(enum), EnumType) and old.labels != enum.labels
    ]


def add_values(op: ChangeEnumOp, dialect: Dialect) -> Iterator[str]:
    """Yield the statements that add the new labels; none rewrites a table."""
    labels = op.new.labels
    known = set(op.old.labels)
    for at, label in enumerate(labels):
        if label in known:
            continue
        following = next((item for item in labels[at:] if item in known), None)
        where = "" if following is None else f" BEFORE {literal(following)}"
        name = op.new.sql_name(dialect)
        yield f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {literal(label)}{where}"


def changed_domain_types(sides: Sides) -> list[ChangeDomainOp]:
    """Return a change for each domain that differs from the models."""
    wanted = {
        domain_type(domain, sides.dialect): domain
        for table in sides.tables()
        for column in table.columns
        for domain in domains_of(column.type, sides.dialect)
        if domain.create_type
    }

    def columns_of(domain: DomainType) -> list[DomainColumn]:
        found = _columns_of(domain, sides.catalog)
        return [(*column.place, column.is_array) for column in found]

    return changed_domains(wanted, columns_of, sides.catalog)
