"""SIGINT and SIGTERM: the batch is finished, the locks are free, the run goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init
from flask_dualmigrate.backend.holder import Holder
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.postgres.lock.lock import PostgresLock, lock_key
from tests.integration.conftest import Tree
from tests.support.flask_processes import FlaskApp
from tests.support.nursery import Nursery
from tests.support.snapshots import stamps

Mongo = Database[dict[str, Any]]

AT_ONCE_S = 20.0
"""Seconds, on a machine that is busy; what is cut short would take a minute."""

DOCUMENTS = 400
INSERT = f'op.insert("item", [{{"n": 0}} for n in range({DOCUMENTS})])'
SLOW = 'op.transform("item", up, batch_size=10, undo=down)'
SLOWLY = """
import os, time


def up(document):
    time.sleep(0 if os.path.exists("hurry") else 0.005)
    return {**document, "n": document["n"] + 1}


def down(document):
    time.sleep(0 if os.path.exists("hurry") else 0.005)
    return {**document, "n": document["n"] - 1}
"""
NAP = 'op.execute("SELECT pg_sleep(seconds) FROM nap")'
ASLEEP = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    " AND state = 'active' AND datname = current_database()"
)


@pytest.fixture
def flask(
    nursery: Nursery, app: Flask, tmp_path: Path, postgres_url: str, mongo_url: str
) -> FlaskApp:
    return FlaskApp(nursery, tmp_path, postgres_url, mongo_url)


def locks_are_free(engine: sa.Engine, mongo_db: Mongo) -> bool:
    def never(holder: Holder | None) -> None:
        raise AssertionError(f"waited for {holder}")

    lock = PostgresLock(engine, key=lock_key(None)).held(timeout_s=0, on_wait=never)
    with lock, MongoLock(mongo_db, lease_s=30).held(timeout_s=0, on_wait=never):
        return True


def numbers(mongo_db: Mongo) -> dict[int, int]:
    """Return how many documents of `item` have which number."""
    groups = mongo_db.item.aggregate([{"$group": {"_id": "$n", "all": {"$sum": 1}}}])
    return {group["_id"]: group["all"] for group in groups}


@pytest.mark.parametrize(
    ("number", "code"), [(SIGINT, 130), (SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_run_after_its_batch_and_the_command_told_carries_it_on(
    flask: FlaskApp,
    tree: Tree,
    engine: sa.Engine,
    mongo_db: Mongo,
    number: Signals,
    code: int,
) -> None:
    tree.add("r1", mongo=INSERT)
    tree.add("r2", mongo=SLOW, mongo_more=SLOWLY)
    init()
    with flask.start("db-migrate", "upgrade", "+2") as run:
        run.sees("transform item: ")
        run.signal(number)
        assert run.end() == code
    assert run.err.endswith(
        f"{number.name}: stopping at the next safe point; send it again to stop at "
        "once.\n"
        f"Stopped by {number.name}: r2 is half done. Done before it: r1. "
        "Carry on with: flask db-migrate upgrade r2\n"
    )
    assert locks_are_free(engine, mongo_db)
    done = numbers(mongo_db)[1]
    assert 0 < done < DOCUMENTS
    assert done % 10 == 0
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert numbers(mongo_db) == {1: DOCUMENTS}
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_a_signal_ends_the_parts_of_an_update_and_each_document_is_updated_once(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    tree.add("r1", mongo='op.insert("item", [{"n": 0} for n in range(20_000)])')
    slow = 'op.update("item", {}, {"$inc": {"n": 1}}, batch_size=20, workers=3'
    tree.add("r2", mongo=f'{slow}, undo={{"$inc": {{"n": -1}}}})')
    init()
    with flask.start("db-migrate", "upgrade") as run:
        run.sees("update item: ")
        run.signal(SIGTERM)
        assert run.end() == 143
    assert set(numbers(mongo_db)) == {0, 1}
    assert locks_are_free(engine, mongo_db)
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert numbers(mongo_db) == {1: 20_000}


def test_a_downgrade_that_a_signal_stopped_is_carried_on_as_one(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    tree.add("r1", mongo=INSERT)
    down = SLOW.replace("up,", "down,")
    tree.add("r2", mongo_down=down, mongo_more=SLOWLY)
    init()
    with flask.start("db-migrate", "upgrade") as run:
        assert run.end() == 0, run.err
    words = ("db-migrate", "downgrade", "--backend", "both", "-d", "migrations")
    with flask.start(*words) as run:
        run.sees("transform item: ")
        run.signal(SIGTERM)
        assert run.end() == 143
    assert run.told == (
        "flask db-migrate downgrade r1 --backend both --directory migrations"
    )
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert numbers(mongo_db) == {-1: DOCUMENTS}
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


FUNCTIONS = {
    "def": """
        import time

        def work(db):
            db.log.insert_one({"at": "begin"})
            time.sleep(1.5)
            db.log.insert_one({"at": "end"})
    """,
    "async def": """
        import asyncio

        async def work(db):
            await db.log.insert_one({"at": "begin"})
            await asyncio.sleep(1.5)
            await db.log.insert_one({"at": "end"})
    """,
}


@pytest.mark.parametrize("more", FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_a_function_of_a_script_comes_to_its_end_before_the_run_stops(
    flask: FlaskApp, tree: Tree, mongo_db: Mongo, more: str
) -> None:
    run = 'op.run(work, name="work")\nop.create_collection("c")'
    tree.add("r1", mongo=run, mongo_more=more)
    init()
    with flask.start("db-migrate", "upgrade") as process:
        while not mongo_db.log.count_documents({}):
            time.sleep(0.02)
        process.signal(SIGINT)
        assert process.end() == 130
    assert [each["at"] for each in mongo_db.log.find()] == ["begin", "end"]
    assert "c" not in mongo_db.list_collection_names()
    with flask.again(process.told) as rest:
        assert rest.end() == 0, rest.err
    assert mongo_db.log.count_documents({}) == 2
    assert "c" in mongo_db.list_collection_names()


def test_a_second_signal_stops_at_once_and_leaves_what_a_kill_leaves(
    flask: FlaskApp, tree: Tree, mongo_db: Mongo
) -> None:
    more = """
        import time

        def work(db):
            db.log.insert_one({"at": "begin"})
            time.sleep(60)
    """
    tree.add("r1", mongo='op.run(work, name="work")', mongo_more=more)
    init()
    with flask.start("db-migrate", "upgrade") as run:
        while not mongo_db.log.count_documents({}):
            time.sleep(0.02)
        run.signal(SIGTERM)
        run.sees("send it again to stop")
        run.signal(SIGINT)
        sent = time.monotonic()
        assert run.end() == 130
        assert time.monotonic() - sent < AT_ONCE_S
    assert run.told == "flask db-migrate upgrade head"
    record = mongo_db["_migrations_steps"].find_one({"_id.step": 0})
    assert record is not None
    assert record["status"] == "started"


@pytest.mark.parametrize("held", ["postgres", "mongo"])
def test_a_run_that_waits_for_a_lock_ends_at_once(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo, held: str
) -> None:
    tree.add("r1", mongo='op.create_collection("c")')
    init()
    lock: Any = MongoLock(mongo_db, lease_s=30).held(timeout_s=0, on_wait=print)
    if held == "postgres":
        lock = PostgresLock(engine, key=lock_key(None)).held(timeout_s=0, on_wait=print)
    with lock, flask.start("db-migrate", "upgrade") as run:
        run.sees("Waiting for another migration")
        run.signal(SIGTERM)
        sent = time.monotonic()
        assert run.end() == 143
        assert time.monotonic() - sent < AT_ONCE_S
    assert run.err.endswith(
        "Stopped by SIGTERM: no revision was completed. "
        "Carry on with: flask db-migrate upgrade head\n"
    )
    assert stamps(engine, mongo_db) == ([], [])


def test_a_statement_of_postgres_is_cancelled_and_the_mongo_half_is_carried_on(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    table = 'op.create_table("t", sa.Column("a", sa.Integer))'
    mongo = 'op.insert("log", [{"once": True}])'
    tree.add("r1", postgres=f"{table}\n{NAP}", mongo=mongo)
    init()
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE nap AS SELECT 60 AS seconds"))
    with (
        flask.start("db-migrate", "upgrade", "--json") as run,
        engine.connect() as look,
    ):
        while not look.execute(ASLEEP).scalar_one():
            time.sleep(0.02)
            look.rollback()
        run.signal(SIGTERM)
        sent = time.monotonic()
        assert run.end() == 143
        assert time.monotonic() - sent < AT_ONCE_S
        look.rollback()
        assert look.execute(ASLEEP).scalar_one() == 0
        assert not sa.inspect(look).has_table("t")
    facts = json.loads(run.out)
    assert (facts["type"], facts["signal"]) == ("Interrupted", "SIGTERM")
    assert facts["revision"] == "r1"
    assert facts["carry_on"] == "flask db-migrate upgrade head --json"
    assert locks_are_free(engine, mongo_db)
    assert mongo_db.log.count_documents({}) == 1
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM nap"))
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert mongo_db.log.count_documents({}) == 1
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


@pytest.mark.parametrize(
    ("number", "code"), [(SIGINT, 130), (SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_statement_is_cancelled_under_psycopg2_too(
    tree: Tree,
    nursery: Nursery,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Mongo,
    postgres_url: str,
    mongo_url: str,
    number: Signals,
    code: int,
) -> None:
    url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg2")
    url_of = url.render_as_string(hide_password=False)
    flask = FlaskApp(nursery, tmp_path, url_of, mongo_url)
    tree.add("r1", postgres='op.execute("SELECT pg_sleep(60)")')
    init()
    with (
        flask.start("db-migrate", "upgrade") as run,
        engine.connect() as look,
    ):
        while not look.execute(ASLEEP).scalar_one():
            time.sleep(0.02)
            look.rollback()
        run.signal(number)
        sent = time.monotonic()
        assert run.end() == code, run.err
        assert time.monotonic() - sent < AT_ONCE_S
        look.rollback()
        assert look.execute(ASLEEP).scalar_one() == 0
    assert stamps(engine, mongo_db)[0] == []


def test_between_the_two_sides_a_run_stops_and_is_carried_on(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    more = """
        import time

        def work(db):
            db.log.insert_one({})
            time.sleep(1.5)
    """
    table = 'op.create_table("t", sa.Column("a", sa.Integer))'
    tree.add("r1", mongo='op.run(work, name="work")', mongo_more=more, postgres=table)
    init()
    with flask.start("db-migrate", "upgrade") as run:
        while not mongo_db.log.count_documents({}):
            time.sleep(0.02)
        run.signal(SIGTERM)
        assert run.end() == 143
    assert not sa.inspect(engine).has_table("t")
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert mongo_db.log.count_documents({}) == 1
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_a_run_that_pauses_before_it_tries_again_ends_at_once(
    flask: FlaskApp, tree: Tree, engine: sa.Engine
) -> None:
    tree.add("r1", postgres='op.create_table("t", sa.Column("a", sa.Integer))')
    tree.add("r2", postgres='op.drop_table("t")')
    init()
    with flask.start("db-migrate", "upgrade", "r1") as run:
        assert run.end() == 0, run.err
    words = ("db-migrate", "upgrade", "--lock-timeout", "0.1", "--yes")
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM t"))
        with flask.start(*words) as run:
            run.sees("will be retried in ")
            run.signal(SIGTERM)
            sent = time.monotonic()
            assert run.end() == 143
            assert time.monotonic() - sent < AT_ONCE_S
        connection.rollback()
    assert run.told == "flask db-migrate upgrade head --lock-timeout 0.1 --yes"
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert not sa.inspect(engine).has_table("t")


def test_a_run_does_not_wait_for_an_index_that_the_server_builds(
    flask: FlaskApp, tree: Tree, mongo_db: Mongo
) -> None:
    tree.add("r1", mongo='op.create_index("item", [("n", 1)], name="ix")')
    init()
    mongo_db.item.insert_one({"n": 1})
    with mongo_db.client.start_session() as session, session.start_transaction():
        mongo_db.item.insert_one({"n": 2}, session=session)  # the build waits for it
        with flask.start("db-migrate", "upgrade") as run:
            steps = mongo_db["_migrations_steps"]
            while not steps.count_documents({"_id.step": 0}):
                time.sleep(0.02)
            time.sleep(0.3)
            run.signal(SIGTERM)
            assert run.end() == 143
    with flask.again(run.told) as rest:
        assert rest.end() == 0, rest.err
    assert "ix" in mongo_db.item.index_information()


@pytest.mark.parametrize(
    "words",
    [("downgrade", "--json"), ("repair", "r2", "--undo", "--yes", "--json")],
    ids=["downgrade", "repair"],
)
def test_an_undoing_of_what_was_half_done_says_what_still_is(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo, words: list[str]
) -> None:
    tree.add("r1", mongo=INSERT)
    up, down, body = SLOWLY.partition("def down")
    tree.add("r2", mongo=SLOW, mongo_more=up + down + body.replace("0.005", "0.015"))
    init()
    with flask.start("db-migrate", "upgrade") as run:
        run.sees("transform item: ")
        run.signal(SIGTERM)
        assert run.end() == 143, run.err
    with flask.start("db-migrate", *words) as undoing:
        undoing.sees("undo transform item: ")
        undoing.signal(SIGTERM)
        assert undoing.end() == 143, undoing.err
    told = json.loads(undoing.out)
    assert (told["revision"], told["done"]) == ("r2", [])
    assert "r2 is half done." in undoing.err
    assert locks_are_free(engine, mongo_db)
    with flask.again(undoing.told) as rest:
        assert rest.end() == 0, rest.err
    assert numbers(mongo_db) == {0: DOCUMENTS}
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_an_undoing_that_a_signal_stopped_says_why_it_was_undone(
    flask: FlaskApp, tree: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    tree.add("r1", mongo=INSERT)
    boom = 'op.execute("SELECT 1 / 0")'
    tree.add("r2", mongo=SLOW, mongo_more=SLOWLY, postgres=boom)
    init()
    with flask.start("db-migrate", "upgrade") as run:
        run.sees("undo transform item: ")
        run.signal(SIGTERM)
        assert run.end() == 143, run.err
    assert "It had failed and is being undone: PostgreSQL script" in run.err
    assert "division by zero" in run.err
    assert locks_are_free(engine, mongo_db)
    with flask.start("db-migrate", "downgrade", "r1") as rest:
        assert rest.end() == 0, rest.err
    assert numbers(mongo_db) == {0: DOCUMENTS}
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
