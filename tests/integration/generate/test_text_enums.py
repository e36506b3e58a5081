"""A text enum with a CHECK: both are changed where its labels change."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database
from sqlalchemy import Column, Enum, MetaData, Table
from sqlalchemy.exc import IntegrityError

from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import differing, pair, run

CONVENTION = {"ck": "ck_%(table_name)s_%(constraint_name)s"}
WAYS: dict[str, dict[str, Any]] = {
    "named": {"name": "kind"},
    "unnamed": {},
    "wide": {"name": "kind", "length": 40},
    "by convention": {"name": "kind", "convention": CONVENTION},
    "in a quoted column": {"name": "kind", "column": "Kind of"},
}


class Lower(enum.Enum):
    a = "it's"
    b = "longer"


def models(
    *labels: Any, column: str = "kind", convention: Any = None, **options: Any
) -> MetaData:
    metadata = MetaData(naming_convention=convention)
    type_ = Enum(*labels, native_enum=False, create_constraint=True, **options)
    key = Column("id", sa.Integer, primary_key=True)
    Table("things", metadata, key, Column(column, type_))
    return metadata


def insert(engine: sa.Engine, metadata: MetaData, value: Any) -> None:
    table = metadata.tables["things"]
    (column,) = (column for column in table.columns if not column.primary_key)
    name = engine.dialect.identifier_preparer.quote(column.name)
    with engine.begin() as connection:
        statement = sa.text(f"INSERT INTO things ({name}) VALUES (:value)")
        connection.execute(statement, {"value": value})


def clean(engine: sa.Engine, metadata: MetaData) -> bool:
    return differing(engine, metadata) == ()


CHANGES = {
    "a longer one": (("a", "it's"), ("a", "it's", "longer"), "longer"),
    "one as long": (("a", "it's"), ("a", "it's", "b"), "b"),
    "a first": (("a",), ("a", "b"), "b"),
    "another": (("a", "gone"), ("a", "come"), "come"),
}


@pytest.mark.parametrize("how", ["by the models", "by a revision"])
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_a_label_more_comes_and_goes(
    options: dict[str, Any], how: str, engine: sa.Engine
) -> None:
    for before_labels, after_labels, new in CHANGES.values():
        before, after = (
            models(*before_labels, **options),
            models(*after_labels, **options),
        )
        if how == "by the models":
            before.create_all(engine)
        else:
            run(engine, pair(engine, before).postgres)
        assert clean(engine, before)
        insert(engine, before, "a")
        made = pair(engine, after)
        run(engine, made.postgres)
        insert(engine, after, new)
        assert clean(engine, after)
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM things WHERE id > 1"))
        run(engine, made.postgres, "downgrade")
        assert clean(engine, before)
        with pytest.raises((IntegrityError, sa.exc.DataError)):
            insert(engine, before, new)
        before.drop_all(engine)


def test_a_text_gets_a_check_and_loses_it(engine: sa.Engine) -> None:
    plain = MetaData()
    key = Column("id", sa.Integer, primary_key=True)
    Table("things", plain, key, Column("kind", sa.String(2)))
    plain.create_all(engine)
    after = models(Lower, values_callable=lambda e: [item.value for item in e])
    made = pair(engine, after)
    for function in ("upgrade", "downgrade", "upgrade"):
        run(engine, made.postgres, function)
    assert clean(engine, after)
    insert(engine, after, "it's")
    with pytest.raises(IntegrityError):
        insert(engine, after, "a")


@pytest.mark.parametrize("validators", ["off", "error"])
def test_both_databases_take_the_new_label(
    validators: str,
    engine: sa.Engine,
    make_app: Callable[..., Flask],
    mongo_db: Database[dict[str, Any]],
) -> None:
    evolution = Evolution(make_app, config={"DUALMIGRATE_VALIDATORS": validators})
    options: dict[str, Any] = {"name": "k", "convention": CONVENTION}
    before, after = models("a", "b", **options), models("a", "longer", **options)
    evolution.to(before)
    evolution.to(after)
    insert(engine, after, "longer")
    mongo_db["things"].insert_one({"_id": 1, "kind": "longer"})
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM things"))
    mongo_db["things"].delete_many({})
    evolution.down(after)
    mongo_db["things"].insert_one({"_id": 1, "kind": "b"})
    assert clean(engine, before)
