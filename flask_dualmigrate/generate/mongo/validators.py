"""The collections' validators, derived from the tables' columns and checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import types as sa

from ...ops import (
    AddField,
    ConvertField,
    CreateCollection,
    DropCollection,
    DropField,
    RenameCollection,
    RenameField,
    SetValidator,
    Update,
)
from ...sql import expressions
from ...sql import tokens as sql_tokens
from ..tables.state import ColumnState, Schema, TableState
from ..tables.types import JSON, UNKNOWN, Bson, plain_type
from .context import Context, Untranslatable
from .predicates import OPERATORS, Filter, partial_filter
from .source import Statement

LEVEL = "moderate"
"""Documents that do not fit when the validator is set can still be updated."""

_WRITES = (AddField, ConvertField, DropField, RenameField, Update)


def validator_changes(
    statements: list[Statement], before: Schema, after: Schema, context: Context
) -> list[Statement]:
    """Return statements, adding those that set changed validators.

    If documents are rewritten, the old validator is removed first: halfway through,
    they match neither.
    """
    if context.validators == "off":
        return statements
    old, new = _validators(before, context), _validators(after, context)
    for statement in statements:
        if isinstance(statement, RenameCollection):
            old[statement.new_name] = old.pop(statement.collection, None)
        elif isinstance(statement, CreateCollection | DropCollection):
            old.pop(statement.collection, None)
    first: list[Statement] = []
    last: list[Statement] = []
    for collection, validator in new.items():
        if old.get(collection) == validator:
            continue
        if old.get(collection) is not None and _is_written(collection, statements):
            first.append(SetValidator(collection, None))
        last.append(
            SetValidator(collection, validator, level=LEVEL, action=context.validators)
        )
    return [*first, *statements, *last]


def _is_written(collection: str, statements: list[Statement]) -> bool:
    return any(
        isinstance(item, _WRITES) and item.collection == collection
        for item in statements
    )


def _validators(schema: Schema, context: Context) -> dict[str, Filter | None]:
    found: dict[str, Filter | None] = {}
    for table in schema.values():
        try:
            collection = context.collection(table.name)
        except Untranslatable:
            continue
        if collection is not None:
            found[collection] = validator_of(table, context)
    return found


def validator_of(table: TableState, context: Context) -> Filter:
    """Return the validator of a table's collection."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for column in table.columns.values():
        try:
            field = context.field(table, column.name)
        except Untranslatable:
            continue
        # The server checks _id; a dotted field is inside another document.
        if field == "_id" or "." in field:
            continue
        rule = _property(column, context)
        if rule:
            properties[field] = rule
        if not column.nullable and column.server_default is None:
            required.append(field)
    schema: dict[str, Any] = {"bsonType": "object"}
    if required:
        schema["required"] = required
    schema["properties"] = properties
    checks = list(_checks(table, context))
    if not checks:
        return {"$jsonSchema": schema}
    return {"$and": [{"$jsonSchema": schema}, *checks]}


def _property(column: ColumnState, context: Context) -> dict[str, Any]:
    bson = context.bson_of(column.type_)
    rule = _rule(bson, nullable=column.nullable)
    plain = plain_type(column.type_, context.dialect)
    if isinstance(plain, sa.Enum):
        rule["enum"] = [*plain.enums, *([None] if column.nullable else [])]
    elif isinstance(plain, sa.String) and plain.length is not None:
        rule["maxLength"] = plain.length
    if bson.item is not None and bson.item != UNKNOWN:
        rule["items"] = _rule(bson.item, nullable=True)
    return rule


def _rule(bson: Bson, *, nullable: bool) -> dict[str, Any]:
    if bson in (JSON, UNKNOWN):
        return {} if nullable else {"not": {"bsonType": "null"}}
    aliases = [*bson.aliases, *(["null"] if nullable else [])]
    return {"bsonType": aliases[0] if len(aliases) == 1 else aliases}


def _checks(table: TableState, context: Context) -> Iterator[Filter]:
    for text in table.checks.values():
        try:
            yield check_filter(text, table, context)
        except Untranslatable:
            continue


def check_filter(text: str, table: TableState, context: Context) -> Filter:
    """Return the filter equivalent to a check; like the check, it lets nulls pass.

    Raises Untranslatable if there is none.
    """
    try:
        condition = _compare_columns(text, table, context)
    except sql_tokens.UnknownSql as error:
        raise Untranslatable(text) from error
    condition = condition or partial_filter(text, table, context)
    nullable = [
        {context.field(table, column.name): None}
        for column in table.columns.values()
        if column.nullable and sql_tokens.mentions(text, column.name)
    ]
    return {"$or": [condition, *nullable]} if nullable else condition


def _compare_columns(text: str, table: TableState, context: Context) -> Filter | None:
    """Return the filter of a check that compares one column with another."""
    match expressions.parse(text):
        case expressions.Binary(operator, left, right):
            names = [expressions.bare(side) for side in (left, right)]
        case _:
            return None
    fields = [
        f"${context.field(table, name.name)}"
        for name in names
        if isinstance(name, expressions.Name) and name.name in table.columns
    ]
    operators = {**OPERATORS, "=": "$eq", "<>": "$ne"}
    if len(fields) < 2 or operator not in operators:
        return None
    return {"$expr": {operators[operator]: fields}}
