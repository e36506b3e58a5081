"""PostgreSQL's sequences: created, dropped and widened by the script itself.

Alembic only knows those of SERIAL and IDENTITY: it never creates a sequence that a
model declares with Sequence(), and leaves a SERIAL's sequence an integer when its
column becomes BIGINT.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateSequence, DropSequence

from ..tables.database_ops import DatabaseOp
from ..tables.sides import Sides
from ..tables.types import plain_type
from ..tables.walk import leaves

Place = tuple[str, str, str]
"""A column: schema, table, name."""

_THERE = """
SELECT namespace.nspname, class.relname, format_type(seq.seqtypid, NULL), seq.seqstart,
       seq.seqincrement, seq.seqmin, seq.seqmax, seq.seqcache, seq.seqcycle,
       coalesce(owner.nspname, ''), coalesce(owner.relname, ''),
       coalesce(owner.attname, ''), owner.identity, uses.nspname, uses.relname,
       uses.attname, seq.seqrelid::regclass::text
FROM pg_sequence seq
JOIN pg_class class ON class.oid = seq.seqrelid
JOIN pg_namespace namespace ON namespace.oid = class.relnamespace
LEFT JOIN LATERAL (
    SELECT n.nspname, c.relname, a.attname, d.deptype = 'i' AS identity
    FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = seq.seqrelid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
) owner ON true
LEFT JOIN LATERAL (
    SELECT n.nspname, c.relname, a.attname
    FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
    JOIN pg_class c ON c.oid = f.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refobjid = seq.seqrelid
    AND d.refclassid = 'pg_class'::regclass
) uses ON true
WHERE NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.objid = seq.seqrelid
    AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
)
"""

_RANGES = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_TYPES = {"smallint": sa.SmallInteger, "integer": sa.Integer, "bigint": sa.BigInteger}


@dataclass(frozen=True)
class Existing:
    """A sequence in the database.

    made: as a SQLAlchemy sequence, to recreate it; type_: smallint, integer or bigint.
    owner: the column with which it is dropped. users: the columns whose defaults are
    its values. is_identity: PostgreSQL itself manages it. sql_name: as in a default.
    """

    made: sa.Sequence
    type_: str
    owner: Place | None
    users: frozenset[Place]
    is_identity: bool
    sql_name: str

    @property
    def is_serial(self) -> bool:
        return self.owner is not None and self.owner in self.users


class CreateSequenceOp(DatabaseOp):
    """A sequence is added. owner: the column with which it is dropped, or None."""

    kind = "sequences"

    def __init__(self, sequence: sa.Sequence, owner: Place | None) -> None:
        self.sequence = sequence
        self.owner = owner
        self.words = f"add sequence {sequence.name}"

    def reverse(self) -> DropSequenceOp:
        return DropSequenceOp(self.sequence, self.owner)

    def first(self, dialect: Dialect) -> Iterator[str]:
        yield str(CreateSequence(self.sequence).compile(dialect=dialect))

    def last(self, dialect: Dialect) -> Iterator[str]:
        if self.owner is not None:
            yield _owned_by(self.sequence, self.owner, dialect)


class DropSequenceOp(DatabaseOp):
    """A sequence is dropped, if it was not already dropped with its owner."""

    kind = "sequences"

    def __init__(self, sequence: sa.Sequence, owner: Place | None) -> None:
        self.sequence = sequence
        self.owner = owner
        self.words = f"remove sequence {sequence.name}"

    def reverse(self) -> CreateSequenceOp:
        return CreateSequenceOp(self.sequence, self.owner)

    def last(self, dialect: Dialect) -> Iterator[str]:
        drop = DropSequence(self.sequence, if_exists=True)
        yield str(drop.compile(dialect=dialect))


class WidenSequenceOp(DatabaseOp):
    """A sequence gets the type of the column that it generates values for."""

    kind = "sequences"

    def __init__(self, sequence: sa.Sequence, old: str, new: str) -> None:
        self.sequence = sequence
        self.old = old
        self.new = new
        self.words = f"change type of sequence {sequence.name}: {old} to {new}"

    def reverse(self) -> WidenSequenceOp:
        return WidenSequenceOp(self.sequence, self.new, self.old)

    def last(self, dialect: Dialect) -> Iterator[str]:
        name = dialect.identifier_preparer.format_sequence(self.sequence)
        yield f"ALTER SEQUENCE {name} AS {self.new}"


class OwnSequenceOp(DatabaseOp):
    """A sequence is kept although the column that owns it is dropped."""

    kind = "sequences"

    def __init__(
        self, sequence: sa.Sequence, old: Place | None, new: Place | None
    ) -> None:
        self.sequence = sequence
        self.old = old
        self.new = new
        self.words = f"change owner of sequence {sequence.name}"

    def reverse(self) -> OwnSequenceOp:
        return OwnSequenceOp(self.sequence, self.new, self.old)

    def first(self, dialect: Dialect) -> Iterator[str]:
        if self.old is not None:
            yield _owned_by(self.sequence, None, dialect)

    def last(self, dialect: Dialect) -> Iterator[str]:
        if self.new is not None:
            yield _owned_by(self.sequence, self.new, dialect)


def _owned_by(sequence: sa.Sequence, owner: Place | None, dialect: Dialect) -> str:
    preparer = dialect.identifier_preparer
    column = "NONE"
    if owner is not None:
        parts = owner[1:] if owner[0] == dialect.default_schema_name else owner
        column = ".".join(map(preparer.quote, parts))
    return f"ALTER SEQUENCE {preparer.format_sequence(sequence)} OWNED BY {column}"


def existing_sequences(connection: Connection) -> list[Existing]:
    """Return the sequences in the database, except those of extensions."""
    found: dict[tuple[str, str], Existing] = {}
    default = connection.dialect.default_schema_name
    for schema, name, type_, *options, sql_name in connection.execute(sa.text(_THERE)):
        *numbers, cycle = options[:6]
        owner_parts, is_identity, user = options[6:9], options[9], options[10:13]
        known = found.get((schema, name))
        users = known.users if known is not None else frozenset()
        if user[0] is not None:
            users |= {(str(user[0]), str(user[1]), str(user[2]))}
        found[schema, name] = Existing(
            _made(name, None if schema == default else schema, type_, numbers, cycle),
            type_,
            (owner_parts[0], owner_parts[1], owner_parts[2])
            if owner_parts[1]
            else None,
            users,
            bool(is_identity),
            sql_name,
        )
    return sorted(found.values(), key=lambda item: item.made.name)


def _made(
    name: str, schema: str | None, type_: str, numbers: Sequence[int], cycle: bool
) -> sa.Sequence:
    """Return a sequence with the options that are not PostgreSQL's default."""
    start, increment, low, high, cache = numbers
    most = _RANGES[type_]
    usual_low, usual_high = (1, most) if increment > 0 else (-most - 1, -1)
    begin = low if increment > 0 else high
    return sa.Sequence(
        name,
        schema=schema,
        start=None if start == begin else start,
        increment=None if increment == 1 else increment,
        minvalue=None if low == usual_low else low,
        maxvalue=None if high == usual_high else high,
        cache=None if cache == 1 else cache,
        cycle=cycle or None,
        data_type=None if type_ == "bigint" else _TYPES[type_](),
    )


