"""Enum types that another package's operations handle: they are left to it.

Such a package adds comparators to Alembic for the whole process; its operations name
the type and its labels. With ours as well, each type would be created twice.
Source: alembic-postgresql-enum, alembic-autogenerate-enums.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import Dialect

from .enums import EnumType

_LABELS = ("enum_values", "new_values")


def enum_of_another(op: Any, dialect: Dialect) -> EnumType | None:
    """Return the enum type that an operation of another package is about."""
    name, schema = getattr(op, "name", None), getattr(op, "schema", None)
    labels = next((getattr(op, each) for each in _LABELS if hasattr(op, each)), None)
    if not isinstance(name, str) or labels is None:
        return None
    default = schema == dialect.default_schema_name
    return EnumType(None if default else schema, name, tuple(map(str, labels)))


def enums_of_others(operations: Iterable[Any], dialect: Dialect) -> frozenset[EnumType]:
    """Return the enum types that operations of another package are about."""
    found = (enum_of_another(op, dialect) for op in operations)
    return frozenset(enum for enum in found if enum is not None)


def words_of_another(op: Any, dialect: Dialect) -> str | None:
    """Return in words what such an operation does; None if it is not one."""
    enum = enum_of_another(op, dialect)
    if enum is None:
        return None
    name = type(op).__name__
    verb = {"CreateEnumOp": "add", "DropEnumOp": "remove"}.get(name, "change labels of")
    return f"{verb} enum {enum.sql_name(dialect)}"
