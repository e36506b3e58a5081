"""Translate a partial index's condition to a partialFilterExpression.

There MongoDB accepts equality, $exists: true, $gt to $lte, $type, $in, $and and $or,
and rejects $ne, $not, $nin, $nor and $expr: tried on 6.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...ops.base import NOW
from ...sql import expressions
from ...sql import tokens as sql_tokens
from ..tables.defaults import TODAY, NoValue, value_of
from ..tables.state import TableState
from .context import Context, Untranslatable

Filter = dict[str, Any]

OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
_STATES = {
    "IS TRUE": True,
    "IS FALSE": False,
    "IS NOT TRUE": {"$in": [False, None]},
    "IS NOT FALSE": {"$in": [True, None]},
}


def partial_filter(text: str, table: TableState, context: Context) -> Filter:
    """Return the filter equivalent to an SQL condition.

    Raises Untranslatable if there is none.
    """
    try:
        return _Reader(table, context).read(expressions.parse(text))
    except (sql_tokens.UnknownSql, NoValue) as error:
        raise Untranslatable(f"the condition {text}") from error


def join(filters: Iterable[Filter]) -> Filter:
    """Return one filter that requires all of several."""
    parts = [part for part in filters if part]
    merged: Filter = {}
    for part in parts:
        for key, value in part.items():
            if key not in merged:
                merged[key] = value
            elif not _can_merge(merged[key], value):
                return {"$and": parts}
            else:
                merged[key] = {**merged[key], **value}
    return merged


def _can_merge(one: Any, other: Any) -> bool:
    """Return True if both are operators on a field, and no operator is in both."""
    return (
        isinstance(one, dict) and isinstance(other, dict) and not set(one) & set(other)
    )


class _Reader:
    def __init__(self, table: TableState, context: Context) -> None:
        self._table = table
        self._context = context

    def read(self, expression: expressions.Expr) -> Filter:
        match expression:
            case expressions.Binary("AND", left, right):
                return join([self.read(left), self.read(right)])
            case expressions.Binary("OR", left, right):
                return {"$or": [*self._either(left), *self._either(right)]}
            case expressions.Binary(operator, left, right) if operator in _FLIPPED:
                return self._compare(operator, left, right)
            case expressions.In(value, items):
                return self._in(value, items)
            case expressions.Unary("NOT", value):
                return self._negate(value)
            case expressions.Unary(operator, value) if operator in _STATES:
                return {self._field(value): _STATES[operator]}
            case expressions.Unary("IS NULL", value):
                return {self._field(value): None}
            case expressions.Unary("IS NOT NULL", value):
                return {self._field(value): {"$type": self._bson(value).partial}}
            case expressions.Cast() | expressions.Name() if (
                self._bson(expression).name == "bool"
            ):
                return {self._field(expression): True}
        raise sql_tokens.UnknownSql(str(expression))

    def _either(self, expression: expressions.Expr) -> list[Filter]:
        found = self.read(expression)
        return found["$or"] if list(found) == ["$or"] else [found]

    def _negate(self, expression: expressions.Expr) -> Filter:
        match expression:
            case expressions.Unary("NOT", value):
                return self.read(value)
            case expressions.Unary("IS NULL", value):
                return self.read(expressions.Unary("IS NOT NULL", value))
            case expressions.Unary("IS NOT NULL", value):
                return self.read(expressions.Unary("IS NULL", value))
            case expressions.Binary("AND" | "OR" as word, left, right):
                other = "OR" if word == "AND" else "AND"
                negated = (expressions.Unary("NOT", side) for side in (left, right))
                return self.read(expressions.Binary(other, *negated))
            case expressions.Binary(operator, left, right) if operator in _NEGATED:
                return self._compare(_NEGATED[operator], left, right)
            case expressions.Name() if self._bson(expression).name == "bool":
                return {self._field(expression): False}
        raise sql_tokens.UnknownSql(str(expression))

    def _compare(
        self, operator: str, left: expressions.Expr, right: expressions.Expr
    ) -> Filter:
        if not isinstance(_bare(left), expressions.Name):
            operator, left, right = _FLIPPED[operator], right, left
        field, bson = self._field(left), self._bson(left)
        if bson.name in ("json", "array", "object", "unknown"):
            raise sql_tokens.UnknownSql(field)
        value = self._value(right, left)
        if operator == "=":
            return {field: value}
        if operator in OPERATORS:
            return {field: {OPERATORS[operator]: value}}
        if isinstance(value, bool):
            return {field: not value}
        return {"$or": [{field: {"$lt": value}}, {field: {"$gt": value}}]}

    def _in(
        self, value: expressions.Expr, items: tuple[expressions.Expr, ...]
    ) -> Filter:
        return {self._field(value): {"$in": [self._value(i, value) for i in items]}}

    def _value(self, expression: expressions.Expr, column: expressions.Expr) -> Any:
        value = value_of(expression, self._bson(column))
        if value is None or value is NOW or value is TODAY:
            raise sql_tokens.UnknownSql(str(expression))
        return value

    def _bson(self, expression: expressions.Expr) -> Any:
        return self._context.bson(self._table, self._name(expression))

    def _field(self, expression: expressions.Expr) -> str:
        return self._context.field(self._table, self._name(expression))

    def _name(self, expression: expressions.Expr) -> str:
        bare = _bare(expression)
        if (
            not isinstance(bare, expressions.Name)
            or bare.name not in self._table.columns
        ):
            raise sql_tokens.UnknownSql(str(expression))
        return bare.name


def _bare(expression: expressions.Expr) -> expressions.Expr:
    while isinstance(expression, expressions.Cast):
        expression = expression.value
    return expression