def sequence_changes(
    sides: Sides, operations: Sequence[ops.MigrateOperation]
) -> tuple[list[DatabaseOp], list[DatabaseOp]]:
    """Return what sequences need before and after the operations of an upgrade."""
    dialect = sides.dialect
    there = sides.catalog.once(existing_sequences)
    known = {_key(item.made, dialect): item for item in there}
    wanted: dict[tuple[str, str], CreateSequenceOp] = {}
    tables = [*sides.tables()]
    for sequence in _declared(sides.metadata, tables):
        if sides.include(sequence, "sequence"):
            owner = _owner(sequence, tables, dialect)
            wanted[_key(sequence, dialect)] = CreateSequenceOp(sequence, owner)
    gone = _gone(operations, dialect)
    first: list[DatabaseOp] = []
    for key, op in sorted(wanted.items()):
        if key not in known:
            first.append(op)
        elif known[key].owner in gone:
            first.append(OwnSequenceOp(op.sequence, known[key].owner, op.owner))
    last: list[DatabaseOp] = [
        DropSequenceOp(item.made, item.owner)
        for item in there
        if _key(item.made, dialect) not in wanted and _goes(item, gone)
    ]
    return first, [*_widened(there, tables, dialect), *last]


def _key(sequence: sa.Sequence, dialect: Dialect) -> tuple[str, str]:
    return (sequence.schema or str(dialect.default_schema_name), str(sequence.name))


