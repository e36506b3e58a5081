"""`upgrade --verify`: what was there before, what is there after, on both sides."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from bson import Decimal128, Int64
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from flask_dualmigrate import UsageError, init, upgrade
from flask_dualmigrate.results import RunResult
from flask_dualmigrate.revisions import BackendName
from flask_dualmigrate.verbs.survey import Survey
from tests.integration.conftest import MakeApp, Tree

Db = Database[Any]
POSTGRES, MONGO = BackendName.POSTGRES, BackendName.MONGO


@pytest.fixture
def db() -> SQLAlchemy:
    db = SQLAlchemy()
    sa.Table(
        "item",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50)),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("made_at", sa.DateTime),
        sa.Column("status", sa.String(9)),
    )
    return db


@pytest.fixture
def app(db: SQLAlchemy, make_app: MakeApp) -> Any:
    app = make_app(db=db, fields={"item.made_at": "created.at"})
    with app.app_context():
        yield app


@pytest.fixture
def one(app: Flask, tree: Tree, engine: sa.Engine, mongo_db: Db) -> Tree:
    """Three items on either side, one of which has no name."""
    init()
    tree.add(
        "r1",
        postgres='op.create_table("item", sa.Column("id", sa.Integer, '
        'primary_key=True), sa.Column("name", sa.String(50)), '
        'sa.Column("price", sa.Numeric(10, 2)), sa.Column("made_at", sa.DateTime))',
        mongo='op.create_collection("item")',
    )
    init()
    upgrade()
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO item VALUES (1, 'a', 1.5, '2026-01-01'), "
                "(2, 'b', 2.5, '2026-01-01'), (3, NULL, 3.5, '2026-01-01')"
            )
        )
    mongo_db.item.insert_many(
        {"_id": n, "name": name, "price": Decimal128("1.5"), "created": {"at": moment}}
        for n, name in ((1, "a"), (2, "b"), (3, None))
    )
    return tree


def add_status(
    tree: Tree, *, mongo: str = 'op.add_field("item", "status", default="new")'
) -> None:
    tree.add(
        "r2",
        postgres='op.add_column("item", sa.Column("status", sa.String(9), '
        'server_default="new"))',
        mongo=mongo,
    )
    init()


def verified() -> Survey:
    done = upgrade(verify=True)
    assert isinstance(done, RunResult)
    assert done.verified is not None
    assert done.ok == done.verified.ok
    return done.verified


def problems(survey: Survey) -> dict[str, str]:
    found = {f"{each.backend} {each.name}": each.problem for each in survey.places}
    found |= {f"{each.table}.{each.column}": each.problem for each in survey.fields}
    return {name: problem for name, problem in found.items() if problem}


def test_what_both_sides_hold_alike_is_in_order(one: Tree) -> None:
    add_status(one)
    survey = verified()
    assert problems(survey) == {}
    counts = [(p.backend, p.name, p.before, p.after) for p in survey.places]
    assert counts == [(POSTGRES, "item", 3, 3), (MONGO, "item", 3, 3)]
    found = {f.field: (f.nulls, f.missing, f.types) for f in survey.fields}
    assert found == {
        "_id": (0, 0, ("int",)),
        "name": (1, 1, ("string",)),
        "price": (0, 0, ("decimal",)),
        "created.at": (0, 0, ("date",)),
        "status": (0, 0, ("string",)),
    }


def test_a_field_that_was_filled_on_one_side_only_differs(one: Tree) -> None:
    add_status(one, mongo='op.update("item", {"_id": 1}, {"$set": {"status": "new"}})')
    assert problems(verified()) == {"item.status": "different numbers of nulls"}


def test_a_value_of_a_type_that_the_column_has_not_differs(
    one: Tree, mongo_db: Db
) -> None:
    mongo_db.item.update_one({"_id": 2}, {"$set": {"price": Int64(2)}})
    add_status(one)
    assert problems(verified()) == {
        "item.price": "long where the column has other values"
    }


def test_documents_that_a_script_lost_without_saying_so_are_missed(one: Tree) -> None:
    add_status(one, mongo='op.run(lambda db: db.item.delete_one({"_id": 3}), name="x")')
    found = problems(verified())
    assert found["mongo item"] == "fewer documents than before"


def test_rows_that_a_script_says_it_takes_away_are_not_missed(one: Tree) -> None:
    one.add(
        "r2",
        postgres='op.execute("DELETE FROM item")',
        mongo='op.delete("item", {}, keep=False)',
    )
    init()
    survey = verified()
    assert problems(survey) == {}
    assert [place.after for place in survey.places] == [0, 0]


def test_what_is_renamed_or_kept_aside_is_not_missed(one: Tree) -> None:
    one.add(
        "r2",
        postgres='op.rename_table("item", "article")',
        mongo='op.rename_collection("item", "article")',
    )
    init()
    survey = verified()
    assert problems(survey) == {}
    assert [(p.name, p.before, p.after) for p in survey.places] == [
        *(("article", None, 3), ("item", 3, None)) * 2
    ]
    one.add("r3", mongo='op.drop_collection("article")')
    init()
    assert problems(verified()) == {}


def test_what_the_plan_does_not_touch_is_not_counted(
    one: Tree, engine: sa.Engine, mongo_db: Db
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE other (id int)"))
    mongo_db.other.insert_one({})
    add_status(one)
    assert {place.name for place in verified().places} == {"item"}


def test_the_command_prints_a_table_and_exits_with_3_where_it_differs(
    one: Tree, app: Flask
) -> None:
    add_status(one, mongo="pass")
    said = app.test_cli_runner().invoke(args=["db-migrate", "upgrade", "--verify"])
    assert said.exit_code == 3
    assert "item.status" in said.stdout
    assert "DIFFERENT: different numbers of nulls" in said.stdout
    assert "Verified: 1 difference." in said.stdout


def test_json_has_the_counts(one: Tree, app: Flask) -> None:
    add_status(one)
    words = ["db-migrate", "upgrade", "--verify", "--json"]
    said = app.test_cli_runner().invoke(args=words)
    assert said.exit_code == 0
    result = json.loads(said.stdout)
    assert result["verified"]["places"][0] == {
        "backend": "postgres",
        "name": "item",
        "before": 3,
        "after": 3,
        "allowed": False,
    }


def test_where_nothing_is_pending_nothing_is_counted(one: Tree) -> None:
    assert verified().places == ()


def test_a_dry_run_has_nothing_to_verify(one: Tree) -> None:
    with pytest.raises(UsageError, match="dry run"):
        upgrade(dry_run=True, verify=True)


def test_a_time_that_moved_on_one_side_alone_differs(
    one: Tree, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        name = engine.url.database
        berlin = f"ALTER DATABASE \"{name}\" SET timezone TO 'Europe/Berlin'"
        connection.execute(sa.text(berlin))
    one.add(
        "r2", postgres='op.execute("ALTER TABLE item ALTER made_at TYPE timestamptz")'
    )
    init()
    assert problems_of_values(verified()) == {
        "item.made_at": "3 values were equal before, and not after: that of 1, say"
    }


def problems_of_values(survey: Survey) -> dict[str, str]:
    found = {f"{each.table}.{each.column}": each.problem for each in survey.values}
    return {name: problem for name, problem in found.items() if problem}


def test_values_that_are_converted_alike_are_equal(one: Tree) -> None:
    one.add(
        "r2",
        postgres='op.execute("ALTER TABLE item ALTER price TYPE text")\n'
        "op.execute(\"UPDATE item SET name = name || 'x'\")",
        mongo='op.convert_field("item", "price", to="string")\n'
        'op.update("item", {"name": {"$ne": None}}, '
        '[{"$set": {"name": {"$concat": ["$name", "x"]}}}], keep=True)',
    )
    init()
    survey = verified()
    assert problems_of_values(survey) == {"item.price": problem_of_zeros(1)}
    compared = {each.column: each.compared for each in survey.values}
    # The prices of two documents were none of their rows' before it.
    assert compared == {"name": 3, "price": 1, "made_at": 3}


def problem_of_zeros(count: int) -> str:
    """1.50 as a text is another one than 1.5."""
    return f"{count} value was equal before, and not after: that of 1, say"


def test_of_many_rows_a_sample_is_compared_and_that_is_said(
    one: Tree, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_dualmigrate.verbs.sample.SAMPLE", 2)
    add_status(one)
    said = app.test_cli_runner().invoke(args=["db-migrate", "upgrade", "--verify"])
    assert said.exit_code == 0
    (line,) = (
        line
        for line in said.stdout.splitlines()
        if line.startswith("item.made_at") and " of " in line
    )
    assert line.split() == ["item.made_at", "item.created.at", "2", "of", "3", "OK"]


def test_a_value_that_the_driver_cannot_read_keeps_nobody_from_verifying(
    one: Tree, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE item SET made_at = 'infinity' WHERE id = 2"))
    add_status(one)
    survey = verified()
    assert {each.column for each in survey.values} == {"name", "price"}
