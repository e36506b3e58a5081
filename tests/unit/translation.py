"""Translates Alembic's operations, and gives the body of the Mongo script."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import Any

from alembic.operations.ops import MigrateOperation
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.dialects.postgresql.base import PGDialect

from flask_dualmigrate.generate import Header, Naming
from flask_dualmigrate.generate.mongo.context import Context
from flask_dualmigrate.generate.mongo.source import render_mongo
from flask_dualmigrate.generate.mongo.translate import translate
from flask_dualmigrate.generate.tables.state import schema_of
from flask_dualmigrate.ops import MongoOperations, Operation

HEADER = Header("abc", (), (), (), "a step", datetime(2026, 1, 2, tzinfo=UTC))


def dialect() -> Any:
    make: Any = PGDialect
    return make(paramstyle="named")


def table(name: str, *parts: Any, **options: Any) -> Table:
    """Return a table with a primary key `id` and these columns and constraints."""
    return Table(
        name, MetaData(), Column("id", Integer, primary_key=True), *parts, **options
    )


def context(**settings: Any) -> Context:
    naming = Naming(settings.pop("collections", None), settings.pop("fields", None))
    return Context(naming, dialect(), **settings)


def source(*operations: MigrateOperation, before: Any = (), **settings: Any) -> str:
    """Return the Mongo script of an upgrade.

    before: the tables that the operations find; settings: collections, fields, and
    those of Context.
    """
    found = schema_of(before, dialect())
    statements, _ = translate(operations, found, context(**settings))
    return render_mongo(HEADER, statements, ())


def body(*operations: MigrateOperation, before: Any = (), **settings: Any) -> str:
    """Return what stands in upgrade(op), without its indentation."""
    text = source(*operations, before=before, **settings)
    inner = text.partition("def upgrade(op):\n")[2].partition("\n\n\ndef downgrade")[0]
    return textwrap.dedent(inner)


def recorded(text: str, function: str = "upgrade") -> tuple[Operation, ...]:
    """Return the operations that a Mongo script records."""
    namespace: dict[str, Any] = {}
    exec(compile(text, "script", "exec"), namespace)
    op = MongoOperations()
    namespace[function](op)
    return op.operations
