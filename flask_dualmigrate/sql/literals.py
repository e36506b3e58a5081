"""Statements with their values written out, even if their columns have no type.

SQLAlchemy writes a value according to its column's type. If a script gives no type, as
in sa.column("stock"), or a type without literals, such as JSON, the value decides.
"""

from __future__ import annotations

import copy
import functools
import json
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine


def sql_with_values(element: Any, dialect: Dialect) -> str:
    """Return the SQL of a clause with its values written out.

    Raises SQLAlchemy's CompileError for a value that cannot be written in SQL.
    """
    writing = copy.copy(dialect)
    write_values(writing)
    return str(element.compile(dialect=writing, compile_kwargs={"literal_binds": True}))


def write_values(dialect: Dialect) -> None:
    """Make a dialect write out all values when it is asked for literals."""
    dialect.statement_compiler = _writing(dialect.statement_compiler)  # type: ignore[arg-type]


@functools.cache
def _writing(compiler: type[SQLCompiler]) -> type[SQLCompiler]:
    class Writing(compiler):  # type: ignore[valid-type,misc]
        def render_literal_value(self, value: Any, type_: TypeEngine[Any]) -> Any:
            if not _has_words(type_, self.dialect):
                type_, value = _by_value(type_, value)
            return super().render_literal_value(value, type_)

    return Writing


def _has_words(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    try:
        return type_.dialect_impl(dialect).literal_processor(dialect) is not None
    except NotImplementedError:
        return False


def _by_value(type_: TypeEngine[Any], value: Any) -> tuple[TypeEngine[Any], Any]:
    """Return a type that can write a value out, and the value to give it.

    JSON becomes a string that the server parses.
    """
    if isinstance(type_, sa.JSON):
        try:
            return sa.Text(), json.dumps(value)
        except (TypeError, ValueError) as error:
            raise sa.exc.CompileError(f"It is not valid JSON: {error}") from error
    if isinstance(value, Decimal):
        return sa.Numeric(), value
    inferred = sa.literal(value).type
    return (type_ if isinstance(inferred, sa.types.NullType) else inferred), value
