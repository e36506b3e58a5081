"""What a dead run left at work on PostgreSQL: it is over before the next run looks."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import DatabaseUnavailable, downgrade, init, upgrade
from tests.integration.conftest import MakeApp, Tree
from tests.support.nursery import KILLED, Command, Nursery
from tests.support.postgres.proxies import cuttable
from tests.support.snapshots import stamps

LONG_S, NAP_S = 60, 3
QUICK_S = 10.0
"""A recovery that waits for nothing; far below LONG_S."""

NAPS = """
CREATE TABLE naps (seconds float);
INSERT INTO naps VALUES (0);
"""

# SET CONSTRAINTS ALL IMMEDIATE is said before: what is to run in the COMMIT itself has
# to be put off again by what the journal's row sets off.
SLOW_COMMIT = """
CREATE TABLE late (n int);
CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(seconds) FROM naps; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION nap();
CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO late VALUES (1); RETURN NULL;
    END $$;
CREATE TRIGGER put_off AFTER INSERT ON dualmigrate_journal
    FOR EACH ROW EXECUTE FUNCTION put_off();
"""


@pytest.fixture
def sql(postgres_url: str) -> Iterator[Callable[..., Any]]:
    """A function that runs SQL, each call committed by itself."""
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")

    def run(statement: str) -> Any:
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else None

    yield run
    engine.dispose()


@pytest.fixture
def counted(tree: Tree, sql: Callable[..., Any], mongo_db: Database[Any]) -> Tree:
    """r1 is applied; one document, and what slows a script down."""
    tree.add("r1", postgres='op.create_table("t", sa.Column("a", sa.Integer))')
    init()
    upgrade()
    for statement in NAPS.split(";")[:-1]:
        sql(statement)
    mongo_db.item.insert_one({"_id": 1, "n": 0})
    return tree


INC = 'op.update("item", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})'


class Runs:
    """Starts `upgrade` in a process of its own, to be killed while PostgreSQL works."""

    def __init__(self, nursery: Nursery, command: Command) -> None:
        self._nursery, self._command = nursery, command
        self.said = Path(command.output)

    def start(self, *words: str) -> int:
        """Begin `upgrade`, or another command."""
        self.said.unlink(missing_ok=True)
        command = self._command
        if words:
            command = dataclasses.replace(command, words=words)
        return self._nursery.start(command)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self._nursery.wait(pid, timeout_s=10) == KILLED

    def wait(self, pid: int, *, timeout_s: float = 60) -> int | None:
        return self._nursery.wait(pid, timeout_s=timeout_s)


@pytest.fixture
def runs(
    nursery: Nursery, counted: Tree, postgres_url: str, mongo_url: str, tmp_path: Path
) -> Runs:
    return Runs(
        nursery,
        Command(
            ("upgrade", "--yes"),
            str(counted.root),
            postgres_url,
            mongo_url,
            str(tmp_path / "said"),
        ),
    )


def wait_for(sql: Callable[..., Any], condition: str) -> None:
    """Wait until another session on this database is at work at something."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        f" AND pid <> pg_backend_pid() AND {condition}"
    )
    give_up = time.monotonic() + 20
    while not sql(query):
        assert time.monotonic() < give_up, condition
        time.sleep(0.02)


CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.create_index("ix_a", "t", ["a"], if_not_exists=True,
                    postgresql_concurrently=True)
