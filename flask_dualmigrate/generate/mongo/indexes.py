"""Derive MongoDB's indexes from a table's state, without I/O.

The translator compares the indexes before and after each change of the tables, and
writes the difference. So whatever else PostgreSQL does to indexes (a rename keeps them,
dropping a column drops them, NOT NULL changes what a unique index covers) needs no
rule of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...ops.indexes import Keys
from ...sql import expressions
from ...sql import tokens as sql_tokens
from ..tables.state import IndexState, Key, TableState
from .context import Context, Untranslatable
from .predicates import Filter, join, partial_filter

_PLAIN_METHODS = ("btree", "hash", "brin")
_NO_CASE = {"locale": "en", "strength": 2}


@dataclass(frozen=True)
class Spec:
    """An index for MongoDB; notes: comments that go with it."""

    keys: Keys
    options: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def signature(self) -> str:
        """What makes MongoDB see it as the same index, whatever its name (error 85)."""
        return json.dumps([self.keys, self.options], sort_keys=True, default=repr)


@dataclass(frozen=True)
class Covered:
    """An index that MongoDB already has, under another name."""

    text: str


@dataclass(frozen=True)
class Unknown:
    """An index that a person must write."""

    text: str


Projected = Spec | Covered | Unknown


def project(table: TableState, context: Context) -> dict[str, Projected]:
    """Return the indexes of a table's collection, by name."""
    found: dict[str, Projected] = {}
    kept: dict[str, str] = {}
    for name in sorted(table.indexes):
        projected = _project(table.indexes[name], table, context)
        if isinstance(projected, Spec):
            # MongoDB accepts an index under one name only: the first of twins is kept.
            twin = kept.setdefault(projected.signature, name)
            if twin != name:
                projected = Covered(
                    f"Index {name} is {twin} under another name: "
                    "MongoDB keeps only one."
                )
        found[name] = projected
    return found


def _project(index: IndexState, table: TableState, context: Context) -> Projected:
    if index.is_primary_key and _is_id(index, table, context):
        return Covered("")
    try:
        return _spec(index, table, context)
    except Untranslatable as error:
        return Unknown(f"Index {index.name} of {table.name}: {error}")


def _is_id(index: IndexState, table: TableState, context: Context) -> bool:
    names = [
        context.naming.field(table.name, column, primary_key=table.primary_key)
        for column in index.columns
    ]
    return names == ["_id"]


def _spec(index: IndexState, table: TableState, context: Context) -> Projected:
    if index.method == "gin":
        keys: Keys = (_gin_key(index, table, context),)
        return Spec(keys, _options(index, table, context, {}), _notes(index))
    if index.method not in _PLAIN_METHODS:
        raise Untranslatable(f"a {index.method} index has no counterpart in MongoDB")
    keys = tuple(_plain_key(key, table, context) for key in index.keys)
    if [name for name, _ in keys] == ["_id"]:
        return Covered(f"Index {index.name}: the _id already has an index.")
    if len({name for name, _ in keys}) < len(keys):
        raise Untranslatable("it contains a field twice")
    if index.name == "*":
        raise Untranslatable("MongoDB does not accept * as an index name")
    options, notes = _collation(index, table, context)
    _check_arrays(index, table, context)
    return Spec(keys, _options(index, table, context, options), notes + _notes(index))


def _plain_key(key: Key, table: TableState, context: Context) -> tuple[str, int]:
    way = -1 if key.descending else 1
    if key.column is not None:
        return context.field(table, key.column), way
    column = _folded_column(key)
    if column is not None:
        return context.field(table, column), way
    path = _json_path(key, table)
    if path is None:
        raise Untranslatable(f"it is on the expression {key.expression}")
    return ".".join((context.field(table, path[0]), *path[1:])), way


def _folded_column(key: Key) -> str | None:
    """Return the column of `lower(column)` or `upper(column)`."""
    match _parsed(key):
        case expressions.Call("lower" | "upper", (value,)):
            bare = _bare(value)
            return bare.name if isinstance(bare, expressions.Name) else None
    return None


def _json_path(key: Key, table: TableState) -> tuple[str, ...] | None:
    """Return the column and keys of `column -> 'a' ->> 'b'`."""
    return _path(_parsed(key), table)


