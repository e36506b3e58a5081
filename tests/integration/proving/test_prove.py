"""`flask db-migrate test`: which revisions, on which databases, and what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import init, prove, upgrade
from flask_dualmigrate.errors import DatabaseUnavailable, UsageError
from flask_dualmigrate.proving.proofs import Outcome
from flask_dualmigrate.proving.scratch.mongo import MongoPlace
from flask_dualmigrate.proving.scratch.names import Mark, is_scratch_name, scratch_name
from flask_dualmigrate.proving.scratch.postgres import PostgresPlace
from flask_dualmigrate.proving.trial import allows_edge_data
from tests.integration.conftest import MakeApp, Tree
from tests.support.proving import BASE, words
from tests.support.snapshots import mongo_snapshot, postgres_snapshot


def cli(app: Flask, *arguments: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", "test", *arguments])


@pytest.fixture
def app(make_app: MakeApp) -> Iterator[Flask]:
    """An app whose models are what `good` makes; its tree is empty."""
    db = SQLAlchemy()
    sa.Table(
        "t",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text) for name in ("name", "nick")),
        sa.Column("n", sa.BigInteger),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("x", sa.Integer),
    )
    app = make_app(db=db)
    with app.app_context():
        init()
        yield app


@pytest.fixture
def good(app: Flask, tree: Tree) -> Tree:
    """Two revisions without a fault; the first is applied, and there is real data."""
    tree.add("r1", **BASE)
    init()
    upgrade()
    tree.add(
        "r2",
        postgres='op.add_column("t", sa.Column("x", sa.Integer))',
        postgres_down='op.drop_column("t", "x")',
        mongo='op.add_field("t", "x", default=1)',
        mongo_down='op.drop_field("t", "x")',
    )
    init()
    return tree


@pytest.fixture
def filled(good: Tree, engine: sa.Engine, mongo_db: Database[Any]) -> Tree:
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 9) g")
        )
    mongo_db.t.insert_many({"_id": n, "name": f"document {n}"} for n in range(9))
    return good


def scratches(engine: sa.Engine, mongo_db: Database[Any]) -> set[str]:
    """Return the scratch databases of this test's own databases."""
    with engine.connect() as connection:
        query = sa.text("SELECT datname FROM pg_database")
        names = set(connection.execute(query).scalars())
    names |= set(mongo_db.client.list_database_names())
    stems = [str(engine.url.database)[:40], mongo_db.name[:40]]
    return {n for n in names if is_scratch_name(n) and n.startswith(tuple(stems))}


