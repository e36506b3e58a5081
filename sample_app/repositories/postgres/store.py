"""What the PostgreSQL repositories have in common: transactions, rows as entities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask_sqlalchemy.session import Session
from psycopg.errors import UniqueViolation
from sqlalchemy import Index, Select, Table, UniqueConstraint, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import scoped_session

from ... import models
from ...entities import Log, Page, Slice, values_of
from ...errors import ConflictError, InvalidInputError, NotFoundError
from ...extensions import Base

Entity = TypeVar("Entity")


class Store:
    """The session of the running request, and what is done with it."""

    def __init__(self, session: scoped_session[Session]) -> None:
        self.session = session

    @contextmanager
    def transaction(self, *, by: str | None) -> Iterator[None]:
        """Commit what the block does, or nothing of it.

        Raises ConflictError for a constraint that it breaks, and InvalidInputError
        when there is no user `by`.
        """
        try:
            self.require("by", models.User, by)
            yield
            self.session.commit()
        except IntegrityError as error:
            self.session.rollback()
            raise conflict(error) from error
        except BaseException:
            self.session.rollback()
            raise

    def insert(self, model: type[Base], entity: Any) -> None:
        """Insert an entity; the model has a column for each of its fields."""
        self.session.execute(insert(model).values(values_of(entity)))

    def log(self, entry: Log) -> None:
        """Write a log entry; only ever inside a `transaction`."""
        self.insert(models.Log, entry)

    def exists(self, model: type[Base], id: str) -> bool:
        """Say whether a row has this id."""
        table = table_of(model)
        found = select(table.c.id).where(table.c.id == id)
        return self.session.scalar(found) is not None

    def require(self, field: str, model: type[Base], id: str | None) -> None:
        """Raise InvalidInputError if `id`, the value of `field`, names nothing."""
        if id is not None and not self.exists(model, id):
            raise InvalidInputError(field, f"there is no such id: {id!r}")

    def demand(self, kind: str, model: type[Base], id: str) -> None:
        """Raise NotFoundError if no row has this id."""
        if not self.exists(model, id):
            raise NotFoundError(kind, id)

    def entities(self, kind: type[Entity], query: Select[Any]) -> list[Entity]:
        """Run a query, and return its rows as entities of one kind."""
        return [entity(kind, row) for row in self.session.execute(query).mappings()]

    def page(
        self, kind: type[Entity], query: Select[Any], part: Slice | None
    ) -> Page[Entity]:
        """Return a part of what a query finds, and the number of all it finds."""
        part = part or Slice()
        count = select(func.count()).select_from(query.order_by(None).subquery())
        rows = query.limit(part.limit).offset(part.offset)
        return Page(self.entities(kind, rows), self.session.scalar(count) or 0)


def table_of(model: type[Base]) -> Table:
    """Return a model's table. Rows are read from it, so no object is ever stale."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


def entity(kind: type[Entity], row: Mapping[Any, Any]) -> Entity:
    """Make an entity of a row; columns that it has no field for are left out."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: from_column(row[name]) for name in names})


def from_column(value: Any) -> Any:
    """Return a column's value; a time comes in the connection's zone, not in UTC."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def conflict(error: IntegrityError) -> ConflictError:
    """Say which value is taken; a broken foreign key is a row deleted meanwhile."""
    cause = error.orig
    if not isinstance(cause, UniqueViolation):
        return ConflictError("It refers to something that is no longer there.")
    fields = ", ".join(columns_of(cause.diag.constraint_name))
    return ConflictError(f"There is one with the same {fields}.", field=fields)


def columns_of(constraint_name: str | None) -> list[str]:
    """Return the columns of a unique constraint or index of the models."""
    for table in Base.metadata.tables.values():
        for rule in (*table.constraints, *table.indexes):
            if not isinstance(rule, (UniqueConstraint, Index)):
                continue
            if rule.name == constraint_name:
                return [column.name for column in rule.columns]
    return [str(constraint_name)]
