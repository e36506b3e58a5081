"""Raw SQL in a script: what MongoDB does not need, and what it can also do."""

from __future__ import annotations

from typing import Any

from alembic.operations import ops
from sqlalchemy.exc import CompileError

from ...ops import NOW, Delete, Insert, Todo, Update
from ...sql import expressions
from ...sql import statements as sql_statements
from ...sql import tokens as sql_tokens
from ...sql.literals import sql_with_values
from ...sql.words import Words
from ..tables.defaults import TODAY, NoValue, python_value, server_value, value_of
from ..tables.state import Schema, TableState, full_name
from .context import Context, Untranslatable
from .predicates import partial_filter
from .source import Comment, Statement

_NOT_FOR_MONGO = frozenset(
    {"COMMENT", "GRANT", "REVOKE", "SET", "RESET", "ANALYZE", "VACUUM", "LOCK"}
    | {"REINDEX"}
    | {
        f"{verb} {object_}"
        for verb in ("CREATE", "DROP", "ALTER")
        for object_ in (
            *("TYPE", "EXTENSION", "SCHEMA", "SEQUENCE", "DOMAIN", "ROLE", "USER"),
            *("POLICY", "COLLATION", "STATISTICS", "PUBLICATION", "DEFAULT PRIVILEGES"),
        )
    }
)


def translate_sql(text: Any, schema: Schema, context: Context) -> list[Statement]:
    """Return what SQL amounts to: operations and comments, or one todo."""
    sql = _text_of(text, context).strip().rstrip(";").strip()
    try:
        found = [
            _translated(each, schema, context)
            for each in sql_statements.statements(sql)
        ]
    except (Untranslatable, NoValue, ValueError, IndexError):
        return [Todo(f"Write the equivalent of the SQL: {sql}")]
    return found


def _translated(
    statement: sql_statements.Statement, schema: Schema, context: Context
) -> Statement:
    if statement.kind in _NOT_FOR_MONGO or _sets(statement):
        return Comment(f"{statement.text}: nothing to do in MongoDB.")
    if statement.kind not in ("UPDATE", "DELETE") or statement.options & {"ONLY"}:
        raise sql_tokens.UnknownSql(statement.text)
    table = schema.get(".".join(filter(None, statement.target)))
    if table is None:
        raise sql_tokens.UnknownSql(statement.text)
    collection = context.collection(table.name)
    if collection is None:
        return Comment(f"Table {table.name} has no Mongo side.")
    rest = statement.rest
    if statement.verb == "DELETE":
        return Delete(collection, _where(rest, table, context))
    if not rest.accept("SET"):
        raise sql_tokens.UnknownSql(statement.text)
    values = dict(_assignments(rest.until("WHERE"), table, context))
    where = _where(rest, table, context)
    return Update(collection, where, {"$set": values}, keep=True)


def _sets(statement: sql_statements.Statement) -> bool:
    """Return whether it calls a function that sets a counter or a session setting."""
    rest = statement.rest
    if statement.kind != "SELECT" or not rest.next.isidentifier():
        return False
    return rest.name() in _SETTERS and rest.next == "("


_SETTERS = {
    (schema, name)
    for schema in (None, "pg_catalog")
    for name in ("setval", "set_config")
}


def insert_rows(
    op: ops.BulkInsertOp, schema: Schema, context: Context
) -> list[Statement]:
    """Return what `op.bulk_insert(table, rows)` amounts to."""
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
    except CompileError:  # a value without an SQL literal: use a placeholder
        return str(text.compile(dialect=context.dialect))


def _where(rest: Words, table: TableState, context: Context) -> dict[str, Any]:
    """Read what is left of a statement: nothing, or WHERE and a condition."""
    if not rest.text:
        return {}
    if not rest.accept("WHERE"):
        raise sql_tokens.UnknownSql(rest.text)
    return partial_filter(rest.text, table, context)


def _assignments(
    words: Words, table: TableState, context: Context
) -> list[tuple[str, Any]]:
    found = []
    for part in words.split(","):
        left, _, right = part.text.partition("=")
        name = expressions.parse(left)
        if not isinstance(name, expressions.Name) or name.name not in table.columns:
            raise sql_tokens.UnknownSql(left)
        field = context.field(table, name.name)
        value = _value(right.strip(), table, name.name, context)
        if field == "_id" or value is NOW or value is TODAY:
            raise sql_tokens.UnknownSql(right)
        found.append((field, value))
    return found


def _value(text: str, table: TableState, column: str, context: Context) -> Any:
    state = table.columns[column]
    if text.upper() == "DEFAULT":
        return server_value(state.server_default, state.type_, context.dialect)
    return value_of(expressions.parse(text), context.bson(table, column))
