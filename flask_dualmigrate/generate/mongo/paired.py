"""The fields that correspond to a table's columns, and the types they may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Table
from sqlalchemy.engine import Dialect

from ..tables.types import JSON, UNKNOWN, bson_type
from .naming import Naming


@dataclass(frozen=True)
class Paired:
    """A column and its field. types: BSON aliases of its values; None: any."""

    column: str
    field: str
    types: frozenset[str] | None


def paired_fields(table: Table, naming: Naming, dialect: Dialect) -> Iterator[Paired]:
    """Yield the pairs of a table that has a collection.

    An `_id` may have any type: an app may let MongoDB generate it.
    """
    key = tuple(column.name for column in table.primary_key)
    for column in table.columns:
        field = naming.field(table.fullname, column.name, primary_key=key)
        bson = bson_type(column.type, dialect)
        is_free = field == "_id" or bson in (JSON, UNKNOWN)
        yield Paired(column.name, field, None if is_free else frozenset(bson.aliases))
