"""SQL that a script runs by hand: what MongoDB needs not, and what it can do too."""

from __future__ import annotations

import re
from typing import Any

from alembic.operations import ops
from sqlalchemy.exc import CompileError

from ...ops import NOW, Delete, Insert, Todo, Update
from ...sql import expressions
from ...sql import tokens as sql_tokens
from ...sql.literals import sql_with_values
from ...sql.statements import NAME, at_commas
from ..tables.defaults import TODAY, NoValue, python_value, server_value, value_of
from ..tables.state import Schema, TableState, full_name
from .context import Context, Untranslatable
from .predicates import partial_filter
from .source import Comment, Statement

_NOT_FOR_MONGO = re.compile(
    r"""
    (?:create|drop|alter)\s+(?:type|extension|schema|sequence|domain|role|user|policy|
        collation|statistics|publication|default\s+privileges)\b
    | comment\s+on\b | grant\b | revoke\b | set\b | reset\b | analyze\b | vacuum\b
    | lock\s+table\b | reindex\b | select\s+(?:pg_catalog\.)?(?:setval|set_config)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_UPDATE = re.compile(
    rf"UPDATE\s+(?P<table>{NAME})\s+SET\s+(?P<set>.+?)(?:\s+WHERE\s+(?P<where>.+))?",
    re.IGNORECASE | re.DOTALL,
)
_DELETE = re.compile(
    rf"DELETE\s+FROM\s+(?P<table>{NAME})(?:\s+WHERE\s+(?P<where>.+))?",
    re.IGNORECASE | re.DOTALL,
)


def translate_sql(text: Any, schema: Schema, context: Context) -> list[Statement]:
    """Return what a statement comes to: operations, a comment, or a todo."""
    statement = _text_of(text, context).strip().rstrip(";").strip()
    if _NOT_FOR_MONGO.match(statement):
        return [Comment(f"{statement}: nothing to do in MongoDB.")]
    try:
        for pattern, translate in ((_UPDATE, _update), (_DELETE, _delete)):
            match = pattern.fullmatch(statement)
            if match is not None:
                return translate(match, schema, context)
    except (Untranslatable, NoValue, sql_tokens.UnknownSql):
        pass
    return [Todo(f"Write the equivalent of the SQL: {statement}")]


def insert_rows(
    op: ops.BulkInsertOp, schema: Schema, context: Context
) -> list[Statement]:
    """Return what `op.bulk_insert(table, rows)` comes to."""
    name = full_name(op.table.name, getattr(op.table, "schema", None), context.dialect)
    table = schema.get(name, TableState(name))
    collection = context.collection(name)
    if collection is None:
        return [Comment(f"Table {name} has no Mongo side.")]
    try:
        documents = tuple(_document(dict(row), table, context) for row in op.rows)
    except (Untranslatable, NoValue):
        return [Todo(f"Insert the {len(op.rows)} rows of {name} into {collection}.")]
    return [Insert(collection, documents)] if documents else []


def _document(
    row: dict[str, Any], table: TableState, context: Context
) -> dict[str, Any]:
    return {
        context.field(table, column): python_value(value, context.bson(table, column))
        for column, value in row.items()
    }


def _text_of(text: Any, context: Context) -> str:
    if isinstance(text, str):
        return text.replace("\\:", ":")
    try:
        return sql_with_values(text, context.dialect)
    except CompileError:  # a value that SQL has no words for: a place-holder stands
        return str(text.compile(dialect=context.dialect))


def _update(match: re.Match[str], schema: Schema, context: Context) -> list[Statement]:
    """Translate `UPDATE t SET a = 1, b = 'x' WHERE …`."""
    table = _table(match["table"], schema)
    collection = context.collection(table.name)
    if collection is None:
        return [Comment(f"Table {table.name} has no Mongo side.")]
    values = dict(_assignments(match["set"], table, context))
    where = _where(match["where"], table, context)
    return [Update(collection, where, {"$set": values}, keep=True)]


def _delete(match: re.Match[str], schema: Schema, context: Context) -> list[Statement]:
    """Translate `DELETE FROM t WHERE …`."""
    table = _table(match["table"], schema)
    collection = context.collection(table.name)
    if collection is None:
        return [Comment(f"Table {table.name} has no Mongo side.")]
    return [Delete(collection, _where(match["where"], table, context))]


def _table(name: str, schema: Schema) -> TableState:
    parts = [
        sql_tokens.identifier(token)
        for token in sql_tokens.known_tokens(name)
        if token.text != "."
    ]
    table = schema.get(".".join(part for part in parts if part))
    if table is None:
        raise sql_tokens.UnknownSql(name)
    return table


def _where(text: str | None, table: TableState, context: Context) -> dict[str, Any]:
    return partial_filter(text, table, context) if text else {}


def _assignments(
    text: str, table: TableState, context: Context
) -> list[tuple[str, Any]]:
    found = []
    for part in at_commas(text):
        left, _, right = part.partition("=")
        name = expressions.parse(left)
        if not isinstance(name, expressions.Name) or name.name not in table.columns:
            raise sql_tokens.UnknownSql(part)
        field = context.field(table, name.name)
        value = _value(right.strip(), table, name.name, context)
        if field == "_id" or value is NOW or value is TODAY:
            raise sql_tokens.UnknownSql(part)
        found.append((field, value))
    return found


def _value(text: str, table: TableState, column: str, context: Context) -> Any:
    state = table.columns[column]
    if text.upper() == "DEFAULT":
        return server_value(state.server_default, state.type_, context.dialect)
    return value_of(expressions.parse(text), context.bson(table, column))
