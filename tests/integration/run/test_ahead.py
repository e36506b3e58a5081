"""A database that has a revision which the tree lacks: another git branch made it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import DualMigrate, current, init, stamp, status, upgrade
from tests.integration.conftest import MakeApp, Tree

SIDES = {"postgres": "PostgreSQL", "mongo": "MongoDB"}


def cli(app: Flask, *words: str) -> tuple[int, str]:
    said = app.test_cli_runner().invoke(args=["db-migrate", *words])
    return said.exit_code, said.output


@pytest.fixture(params=list(SIDES))
def ahead(
    request: pytest.FixtureRequest,
    app: Flask,
    tree: Tree,
    engine: sa.Engine,
    mongo_db: Database[dict[str, object]],
) -> str:
    """The side that has `other`, beside `r1` of the tree. Its table is there too."""
    tree.add("r1")
    tree.add("other", postgres='op.create_table("t", sa.Column("a", sa.Integer))')
    init()
    upgrade()
    for side in SIDES:
        tree.path(side, "other").unlink()
    init()
    if request.param == "mongo":
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = 'r1'"))
            connection.execute(
                sa.text("DELETE FROM dualmigrate_journal WHERE revision = 'other'")
            )
    else:
        mongo_db["_migrations"].delete_one({"_id": "other"})
    return str(request.param)


def test_every_command_refuses_and_names_the_revision(
    app: Flask, ahead: str, tmp_path: Path
) -> None:
    for words in (
        ("status",),
        ("current",),
        ("check",),
        ("upgrade", "--yes"),
        ("upgrade", "--dry-run"),
        ("downgrade", "--yes"),
        ("verify",),
        ("revision", "--autogenerate", "-m", "next"),
        ("migrate", "-m", "next"),
        ("index", "diff"),
        ("index", "sync", "--yes", "--drop-undeclared"),
        ("test", "--sample", "1"),
    ):
        code, said = cli(app, *words)
        expected = f"The {SIDES[ahead]} database is ahead of this code: it has other"
        assert (code, words) == (3, words)
        assert expected in said, words
        assert "Up to date" not in said
        assert "(head)" not in said
    assert len([*tmp_path.glob("migrations/*/versions/*.py")]) == 2


def test_check_does_not_compare_the_models_with_what_it_does_not_know(
    app: Flask, ahead: str
) -> None:
    _, said = cli(app, "check")
    assert "remove table t" not in said
    assert "The models were not compared" in said


def test_facts_as_json_name_it(app: Flask, ahead: str) -> None:
    code, said = cli(app, "status", "--json")
    assert code == 3
    assert "it has other" in json.loads(said)["ahead"][0]


def test_stamp_replaces_what_it_does_not_know_after_a_question_alone(
    app: Flask, ahead: str
) -> None:
    code, said = cli(app, "stamp", "head", "--backend", ahead)
    assert code == 2
    assert f"other: that {SIDES[ahead]} has it; this tree has no script for it" in said
    assert not status().ok
    code, _ = cli(app, "stamp", "head", "--backend", ahead, "--yes")
    assert code == 0
    assert status().ok
    assert current().at_head


def test_stamp_asks_where_the_journal_is_not_ours(
    app: Flask, tree: Tree, engine: sa.Engine
) -> None:
    """Alembic alone wrote that row: no journal of ours has it."""
    tree.add("r1")
    init()
    stamp(revision="r1")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'fff1'"))
        connection.execute(sa.text("DELETE FROM dualmigrate_journal"))
    code, said = cli(app, "stamp", "r1")
    assert code == 2
    assert "fff1" in said


def test_the_probe_and_a_start_with_check_name_it_and_serve_on(
    app: Flask,
    ahead: str,
    make_app: MakeApp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pods of the last release must not go while the next one migrates."""
    starting = make_app(auto_upgrade="check")
    assert "ahead of this code: they have 'other'" in caplog.text
    starting.register_blueprint(DualMigrate().health_blueprint)
    response = starting.test_client().get("/healthz/ready")
    assert response.status_code == 200
    assert response.get_json()["ahead"] == ["other"]