def _path(
    expression: expressions.Expr | None, table: TableState
) -> tuple[str, ...] | None:
    match expression:
        case expressions.Cast(value, _):
            return _path(value, table)
        case expressions.Name(name) if name in table.columns:
            return (name,)
        case expressions.Binary("->" | "->>", left, right):
            head, last = _path(left, table), _bare(right)
            if head is None or not isinstance(last, expressions.Text):
                return None
            safe = last.value and "." not in last.value and last.value[0] != "$"
            return (*head, last.value) if safe else None
    return None


def _parsed(key: Key) -> expressions.Expr | None:
    try:
        return expressions.parse(key.expression or "")
    except sql_tokens.UnknownSql:
        return None


def _bare(expression: expressions.Expr) -> expressions.Expr:
    while isinstance(expression, expressions.Cast):
        expression = expression.value
    return expression


def _collation(
    index: IndexState, table: TableState, context: Context
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of a case-insensitive index."""
    folded = [key for key in index.keys if _folded_column(key) is not None]
    if not folded:
        return {}, ()
    others = [key.column for key in index.keys if key.column is not None]
    texts = [name for name in others if context.bson(table, name).name == "string"]
    if index.unique and texts:
        raise Untranslatable(
            "MongoDB ignores case either in all fields of an index or in none"
        )
    note = (
        f"Index {index.name} ignores case; only queries with the collation "
        f"{json.dumps(_NO_CASE)} use it."
    )
    return {"collation": dict(_NO_CASE)}, (note,)


def _check_arrays(index: IndexState, table: TableState, context: Context) -> None:
    arrays = [c for c in index.columns if context.bson(table, c).name == "array"]
    if arrays and index.unique:
        raise Untranslatable("a unique index on an array applies to each of its items")
    if len(arrays) > 1:
        raise Untranslatable("MongoDB can index only one array field of a document")


def _gin_key(index: IndexState, table: TableState, context: Context) -> tuple[str, int]:
    if len(index.keys) != 1 or index.keys[0].column is None:
        raise Untranslatable("a gin index on several columns or an expression")
    key = index.keys[0]
    column = str(key.column)
    match context.bson(table, column).name:
        case "array":
            return context.field(table, column), 1
        case "json" | "object":
            return context.field(table, column) + ".$**", 1
    raise Untranslatable(
        f'a gin index on {column}; for text search MongoDB has [("{column}", "text")]'
    )


def _options(
    index: IndexState, table: TableState, context: Context, options: dict[str, Any]
) -> dict[str, Any]:
    """Return an index's options: unique, collation, partialFilterExpression."""
    found: dict[str, Any] = {"unique": True} if index.unique else {}
    found.update(options)
    filters: list[Filter] = []
    if index.where is not None:
        filters.append(partial_filter(index.where, table, context))
    if index.unique and not index.nulls_not_distinct:
        filters += _not_null(index, table, context, filters)
    if filters:
        found["partialFilterExpression"] = join(filters)
    return found


def _not_null(
    index: IndexState, table: TableState, context: Context, filters: list[Filter]
) -> list[Filter]:
    """Return the filter that leaves nulls out, because PostgreSQL allows many of them.

    In MongoDB a missing field counts as null, so the index covers a $type instead.
    """
    found: list[Filter] = []
    for key in index.keys:
        column = key.column or _folded_column(key)
        if column is None:
            raise Untranslatable(f"it is unique on {key.expression}, which can be null")
        state = table.columns.get(column)
        if state is None or not state.nullable:
            continue
        name = context.field(table, column)
        if not any(_excludes_null(part.get(name)) for part in filters):
            found.append({name: {"$type": context.bson(table, column).partial}})
    return found


def _excludes_null(condition: Any) -> bool:
    if isinstance(condition, dict):
        return not set(condition) <= {"$in"} or None not in condition["$in"]
    return condition is not None


def _notes(index: IndexState) -> tuple[str, ...]:
    notes = []
    if index.ignored:
        words = ", ".join(index.ignored)
        notes.append(f"Index {index.name}: MongoDB has no {words}.")
    if index.method not in ("btree", "gin"):
        notes.append(f"Index {index.name} is {index.method} in PostgreSQL.")
    opclasses = sorted({key.opclass for key in index.keys if key.opclass})
    if opclasses:
        words = ", ".join(opclasses)
        notes.append(f"Index {index.name}: MongoDB has no operator classes ({words}).")
    return tuple(notes)
