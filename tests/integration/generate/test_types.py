"""Operations and types that are not Alembic's and SQLAlchemy's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate.rewriter import Rewriter
from alembic.operations import ops
from sqlalchemy import Column, MetaData, Table

from flask_dualmigrate import UsageError
from tests.support.generate.generated import pair, run


class As(sa.types.TypeDecorator[Any]):
    """JSON as an object of a class; its repr lacks the class."""

    impl = sa.JSON
    cache_ok = True

    def __init__(self, model: type) -> None:
        self.model = model
        super().__init__()


class NoPython(As):
    def __repr__(self) -> str:
        return f"NoPython({self.model})"


class Plain(sa.types.TypeDecorator[Any]):
    impl = sa.String(7)
    cache_ok = True


class Point(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "POINT"

    def __repr__(self) -> str:
        return "<a point>"


def people(type_: Any) -> MetaData:
    metadata = MetaData()
    key = Column("id", sa.Integer, primary_key=True)
    Table("people", metadata, key, Column("home", type_))
    return metadata


@pytest.mark.parametrize("kind", [As, NoPython])
def test_a_type_that_cannot_be_written_is_written_as_what_is_behind_it(
    kind: Any, engine: sa.Engine
) -> None:
    made = pair(engine, people(kind(dict)))
    assert f"# people.home is of {kind.__module__}.{kind.__name__}, whose" in " ".join(
        made.postgres.split()
    )
    assert "JSON(" in made.postgres
    run(engine, made.postgres)
    assert pair(engine, people(kind(dict))).empty


def test_a_type_that_can_be_written_is_written(engine: sa.Engine) -> None:
    made = pair(engine, people(Plain()))
    assert f"{Plain.__module__}.Plain(length=7)" in made.postgres
    assert "#" not in made.postgres


def test_a_type_with_nothing_behind_it_is_named_with_its_column(
    engine: sa.Engine,
) -> None:
    with pytest.raises(UsageError, match=r"Point, the type of people.home, cannot"):
        pair(engine, people(Point()))


class MarkedTableOp(ops.CreateTableOp):
    """A table with something around it."""


def test_an_operation_of_a_subclass_is_what_it_is(engine: sa.Engine) -> None:
    writer = Rewriter()

    @writer.rewrites(ops.CreateTableOp)
    def mark(_: Any, __: Any, op: ops.CreateTableOp) -> ops.CreateTableOp:
        return MarkedTableOp(op.table_name, op.columns)

    options = {"process_revision_directives": writer}
    made = pair(engine, people(sa.Text), options=options)
    assert made.detected == ("add table people",)
    assert 'op.create_collection("people")' in made.mongo
    assert "todo" not in made.mongo


class CreateOp(ops.MigrateOperation):
    """An entity appears, as alembic_utils says it."""

    def __init__(self) -> None:
        self.target = SimpleNamespace(
            schema="public",
            signature="names",
            type_="materialized_view",
            to_sql_statement_create=lambda: None,
        )


def test_an_entity_is_named_and_stops_nobody(engine: sa.Engine) -> None:
    from alembic.autogenerate import renderers

    @renderers.dispatch_for(CreateOp)
    def render(_: Any, op: CreateOp) -> str:
        return "op.execute('SELECT 1')"

    def add(_: Any, __: Any, directives: Any) -> None:
        directives[0].upgrade_ops.ops.append(CreateOp())

    options = {"process_revision_directives": add}
    made = pair(engine, people(sa.Text), options=options)
    assert "add materialized view public.names" in made.detected
    assert "# MongoDB has none of these" in made.mongo
    assert "todo" not in made.mongo