def test_the_real_databases_are_not_touched(
    filled: Tree, app: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    oplog = mongo_db.client.local["oplog.rs"]
    last = oplog.find_one(sort=[("$natural", -1)])
    before = postgres_snapshot(engine, ours=True), mongo_snapshot(mongo_db, ours=True)

    result = prove(sample=5)

    assert [proof.rows for proof in result.proofs] == [5]
    assert [proof.documents for proof in result.proofs] == [5]
    assert result.ok, result
    after = postgres_snapshot(engine, ours=True), mongo_snapshot(mongo_db, ours=True)
    assert after == before
    namespace = {"$regex": f"^{mongo_db.name}\\."}
    written = {"ns": namespace, "ts": {"$gt": last["ts"] if last else None}}
    assert list(oplog.find(written)) == []


def test_what_a_script_does_through_the_apps_own_objects_stays_away_from_them(
    good: Tree, app: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    good.add(
        "r3",
        mongo=(
            "def write(db):\n"
            "    from flask import current_app\n"
            "    registered = current_app.extensions['dualmigrate']\n"
            "    registered.mongo.db.t.insert_one({'_id': 'astray'})\n"
            "    registered.db.session.execute(registered.db.text(\n"
            "        \"INSERT INTO t (id, name) VALUES (77, 'astray')\"))\n"
            "    registered.db.session.commit()\n"
            "op.run(write, name='write', undo=lambda db: None)"
        ),
    )
    init()
    result = prove(["r3"])
    assert "row t id=77" in words(result.proofs[0])
    assert mongo_db.t.count_documents({}) == 0
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar() == 0


def test_scratch_databases_are_gone_afterwards(
    good: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    assert prove().ok
    assert scratches(engine, mongo_db) == set()


def test_they_are_gone_after_a_failure_too(
    good: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    good.add("r3", postgres='op.execute("SELECT 1 / 0")')
    init()
    result = prove()
    assert [proof.outcome for proof in result.proofs] == [Outcome.EQUAL, Outcome.FAILED]
    assert result.exit_code == 1
    assert scratches(engine, mongo_db) == set()


def test_they_are_gone_after_ctrl_c_too(
    good: Tree, app: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    good.add("r3", postgres="raise KeyboardInterrupt")
    init()
    with pytest.raises(KeyboardInterrupt):
        prove(["r3"])
    assert scratches(engine, mongo_db) == set()
    assert app.extensions["dualmigrate"].mongo.db.name == mongo_db.name


def test_keep_leaves_them_and_names_them(
    good: Tree, engine: sa.Engine, mongo_db: Database[Any], app: Flask
) -> None:
    result = prove(keep=True)
    try:
        assert set(result.kept) == scratches(engine, mongo_db)
        assert len(result.kept) == 2
        assert set(prove(keep=True).kept).isdisjoint(result.kept)
        assert set(result.kept) < scratches(engine, mongo_db)
    finally:
        for name in scratches(engine, mongo_db):
            PostgresPlace(engine.url, {}).drop(name)
            MongoPlace(mongo_db).drop(name)


@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_what_a_killed_run_left_is_removed_by_the_next(
    side: str, engine: sa.Engine, mongo_db: Database[Any], monkeypatch: Any
) -> None:
    place = (
        PostgresPlace(engine.url, {}) if side == "postgres" else MongoPlace(mongo_db)
    )
    dead, living = place.make(), place.make()
    own = Mark.own()
    place.mark(dead, Mark(own.place, 2**22 + 1, own.made_at))
    try:
        assert dead in place.sweep()
        assert scratches(engine, mongo_db) == {living}
    finally:
        place.drop(living)


def test_a_database_of_another_machine_is_left_for_a_day() -> None:
    assert not Mark("elsewhere:1", 1, Mark.own().made_at).is_dead()
    assert Mark("elsewhere:1", 1, "2020-01-01T00:00:00+00:00").is_dead()
    assert not Mark("elsewhere:1", 1, "2020-01-01T00:00:00+00:00", kept=True).is_dead()


def test_a_comment_with_a_reason_allows_a_script_to_refuse_edge_data() -> None:
    comment = b"# dualmigrate-test: allow edge-data"
    assert allows_edge_data([b"pass", comment + b" it is a number"])
    assert not allows_edge_data([comment + b"\n"])


def test_a_long_name_is_cut_to_what_both_servers_take() -> None:
    name = scratch_name("ä" * 60)
    assert len(name.encode()) <= 63
    assert is_scratch_name(name)


def test_what_is_pending_is_proved_by_default(good: Tree, app: Flask) -> None:
    assert [proof.revision for proof in prove().proofs] == ["r2"]
    upgrade()
    assert [proof.revision for proof in prove().proofs] == ["r2"]


def test_an_applied_revision_is_not_proved_on_real_data(good: Tree) -> None:
    with pytest.raises(UsageError, match="r1 is already applied"):
        prove(["r1"], sample=5)


def test_a_sample_brings_along_what_its_rows_point_to(
    app: Flask, tree: Tree, engine: sa.Engine
) -> None:
    key = 'sa.Column("id", sa.Integer, primary_key=True)'
    above = 'sa.Column("above", sa.Integer, sa.ForeignKey("p.id"))'
    tree.add(
        "r1",
        postgres=f'op.create_table("p", {key}, {above})\n'
        f'op.create_table("c", {key}, {above})',
    )
    init()
    upgrade()
    with engine.begin() as connection:
        rows = "SELECT g, nullif(g - 1, 0) FROM generate_series(1, 50) g"
        connection.execute(sa.text(f"INSERT INTO p {rows}"))
        connection.execute(sa.text("INSERT INTO c VALUES (1, 40)"))
    tree.add("r2")
    init()
    (proof,) = prove(sample=2).proofs
    assert proof.outcome is Outcome.EQUAL
    assert proof.rows == 41, "one row of c, and p from 40 down to 1"


def test_a_downgrade_that_cannot_run_is_no_missing_one(good: Tree) -> None:
    good.add("r3", postgres_down='op.execute("DROP INDEX CONCURRENTLY ix")')
    init()
    (proof,) = prove(["r3"]).proofs
    assert proof.outcome is Outcome.FAILED
    assert "CONCURRENTLY" in str(proof.error)


def test_another_database_than_postgresql_is_refused(make_app: MakeApp) -> None:
    with make_app(urls={"postgres": "sqlite://"}).app_context():
        init()
        with pytest.raises(UsageError, match="this app uses sqlite"):
            prove(all_=True)


def test_two_heads_are_told(good: Tree, app: Flask) -> None:
    text = good.path("postgres", "r2").read_text().replace("r2", "r9")
    good.path("postgres", "r9").write_text(text)
    text = good.path("mongo", "r2").read_text().replace("r2", "r9")
    good.path("mongo", "r9").write_text(text.replace('"x"', '"y"'))
    init()
    text = good.path("postgres", "r9").read_text().replace('"x"', '"y"')
    good.path("postgres", "r9").write_text(text)
    result = prove()
    assert result.exit_code == 3
    assert "The tree has 2 heads: r2, r9" in result.problems[0]


def test_the_command_says_what_it_proved_and_where(good: Tree, app: Flask) -> None:
    said = cli(app)
    assert said.exit_code == 0, said.output
    assert "PostgreSQL: test_" in said.stdout
    assert "r2 (r2): equal" in said.stdout
    assert "Proved 1 revision: 1 equal." in said.stdout
    assert "Upgrading r2" in said.stderr


def test_the_command_gives_json(good: Tree, app: Flask) -> None:
    good.add("r3", postgres_down="raise NotImplementedError")
    init()
    said = cli(app, "r3", "--json", "--strict")
    assert said.exit_code == 3
    told = json.loads(said.stdout)
    assert told["ok"] is False
    assert told["proofs"][0]["outcome"] == "irreversible"
    assert {each["backend"] for each in told["scratch"]} == {"postgres", "mongo"}


def test_an_account_that_may_not_make_databases_is_told(
    make_app: MakeApp, good: Tree, engine: sa.Engine, monkeypatch: Any
) -> None:
    name = f"u{Path(str(engine.url.database)).name[-20:]}"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {name} LOGIN"))
    monkeypatch.setattr(
        "flask_dualmigrate.proving.scratch.scratch.EmbeddedServers", _NoServers
    )
    url = engine.url.set(username=name).render_as_string(hide_password=False)
    other = make_app(urls={"postgres": url})
    try:
        with other.app_context(), pytest.raises(DatabaseUnavailable) as caught:
            prove(["r2"], backend="postgres")
        assert "permission denied to create database" in str(caught.value)
        assert "no embedded server can be used" in str(caught.value)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP ROLE {name}"))


class _NoServers:
    """As where the wheels are not installed."""

    def __init__(self, folder: Path) -> None:
        from flask_dualmigrate.errors import EmbeddedServerError

        raise EmbeddedServerError("The wheels are not installed")


def test_a_client_of_the_real_server_is_back_afterwards(
    good: Tree, app: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    registered = app.extensions["dualmigrate"]
    before = registered.mongo.db, dict(registered.db.engines)
    prove()
    assert (registered.mongo.db, dict(registered.db.engines)) == before
    assert isinstance(registered.mongo.cx, MongoClient)
