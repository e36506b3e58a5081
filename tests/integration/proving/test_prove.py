"""`flask db-migrate test`: what it says of good and of bad revisions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import DualMigrate, init, prove, upgrade
from flask_dualmigrate.errors import DatabaseUnavailable, UsageError
from flask_dualmigrate.proving.proofs import Outcome, Proof, ProofResult
from flask_dualmigrate.proving.scratch.mongo import MongoPlace
from flask_dualmigrate.proving.scratch.names import Mark, is_scratch_name, scratch_name
from flask_dualmigrate.proving.scratch.postgres import PostgresPlace
from flask_dualmigrate.proving.trial import allows_edge_data
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import mongo_snapshot, postgres_snapshot

Faulty = tuple[ProofResult, dict[str, Proof]]

TABLE = """
op.create_table(
    "t",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("nick", sa.Text),
    sa.Column("n", sa.BigInteger),
    sa.Column("at", sa.DateTime(timezone=True)),
)
"""

TYPES = """
from sqlalchemy.dialects import postgresql as pg
op.create_table(
    "types",
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("parent", sa.BigInteger, sa.ForeignKey("types.id")),
    sa.Column("code", sa.String(5), nullable=False, unique=True),
    sa.Column("word", sa.Text, sa.CheckConstraint("word IN ('new', 'used')")),
    sa.Column("small", sa.SmallInteger),
    sa.Column("price", sa.Numeric(12, 2), sa.CheckConstraint("price >= 0")),
    sa.Column("exact", sa.Numeric),
    sa.Column("real", sa.Float),
    sa.Column("yes", sa.Boolean),
    sa.Column("day", sa.Date),
    sa.Column("hour", sa.Time),
    sa.Column("local", sa.DateTime),
    sa.Column("wait", sa.Interval),
    sa.Column("uuid", sa.Uuid),
    sa.Column("bytes", sa.LargeBinary),
    sa.Column("json", sa.JSON),
    sa.Column("jsonb", pg.JSONB),
    sa.Column("tags", pg.ARRAY(sa.Text)),
    sa.Column("host", pg.INET),
    sa.Column("found", pg.TSVECTOR),
    sa.Column("mood", sa.Enum("good", "bad", name="mood")),
    sa.Column("twice", sa.Integer, sa.Computed("small::int * 2")),
)
"""

FAULTS: dict[str, dict[str, str]] = {
    "r0_types": {
        "postgres": TYPES,
        "postgres_down": 'op.drop_table("types")\nop.execute("DROP TYPE mood")',
        "mongo": 'op.create_collection("types")',
        "mongo_down": 'op.drop_collection("types")',
    },
    "r1_base": {
        "postgres": TABLE,
        "postgres_down": 'op.drop_table("t")',
        "mongo": 'op.create_collection("t")',
        "mongo_down": 'op.drop_collection("t")',
    },
    "r2_index": {"postgres": 'op.create_index("ix_t_n", "t", ["n"])'},
    "r3_enum": {
        "postgres": 'op.create_table("e", sa.Column("k", sa.Enum("a", name="kind")))',
        "postgres_down": 'op.drop_table("e")',
    },
    "r4_mongo_index": {"mongo": 'op.create_index("t", [("n", 1)], name="ix_n")'},
    "r5_values": {
        "postgres": "op.execute(\"UPDATE t SET name = upper(name) WHERE name <> ''\")",
        "mongo": (
            'op.update("t", {"name": {"$type": "string"}},'
            ' [{"$set": {"name": {"$toUpper": "$name"}}}], undo={"$set": {"a": 1}})'
        ),
    },
    "r6_order": {
        "mongo": 'op.run(lambda db: None, name="nothing", undo=lambda db: None)',
        "mongo_down": (
            "def turn(db):\n"
            "    for found in db.t.find():\n"
            "        key = found.pop('_id')\n"
            "        turned = dict(reversed(found.items()))\n"
            "        db.t.replace_one({'_id': key}, turned)\n"
            'op.run(turn, name="turn", undo=lambda db: None)'
        ),
    },
    "r7_no_way_down": {"postgres_down": "raise NotImplementedError"},
    "r8_lost_column": {
        "postgres": 'op.drop_column("t", "nick")',
        "postgres_down": 'op.add_column("t", sa.Column("nick", sa.Text))',
        "mongo": 'op.drop_field("t", "nick")',
        "mongo_down": 'op.add_field("t", "nick")',
    },
    "r9_edges": {
        "postgres": 'op.alter_column("t", "name", nullable=False)',
        "postgres_down": 'op.alter_column("t", "name", nullable=True)',
    },
}


def a_model(db: SQLAlchemy) -> None:
    """What the models say: a column more than the tree makes."""
    sa.Table(
        "t",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("n", sa.BigInteger),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("more", sa.Text),
    )


@pytest.fixture(scope="module")
def faulty(
    postgres_server_url: str,
    mongo_server_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Faulty]:
    """What is said of a tree with a fault in each revision; proved once for all."""
    folder = tmp_path_factory.mktemp("faulty")
    app = Flask("faulty", root_path=str(folder))
    app.config["SQLALCHEMY_DATABASE_URI"] = postgres_server_url
    app.config["MONGO_URI"] = mongo_server_uri
    db, mongo = SQLAlchemy(app), PyMongo(app)
    a_model(db)
    DualMigrate(app, db, mongo, directory=str(folder / "migrations"))
    with app.app_context():
        init()
        tree = Tree(folder / "migrations")
        for name, bodies in FAULTS.items():
            tree.add(name, **bodies)
        init()
        result = prove(all_=True, data=True)
        yield result, {proof.revision: proof for proof in result.proofs}
        db.engine.dispose()
    assert mongo.cx is not None
    mongo.cx.close()


def words(proof: Proof) -> str:
    return "\n".join(map(str, (*proof.not_back, *proof.not_again)))


def test_a_revision_that_goes_down_and_up_again_is_equal(faulty: Faulty) -> None:
    assert faulty[1]["r1_base"].outcome is Outcome.EQUAL


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("r2_index", "PostgreSQL index t.ix_t_n is left behind: CREATE INDEX ix_t_n"),
        ("r3_enum", "PostgreSQL enum kind is left behind: labels 'a'"),
        ("r4_mongo_index", "MongoDB index t.ix_n is left behind"),
        ("r5_values", "PostgreSQL row t id="),
        ("r5_values", "MongoDB document t _id "),
        (
            "r6_order",
            "order of the fields was _id, name, nick, n, at, and is _id, at, n",
        ),
    ],
    ids=lambda value: value.replace(" ", "-")[:30],
)
def test_a_difference_is_told_in_words(
    faulty: Faulty, revision: str, said: str
) -> None:
    proof = faulty[1][revision]
    assert proof.outcome is Outcome.DIFFERENT
    assert said in words(proof)


def test_each_type_of_column_gets_values(faulty: Faulty) -> None:
    assert faulty[0].notes == ()
    assert faulty[1]["r1_base"].rows > 80
    assert faulty[1]["r1_base"].documents > 80


def test_a_difference_in_a_row_names_it_and_both_values(faulty: Faulty) -> None:
    (told,) = [each for each in faulty[1]["r5_values"].not_back if each.kind == "row"]
    assert told.what == "name"
    assert told.name.startswith("t id=")
    assert str(told.before).upper() == str(told.after).upper()
    assert told.before != told.after


def test_those_above_a_revision_that_leaves_a_mess_are_proved_all_the_same(
    faulty: Faulty,
) -> None:
    assert [*faulty[1]] == [*FAULTS]
    assert Outcome.NOT_REACHED not in {p.outcome for p in faulty[0].proofs}


def test_a_revision_that_has_no_way_down_is_no_fault(faulty: Faulty) -> None:
    assert faulty[1]["r7_no_way_down"].outcome is Outcome.IRREVERSIBLE


def test_values_of_a_dropped_column_are_told_as_lost(faulty: Faulty) -> None:
    proof = faulty[1]["r8_lost_column"]
    assert proof.outcome is Outcome.EQUAL, words(proof)
    assert len(proof.lost) == 1
    assert "PostgreSQL t.nick: values (the upgrade drops the column)" in proof.lost[0]


def test_an_upgrade_that_fails_on_edge_data_is_told(faulty: Faulty) -> None:
    proof = faulty[1]["r9_edges"]
    assert proof.outcome is Outcome.FAILED
    assert "contains null values" in str(proof.refused)
    assert proof.error is None


def test_models_ahead_of_head_are_told(faulty: Faulty) -> None:
    assert faulty[0].models is not None
    assert "add column t.more" in "".join(faulty[0].models)


def test_a_script_that_fails_decides_the_exit_code(faulty: Faulty) -> None:
    assert faulty[0].exit_code == 1
    assert not faulty[0].ok


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
    tree.add("r1", **FAULTS["r1_base"])
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
