"""Time limits: a table's lock is tried again, what takes too long is undone."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import (
    LockTimeout,
    PartialFailure,
    TreeError,
    UsageError,
    init,
    upgrade,
)
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import stamps

Mongo = Database[dict[str, Any]]

TABLE = 'op.create_table("t", sa.Column("a", sa.Integer))'
ADD = 'op.add_column("t", sa.Column("b", sa.Integer))'
LOG = 'op.insert("log", [{"n": 1}])'
NAP = 'op.execute("SELECT pg_sleep(1)")'
SLOW = """op.update(
    "item", {"$expr": {"$function": {
        "body": "function () { sleep(100); return true; }", "args": [], "lang": "js",
    }}}, {"$inc": {"n": 1}}, batch_size=20, undo={"$inc": {"n": -1}})"""


@pytest.fixture
def at_r1(app: Flask, tree: Tree) -> Tree:
    """A tree whose first revision is applied: a table `t`, and 60 items."""
    items = 'op.insert("item", [{"n": 0} for _ in range(60)])'
    tree.add("r1", postgres=TABLE, mongo=items)
    init()
    upgrade()
    return tree


@contextmanager
def table_locked(engine: sa.Engine, seconds: float) -> Iterator[None]:
    """Hold a lock of `t` for some seconds, from now on."""
    locked = threading.Event()

    def hold() -> None:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT * FROM t"))
            locked.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert locked.wait(10)
    yield
    thread.join()


def longest_wait_of_a_reader(engine: sa.Engine, until: threading.Event) -> float:
    """Read `t` again and again; return how many seconds the slowest one took."""
    longest = 0.0
    with engine.connect() as connection:
        while not until.is_set():
            began = time.monotonic()
            connection.execute(sa.text("SELECT count(*) FROM t"))
            connection.rollback()
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.01)
    return longest


def test_a_table_that_is_locked_for_a_while_is_tried_again_and_nobody_waits_for_long(
    at_r1: Tree,
    engine: sa.Engine,
    mongo_db: Mongo,
    caplog: pytest.LogCaptureFixture,
) -> None:
    at_r1.add("r2", postgres=ADD, mongo=LOG)
    init()
    over, waits = threading.Event(), list[float]()
    reader = threading.Thread(
        target=lambda: waits.append(longest_wait_of_a_reader(engine, over)),
        daemon=True,
    )
    with table_locked(engine, 2):
        reader.start()
        upgrade(limits={"lock_timeout_s": 0.3})
    over.set()
    reader.join()
    assert "retry" in [vars(record).get("event") for record in caplog.records]
    assert waits[0] < 1.5
    assert mongo_db.log.count_documents({}) == 1
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_a_lock_that_is_not_had_leaves_both_where_they_were(
    at_r1: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    at_r1.add("r2", postgres=ADD, mongo=LOG)
    init()
    limits = {"lock_timeout_s": 0.1, "lock_retries": 0}
    with table_locked(engine, 1), pytest.raises(LockTimeout) as caught:
        upgrade(limits=limits)
    assert caught.value.exit_code == 5
    assert "revision r2" in str(caught.value)
    assert "lock_timeout, 0.1 s" in str(caught.value)
    assert "--lock-timeout" in str(caught.value)
    assert "log" not in mongo_db.list_collection_names()
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_who_holds_the_lock_of_a_table_is_named_and_what_it_says_is_not(
    at_r1: Tree, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    at_r1.add("r2", postgres=ADD)
    init()
    with engine.connect() as holder:
        secret = "SELECT a, 'a secret' FROM t"
        pid = holder.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        holder.execute(sa.text("SET application_name = 'the reader'"))
        holder.execute(sa.text(secret))
        limits = {"lock_timeout_s": 1.5, "lock_retries": 1}
        with pytest.raises(LockTimeout) as caught:
            upgrade(limits=limits)
        holder.rollback()
    words = (
        rf"held by pid {pid} \(user \w+, application 'the reader', idle in transaction "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\)"
    )
    assert re.search(f"lock_timeout, 1.5 s: {words}; its", str(caught.value))
    assert "End that transaction" in str(caught.value)
    assert str(pid) in str(caught.value.holder)
    (retry,) = [r for r in caplog.records if vars(r).get("event") == "retry"]
    assert re.search(words, retry.getMessage())
    assert "secret" not in str(caught.value) + caplog.text


def test_a_script_that_has_committed_a_part_is_not_tried_again(
    at_r1: Tree, engine: sa.Engine
) -> None:
    block = """
        op.execute("INSERT INTO t VALUES (1)")
        with op.get_context().autocommit_block():
            op.execute("SET lock_timeout = 100")
            op.execute("ALTER TABLE t ADD COLUMN b integer")
    """
    at_r1.add("r2", postgres=block)
    init()
    with table_locked(engine, 2), pytest.raises(LockTimeout):
        upgrade()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar_one() == 1


def test_a_statement_that_takes_too_long_is_rolled_back_and_the_mongo_half_undone(
    at_r1: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    at_r1.add("r2", postgres=f"{ADD}\n{NAP}", mongo=LOG)
    init()
    with pytest.raises(PartialFailure) as caught:
        upgrade(limits={"statement_timeout_s": 0.2})
    assert "revision r2 took longer than statement_timeout, 0.2 s" in str(caught.value)
    assert "--statement-timeout" in str(caught.value)
    assert "log" not in mongo_db.list_collection_names()
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    upgrade()
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_a_batch_that_takes_too_long_is_undone_with_those_before_it(
    at_r1: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    first = 'op.update("item", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})'
    at_r1.add("r2", mongo=f"{first}\n{SLOW}")
    init()
    began = time.monotonic()
    with pytest.raises(PartialFailure) as caught:
        upgrade(limits={"max_time_s": 0.5})
    assert time.monotonic() - began < 15
    assert "It took longer than max_time_s, 0.5 s" in str(caught.value)
    assert "revision r2, step 1" in str(caught.value)
    assert mongo_db.item.count_documents({"n": 0}) == 60
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_a_command_that_waits_too_long_is_undone(
    at_r1: Tree, engine: sa.Engine, mongo_db: Mongo
) -> None:
    at_r1.add("r2", mongo='op.create_index("item", [("n", 1)], name="ix")')
    init()
    with mongo_db.client.start_session() as session, session.start_transaction():
        mongo_db.item.insert_one({"n": 2}, session=session)

        def let_go() -> None:
            time.sleep(3)
            session.abort_transaction()

        thread = threading.Thread(target=let_go, daemon=True)
        thread.start()
        with pytest.raises(PartialFailure, match="max_time_s, 1 s"):
            upgrade(limits={"max_time_s": 1})
        thread.join()
    assert set(mongo_db.item.index_information()) == {"_id_"}
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


@pytest.mark.parametrize(
    ("app_s", "script_s", "run_s", "passes"),
    [
        (0.2, None, None, False),
        (0.2, 9, None, True),
        (9, 0.2, None, False),
        (9, 0.2, 9, True),
        (9, 9, 0.2, False),
        (0.2, None, 0, True),
    ],
    ids=["app", "script", "script-low", "run", "run-low", "none"],
)
def test_the_option_wins_over_the_script_and_the_script_over_the_app(
    make_app: MakeApp,
    at_r1: Tree,
    app_s: float,
    script_s: float | None,
    run_s: float | None,
    passes: bool,
) -> None:
    more = "" if script_s is None else f"statement_timeout_s = {script_s}\n"
    at_r1.add("r2", postgres=NAP, postgres_more=more)
    app = make_app(config={"DUALMIGRATE_POSTGRES_STATEMENT_TIMEOUT_S": app_s})
    with app.app_context():
        init()
        if passes:
            upgrade(limits={"statement_timeout_s": run_s})
            return
        with pytest.raises(PartialFailure, match=r"statement_timeout, 0\.2 s"):
            upgrade(limits={"statement_timeout_s": run_s})


@pytest.mark.parametrize(
    ("side", "line", "words"),
    [
        (
            "postgres",
            "lock_timeout_s = '5s'",
            "lock_timeout_s must be a number of seconds",
        ),
        ("postgres", "statement_timeout_s = -1", "0 or more, not -1"),
        ("postgres", "lock_timeout_s = 3e6", "2147483 at most, not 3000000"),
        ("postgres", "lock_retries = 1.5", "lock_retries must be a number of times"),
        ("postgres", "max_time_s = 1", "max_time_s is not a time limit of PostgreSQL"),
        ("mongo", "max_time_s = True", "max_time_s must be a number of seconds"),
        ("mongo", "max_time_s = float('nan')", "not nan"),
        (
            "mongo",
            "lock_timeout_s = 1",
            "lock_timeout_s is not a time limit of MongoDB",
        ),
    ],
    ids=[
        *("text", "negative", "long", "fraction", "mongo's", "bool", "nan"),
        "postgres's",
    ],
)
def test_a_limit_in_a_script_that_is_none_is_refused_before_anything_is_changed(
    app: Flask,
    tree: Tree,
    engine: sa.Engine,
    mongo_db: Mongo,
    side: str,
    line: str,
    words: str,
) -> None:
    tree.add("r1", postgres=TABLE, mongo=LOG)
    tree.add("r2", **{f"{side}_more": f"{line}\n"})
    init()
    with pytest.raises(TreeError, match=words) as caught:
        upgrade()
    assert caught.value.where == str(tree.path(side, "r2"))
    assert stamps(engine, mongo_db) == ([], [])
    assert mongo_db.list_collection_names() == []


def test_a_limit_of_a_run_that_is_none_is_refused(app: Flask, tree: Tree) -> None:
    with pytest.raises(UsageError, match="lock_timeout is not a time limit"):
        upgrade(limits={"lock_timeout": 1})
    with pytest.raises(
        UsageError, match=r"max_time_s must be a number of seconds.* not -1"
    ):
        upgrade(limits={"max_time_s": -1})
    with pytest.raises(UsageError, match=r"max_time_s must be .* 2147483 at most"):
        upgrade(limits={"max_time_s": float("inf")})


@pytest.mark.parametrize(
    "name", ["lock_timeout_s", "statement_timeout_s", "max_time_s"]
)
def test_the_servers_take_the_longest_limit_there_is(
    app: Flask, at_r1: Tree, name: str
) -> None:
    at_r1.add("r2", postgres=ADD, mongo='op.update("item", {}, {"$set": {"n": 1}})')
    init()
    upgrade(limits={name: 2_147_483})


def test_the_printed_script_keeps_to_the_limits_of_each_revision(
    app: Flask, tree: Tree
) -> None:
    tree.add("r1", postgres=TABLE, postgres_more="statement_timeout_s = 0.5\n")
    tree.add("r2", postgres=ADD)
    init()
    text = str(upgrade(sql=True, limits={"lock_timeout_s": 2}))
    assert text.count("SET LOCAL lock_timeout = 2000;") == 2
    assert text.count("SET LOCAL statement_timeout = 500;") == 1


def test_the_servers_own_statement_timeout_stays_where_no_limit_is_set(
    app: Flask, at_r1: Tree, engine: sa.Engine, postgres_url: str
) -> None:
    name = sa.make_url(postgres_url).database
    with engine.begin() as connection:
        connection.execute(
            sa.text(f'ALTER DATABASE "{name}" SET statement_timeout = 200')
        )
    at_r1.add("r2", postgres=NAP)
    init()
    app.extensions["sqlalchemy"].engine.dispose()
    with pytest.raises(PartialFailure, match="statement_timeout of the server"):
        upgrade()
    upgrade(limits={"statement_timeout_s": 0})
