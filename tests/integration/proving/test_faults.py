"""What `test` says of a tree with a fault in each revision."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate, init, prove
from flask_dualmigrate.proving.proofs import Outcome, Proof, ProofResult
from tests.integration.conftest import Tree
from tests.support.proving import BASE, words

Faulty = tuple[ProofResult, dict[str, Proof]]

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
    "r1_base": BASE,
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