"""
BUILDS = "query LIKE 'CREATE INDEX%%' AND wait_event_type = 'Lock'"
ASLEEP = "wait_event = 'PgSleep'"


def test_a_statement_of_a_dead_run_is_ended_and_the_next_run_waits_for_none(
    runs: Runs,
    counted: Tree,
    sql: Callable[..., Any],
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> None:
    counted.add(
        "r2",
        mongo=INC,
        postgres="""
            op.add_column("t", sa.Column("b", sa.Integer))
            op.execute("SELECT pg_sleep(seconds) FROM naps")
        """,
    )
    init()
    sql(f"UPDATE naps SET seconds = {LONG_S}")
    pid = runs.start()
    wait_for(sql, ASLEEP)
    runs.kill(pid)
    sql("UPDATE naps SET seconds = 0")
    began = time.monotonic()
    assert runs.wait(runs.start(), timeout_s=LONG_S) == 0, runs.said.read_text()
    assert time.monotonic() - began < QUICK_S
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert mongo_db.item.find_one() == {"_id": 1, "n": 1}


def test_a_commit_that_a_dead_run_had_sent_fails_no_other_run(
    runs: Runs,
    counted: Tree,
    sql: Callable[..., Any],
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> None:
    counted.add(
        "r2", mongo=INC, postgres='op.add_column("t", sa.Column("b", sa.Integer))'
    )
    init()
    sql(SLOW_COMMIT)
    sql(f"UPDATE naps SET seconds = {NAP_S}")
    pid = runs.start()
    wait_for(sql, ASLEEP + " AND query = 'COMMIT'")
    runs.kill(pid)
    sql("UPDATE naps SET seconds = 0")
    assert runs.wait(runs.start()) == 0, runs.said.read_text()
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert mongo_db.item.find_one() == {"_id": 1, "n": 1}
    failures = "SELECT count(*) FROM dualmigrate_journal WHERE status = 'failed'"
    assert sql(failures) == 0


def test_an_index_that_a_dead_run_builds_concurrently_is_waited_for(
    runs: Runs,
    counted: Tree,
    sql: Callable[..., Any],
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> None:
    counted.add(
        "r2",
        mongo=INC,
        postgres=CONCURRENTLY,
    )
    init()
    with engine.connect() as writer:
        writer.exec_driver_sql("INSERT INTO t VALUES (1)")
        pid = runs.start()
        wait_for(sql, BUILDS)
        runs.kill(pid)
        pid = runs.start()
        assert runs.wait(pid, timeout_s=3) is None, runs.said.read_text()
        writer.commit()
    assert runs.wait(pid) == 0, runs.said.read_text()
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_a'::regclass")
    assert mongo_db.item.find_one() == {"_id": 1, "n": 1}


def test_a_commit_that_the_server_is_still_at_does_not_come_after_the_undoing(
    counted: Tree,
    make_app: MakeApp,
    sql: Callable[..., Any],
    engine: sa.Engine,
    postgres_url: str,
    mongo_db: Database[Any],
) -> None:
    counted.add(
        "r2",
        mongo=INC,
        postgres='op.add_column("t", sa.Column("b", sa.Integer))',
    )
    init()
    sql(SLOW_COMMIT)
    sql(f"UPDATE naps SET seconds = {NAP_S}")
    with cuttable(postgres_url) as (near, wires):

        def cut() -> None:
            wait_for(sql, ASLEEP + " AND query = 'COMMIT'")
            wires.cut()

        cutter = threading.Thread(target=cut)
        cutter.start()
        app = make_app(urls={"postgres": near})
        with app.app_context(), pytest.raises(DatabaseUnavailable):
            upgrade()
        cutter.join()
        time.sleep(NAP_S)
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    assert mongo_db.item.find_one() == {"_id": 1, "n": 0}


BLOCKED = {
    "rename_collection": 'op.rename_collection("item", "thing")',
    "drop_collection": 'op.drop_collection("item")',
    "create_index": 'op.create_index("item", [("n", 1)], name="ix_n")',
    "drop_index": 'op.drop_index("item", "ix_old")',
    "set_validator": 'op.set_validator("item", {"n": {"$type": "int"}})',
}


@pytest.mark.parametrize("operation", BLOCKED.values(), ids=BLOCKED)
def test_a_command_of_a_dead_run_that_waits_in_mongodb_does_no_harm_to_the_next(
    runs: Runs,
    counted: Tree,
    engine: sa.Engine,
    mongo_db: Database[Any],
    operation: str,
) -> None:
    mongo_db.item.create_index("m", name="ix_old")
    counted.add("r2", mongo=operation)
    init()
    with mongo_db.client.start_session() as session:
        session.start_transaction()
        mongo_db.item.update_one({"_id": 1}, {"$set": {"n": 5}}, session=session)
        pid = runs.start()
        dead = wait_for_blocked(mongo_db)
        runs.kill(pid)
        pid = runs.start()
        wait_for_blocked(mongo_db, dead)
        session.commit_transaction()
    assert runs.wait(pid) == 0, runs.said.read_text()
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


@pytest.mark.parametrize("name", ["rename_collection", "drop_collection"])
def test_a_command_of_a_dead_run_that_waits_in_mongodb_does_not_come_after_the_undoing(
    runs: Runs, counted: Tree, mongo_db: Database[Any], name: str
) -> None:
    counted.add("r2", mongo=BLOCKED[name])
    init()
    with mongo_db.client.start_session() as session:
        session.start_transaction()
        mongo_db.item.update_one({"_id": 1}, {"$set": {"n": 5}}, session=session)
        pid = runs.start()
        wait_for_blocked(mongo_db)
        runs.kill(pid)
        downgrade(revision="r1")
        session.commit_transaction()
    time.sleep(1)
    names = set(mongo_db.list_collection_names(filter={"name": {"$regex": "^[^_]"}}))
    assert names == {"item"}
    assert mongo_db.item.find_one() == {"_id": 1, "n": 5}


@pytest.mark.parametrize("name", ["create_index", "drop_index", "set_validator"])
def test_the_undoing_of_a_command_that_waits_in_mongodb_comes_after_it(
    runs: Runs, counted: Tree, mongo_db: Database[Any], name: str
) -> None:
    mongo_db.item.create_index("m", name="ix_old")
    counted.add("r2", mongo=BLOCKED[name])
    init()
    with mongo_db.client.start_session() as session:
        session.start_transaction()
        mongo_db.item.update_one({"_id": 1}, {"$set": {"n": 5}}, session=session)
        pid = runs.start()
        wait_for_blocked(mongo_db)
        runs.kill(pid)
        pid = runs.start("downgrade", "r1", "--yes")
        code = runs.wait(pid, timeout_s=2)
        session.commit_transaction()
    code = runs.wait(pid) if code is None else code
    assert code == 0, runs.said.read_text()
    time.sleep(1)
    (info,) = mongo_db.list_collections(filter={"name": "item"})
    assert not info["options"].get("validator")
    assert set(mongo_db.item.index_information()) == {"_id_", "ix_old"}


RENAME = "command.renameCollection"


def wait_for_blocked(db: Database[Any], *others: int) -> int:
    """Wait until a command on a database waits for a lock; return its number."""
    ours = {"$regex": rf"^{db.name}\."}
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"allUsers": True}},
        {"$match": {"waitingForLock": True, "$or": [{"ns": ours}, {RENAME: ours}]}},
        {"$match": {"opid": {"$nin": others}}},
    ]
    give_up = time.monotonic() + 20
    while not (found := list(db.client.admin.aggregate(stages))):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return int(found[0]["opid"])


def test_a_run_that_comes_while_another_builds_an_index_concurrently_waits_for_it(
    runs: Runs, counted: Tree, sql: Callable[..., Any], engine: sa.Engine
) -> None:
    counted.add("r2", postgres=CONCURRENTLY)
    init()
    with engine.connect() as writer:
        writer.exec_driver_sql("INSERT INTO t VALUES (1)")
        first = runs.start()
        wait_for(sql, BUILDS)
        second = runs.start()
        assert runs.wait(second, timeout_s=3) is None, runs.said.read_text()
        writer.commit()
    assert [runs.wait(first), runs.wait(second)] == [0, 0], runs.said.read_text()
    assert sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_a'::regclass")
