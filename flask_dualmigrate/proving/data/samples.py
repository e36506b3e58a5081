"""Copies some of the real rows and documents, which are only read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ..snapshots.mongo import is_apps
from ..snapshots.postgres import is_ours

_MANY = 500
_RAW = CodecOptions(document_class=RawBSONDocument)

_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
  AND NOT a.attisdropped AND a.attgenerated = '' AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema' ORDER BY 1, 2, a.attnum
"""
_FOREIGN_KEYS = """
SELECT n.nspname, c.relname, fn.nspname, f.relname,
  (SELECT array_agg(a.attname::text ORDER BY k.at) FROM unnest(o.conkey)
     WITH ORDINALITY k(num, at) JOIN pg_attribute a
     ON a.attrelid = c.oid AND a.attnum = k.num),
  (SELECT array_agg(a.attname::text ORDER BY k.at) FROM unnest(o.confkey)
     WITH ORDINALITY k(num, at) JOIN pg_attribute a
     ON a.attrelid = f.oid AND a.attnum = k.num)
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class f ON f.oid = o.confrelid
  JOIN pg_namespace fn ON fn.oid = f.relnamespace WHERE o.contype = 'f'
"""
_SEQUENCES = """
SELECT schemaname, sequencename, last_value FROM pg_sequences
WHERE last_value IS NOT NULL
"""

Name = tuple[str, str]
Row = tuple[str | None, ...]
"""The values of a row in the server's text format, which restores them exactly."""


@dataclasses.dataclass
class _Table:
    """A table of the real database. types: column -> type, in order."""

    types: dict[str, str]
    rows: dict[Row, None] = dataclasses.field(default_factory=dict)


def copy_rows(real: Engine, scratch: Engine, *, limit: int, version_table: str) -> int:
    """Copy some rows of each table, and the rows that their foreign keys point to.

    limit: rows per table. Returns how many could not be inserted.
    """
    with real.connect() as connection:
        reading = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        tables = _tables(reading, version_table)
        for name, table in tables.items():
            table.rows.update(dict.fromkeys(_read(reading, name, table, limit=limit)))
        _complete(reading, tables)
        sequences = reading.exec_driver_sql(_SEQUENCES).all()
    with scratch.begin() as writing:
        there = _tables(writing, version_table)
        left = _put_all(writing, {n: t for n, t in tables.items() if n in there}, there)
        for schema, sequence, last in sequences:
            _set_sequence(writing, schema, sequence, last)
    return left


def _tables(connection: Connection, version_table: str) -> dict[Name, _Table]:
    found: dict[Name, _Table] = {}
    for schema, table, column, type_ in connection.exec_driver_sql(_COLUMNS):
        if not is_ours(table, version_table):
            found.setdefault((schema, table), _Table({})).types[column] = type_
    return found


def _read(
    connection: Connection,
    name: Name,
    table: _Table,
    *,
    limit: int | None = None,
    where: Any = None,
) -> Iterator[Row]:
    columns = [sa.cast(sa.column(column), sa.Text) for column in table.types]
    query = sa.select(*columns).select_from(sa.table(name[1], schema=name[0]))
    query = query.limit(limit) if where is None else query.where(where)
    for row in connection.execute(query):
        yield tuple(row)


def _complete(connection: Connection, tables: dict[Name, _Table]) -> None:
    """Fetch what foreign keys point to, until nothing is missing."""
    keys = connection.exec_driver_sql(_FOREIGN_KEYS).all()
    missing = True
    while missing:
        missing = False
        for schema, name, parent_schema, parent_name, columns, targets in keys:
            child = tables.get((schema, name))
            parent = tables.get((parent_schema, parent_name))
            if child is None or parent is None:
                continue
            wanted = _project(child, columns) - _project(parent, targets)
            for part in _parts(sorted(wanted)):
                found = _read(
                    connection,
                    (parent_schema, parent_name),
                    parent,
                    where=sa.tuple_(
                        *(sa.cast(sa.column(target), sa.Text) for target in targets)
                    ).in_(part),
                )
                before = len(parent.rows)
                parent.rows.update(dict.fromkeys(found))
                missing = missing or len(parent.rows) > before


def _project(table: _Table, columns: Sequence[str]) -> set[tuple[str, ...]]:
    """Return the values of some columns in the rows where none of them is null."""
    at = [list(table.types).index(column) for column in columns]
    found = (tuple(row[i] for i in at) for row in table.rows)
    return {
        tuple(str(value) for value in values) for values in found if None not in values
    }


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _MANY):
        yield items[start : start + _MANY]


def _put_all(
    connection: Connection, tables: dict[Name, _Table], there: dict[Name, _Table]
) -> int:
    """Insert rows, retrying those whose parents are inserted later.

    Returns how many are rejected in the end.
    """
    left = {name: list(table.rows) for name, table in tables.items()}
    count = sum(map(len, left.values()))
    while count:
        left = {
            name: _put(connection, name, tables[name], rows, there[name])
            for name, rows in left.items()
        }
        now = sum(map(len, left.values()))
        if now == count:
            break
        count = now
    return count


def _put(
    connection: Connection, name: Name, table: _Table, rows: list[Row], there: _Table
) -> list[Row]:
    """Insert rows, all at once if possible; return those that were rejected."""
    columns = [column for column in table.types if column in there.types]
    at = [list(table.types).index(column) for column in columns]
    quote = connection.dialect.identifier_preparer.quote
    values = ", ".join(
        f"CAST(:v{i} AS {there.types[column]})" for i, column in enumerate(columns)
    )
    statement = sa.text(
        f"INSERT INTO {quote(name[0])}.{quote(name[1])} "
        f"({', '.join(map(quote, columns))}) OVERRIDING SYSTEM VALUE VALUES ({values})"
    )
    refused = []
    for part in _parts(rows):
        given = [{f"v{i}": row[j] for i, j in enumerate(at)} for row in part]
        if not _try(connection, statement, given):
            refused += [
                row
                for row, one in zip(part, given, strict=True)
                if not _try(connection, statement, [one])
            ]
    return refused


def _try(connection: Connection, statement: Any, given: list[dict[str, Any]]) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(statement, given)
    except SQLAlchemyError:
        return False
    return True


def _set_sequence(connection: Connection, schema: str, name: str, last: int) -> None:
    """Continue from the real sequence's value, if a sequence of that name exists."""
    quote = connection.dialect.identifier_preparer.quote
    full = f"{quote(schema)}.{quote(name)}"
    query = sa.text("SELECT setval(to_regclass(:name), :last)")
    connection.execute(query, {"name": full, "last": last})


def copy_documents(real: Database[Any], scratch: Database[Any], *, limit: int) -> None:
    """Copy some documents of each collection, byte for byte.

    A collection that the app created, and no revision, is created with its options.
    """
    there = set(scratch.list_collection_names())
    for info in real.list_collections(filter={"type": "collection"}):
        name = info["name"]
        if not is_apps(name):
            continue
        if name not in there:
            scratch.create_collection(name, check_exists=False, **info["options"])
        source = real.get_collection(name, codec_options=_RAW)
        target = scratch.get_collection(name, codec_options=_RAW)
        for part in _parts(list(source.find(limit=limit))):
            target.insert_many(part, bypass_document_validation=True)
