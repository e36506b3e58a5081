"""Enum types that another package's comparator sees to are made once, by its script."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, renderers
from alembic.operations import ops
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import downgrade, init, revision, upgrade
from flask_dualmigrate.generate.alembic import propose
from tests.integration.conftest import MakeApp, Tree


class EnumOp(ops.MigrateOperation):
    """What such packages have: a schema, a name, labels."""

    sql = ""

    def __init__(self, *labels: str) -> None:
        self.schema, self.name, self.enum_values = "public", "mood", labels


class CreateEnumOp(EnumOp):
    sql = "CREATE TYPE mood AS ENUM ('sad')"


class DropEnumOp(EnumOp):
    sql = "DROP TYPE mood"


class SyncEnumOp(EnumOp):
    sql = "ALTER TYPE mood ADD VALUE 'fine'"


@renderers.dispatch_for(EnumOp)
def render(_: Any, op: EnumOp) -> str:
    return f"op.execute({op.sql!r})"


def models(*labels: str) -> SQLAlchemy:
    db = SQLAlchemy()
    sa.Table(
        "item",
        db.metadata,
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("mood", sa.Enum(*labels, name="mood")),
    )
    return db


def compared(
    monkeypatch: pytest.MonkeyPatch,
    up: EnumOp,
    down: EnumOp | None = None,
) -> None:
    """Let Alembic's comparison find these too, as a comparator would add them."""

    def with_others(*args: Any) -> ops.MigrationScript:
        script = produce_migrations(*args)
        assert script.upgrade_ops is not None
        assert script.downgrade_ops is not None
        script.upgrade_ops.ops.insert(0, up)
        script.downgrade_ops.ops += [] if down is None else [down]
        return script

    monkeypatch.setattr(propose, "produce_migrations", with_others)


def test_each_type_is_made_changed_and_dropped_once(
    make_app: MakeApp, tree: Tree, monkeypatch: pytest.MonkeyPatch, engine: sa.Engine
) -> None:
    with make_app(db=models("sad")).app_context():
        init()
        compared(monkeypatch, CreateEnumOp("sad"), DropEnumOp("sad"))
        made = revision(message="items", autogenerate=True)
        assert "add enum mood" in made.detected
        upgrade()
    with make_app(db=models("sad", "fine")).app_context():
        compared(monkeypatch, SyncEnumOp("sad", "fine"))
        revision(message="fine", autogenerate=True)
        upgrade()
        assert _labels(engine) == ["sad", "fine"]
        downgrade(revision="base")
        assert _labels(engine) == []


def test_a_schema_that_only_an_enum_type_is_in_is_made_first(
    make_app: MakeApp, tree: Tree
) -> None:
    db = models("sad")
    column: sa.Column[Any] = sa.Column("at", sa.Enum("a", name="kind", schema="beside"))
    db.metadata.tables["item"].append_column(column)
    with make_app(db=db).app_context():
        init()
        revision(message="items", autogenerate=True)
        upgrade()
        downgrade(revision="base")
        upgrade()


def _labels(engine: sa.Engine) -> list[str]:
    enums = sa.inspect(engine).get_enums()  # type: ignore[attr-defined]
    return [label for enum in enums for label in enum["labels"]]