def _declared(
    metadata: Collection[MetaData], tables: Sequence[Table]
) -> Iterator[sa.Sequence]:
    """Yield the sequences that create_all() would make."""
    of_columns = {
        id(column.default): column.default
        for each in metadata
        for table in each.tables.values()
        for column in table.columns
        if isinstance(column.default, sa.Sequence)
    }
    compared = {id(column.default) for table in tables for column in table.columns}
    alone = {id(item): item for each in metadata for item in each._sequences.values()}
    for key, sequence in {**of_columns, **alone}.items():
        if not sequence.optional and (key not in of_columns or key in compared):
            yield sequence


def _owner(
    sequence: sa.Sequence, tables: Sequence[Table], dialect: Dialect
) -> Place | None:
    """Return the only column whose model takes its values from a sequence.

    The sequence is then dropped with that column. A server default depends on its
    sequence in any case.
    """
    schema, name = _key(sequence, dialect)
    users = [
        (table.schema or str(dialect.default_schema_name), table.name, column.name)
        for table in tables
        for column in table.columns
        if isinstance(column.default, sa.Sequence)
        and _key(column.default, dialect) == (schema, name)
    ]
    return users[0] if len(users) == 1 and users[0][0] == schema else None


def _gone(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> dict[Place, bool]:
    """Return the dropped columns, and whether the downgrade makes them SERIAL."""
    found: dict[Place, bool] = {}
    for op in leaves(operations):
        schema = getattr(op, "schema", None) or str(dialect.default_schema_name)
        if isinstance(op, ops.DropTableOp):
            table = op.to_table()
            counted = table.primary_key.columns.values()
            for column in table.columns:
                is_key = len(counted) == 1 and counted[0] is column
                found[schema, str(op.table_name), str(column.name)] = is_key
        elif isinstance(op, ops.DropColumnOp):
            found[schema, str(op.table_name), str(op.column_name)] = False
    return found


def _goes(item: Existing, gone: dict[Place, bool]) -> bool:
    """Return whether no column is left that a sequence generates values for."""
    places = item.users | ({item.owner} if item.owner is not None else set())
    if item.is_identity or not places or not places <= gone.keys():
        return False
    return not (item.is_serial and gone[item.owner])  # type: ignore[index]


def _widened(
    there: Sequence[Existing], tables: Sequence[Table], dialect: Dialect
) -> Iterator[WidenSequenceOp]:
    """Yield a change for each sequence with a smaller range than its column's type."""
    default = str(dialect.default_schema_name)
    types = {
        (table.schema or default, str(table.name), str(column.name)): column.type
        for table in tables
        for column in table.columns
    }
    for item in there:
        for place in sorted(item.users):
            type_ = types.get(place)
            plain = None if type_ is None else plain_type(type_, dialect)
            name = _integer(plain)
            if name is None or item.is_identity:
                continue
            if _RANGES[name] > _RANGES[item.type_]:
                yield WidenSequenceOp(item.made, item.type_, name)
                break


def without_serial(op: ops.CreateTableOp) -> ops.CreateTableOp:
    """Return the operation with keys numbered by a Sequence not made SERIAL as well."""
    counted = {
        id(item)
        for item in op.columns
        if isinstance(item, Column)
        and isinstance(item.default, sa.Sequence)
        and not item.default.optional
    }
    if not counted:
        return op
    made = copy.copy(op)
    made.columns = [
        _plain(item) if id(item) in counted else item for item in op.columns
    ]
    return made


def _plain(column: Any) -> Any:
    plain = column._copy()
    plain.autoincrement = False
    return plain


def _integer(type_: Any) -> str | None:
    for kind, name in (
        (sa.BigInteger, "bigint"),
        (sa.SmallInteger, "smallint"),
        (sa.Integer, "integer"),
    ):
        if isinstance(type_, kind):
            return name
    return None
