"""auto_upgrade in the workers of a real gunicorn, with and without --preload."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import init
from tests.integration.conftest import MakeApp, Tree
from tests.support.gunicorns import Gunicorn
from tests.support.snapshots import stamps

APP = "tests.support.gunicorn_app"
WORKERS = 16

Start = Callable[..., Gunicorn]


@pytest.fixture
def counted(make_app: MakeApp, tmp_path: Path) -> Tree:
    """A tree of one slow revision that counts how often it is run on either side."""
    with make_app().app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add(
            "r1",
            postgres="""
                op.execute("CREATE TABLE ran (n serial)")
                op.execute("INSERT INTO ran DEFAULT VALUES")
            """,
            mongo="""
                op.insert("ran", [{"n": 1}])
                op.run(call, idempotent=True, undo=call_back)
            """,
            mongo_more="""
                import os
                import time

                def call(db):
                    db.calls.insert_one({})
                    time.sleep(float(os.environ["TAKES_S"]))

                def call_back(db):
                    db.calls.delete_many({})
            """,
        )
        init()
    return tree


@pytest.fixture
def start(
    counted: Tree, tmp_path: Path, postgres_url: str, mongo_url: str
) -> Iterator[Start]:
    """Return a function that starts gunicorn on the app.

    takes_s: seconds that the migration takes.
    """
    with ExitStack() as stack:

        def start(
            auto_upgrade: bool | str, *words: str, workers: int, takes_s: float = 0
        ) -> Gunicorn:
            server = Gunicorn(
                tmp_path / "gunicorn.log",
                *("--no-control-socket", "--timeout=120", f"--workers={workers}"),
                # Imports it before the fork, which saves time, and makes no app.
                f"--config=python:{APP}",
                *words,
                f"{APP}:create_app()",
                env={
                    "DATABASE_URL": postgres_url,
                    "MONGO_URI": mongo_url,
                    "MIGRATIONS": str(counted.root),
                    "AUTO_UPGRADE": str(auto_upgrade),
                    "TAKES_S": str(takes_s),
                },
            )
            stack.callback(server.stop)
            return server

        yield start


def mend(tree: Tree, *, broken: bool) -> None:
    """Break the PostgreSQL script, or mend it."""
    path, good, bad = tree.path("postgres", "r1"), "DEFAULT VALUES", "NO VALUES"
    text = path.read_text()
    path.write_text(text.replace(good, bad) if broken else text.replace(bad, good))


@pytest.mark.parametrize("words", [(), ("--preload",)], ids=["workers", "preload"])
def test_16_workers_on_an_empty_database_migrate_once_and_all_serve(
    start: Start, words: tuple[str, ...]
) -> None:
    server = start(True, *words, workers=WORKERS, takes_s=2)
    answers = server.ask_all(WORKERS)

    done = {(each["rows"], each["documents"], each["calls"]) for each in answers}
    assert done == {(1, 1, 1)}
    # A connection that was forked would have the session of another worker.
    assert len({each["session"] for each in answers}) == WORKERS
    assert server.said.count("Booting worker") == WORKERS
    assert "Traceback" not in server.said
    assert "Warning" not in server.said  # PyMongo: "MongoClient opened before fork"


@pytest.mark.parametrize("words", [(), ("--preload",)], ids=["workers", "preload"])
def test_no_worker_serves_when_the_upgrade_fails(
    counted: Tree, start: Start, mongo_db: Database[Any], words: tuple[str, ...]
) -> None:
    mend(counted, broken=True)
    server = start(True, *words, workers=2)

    assert server.end() != 0
    assert server.answers_nobody()
    reason = "flask_dualmigrate.errors.PartialFailure: The upgrade of r1 failed: "
    assert reason in server.said
    assert "syntax error" in server.said
    # The reason, not how it came about below: a file of ours is named in one frame.
    assert "direct cause" not in server.said
    assert "executor.py" not in server.said
    assert mongo_db.calls.count_documents({}) == 0


def test_a_migration_may_take_longer_than_the_timeout_of_gunicorn(
    start: Start, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    server = start(True, "--timeout=1", workers=1, takes_s=3)
    give_up = time.monotonic() + 60
    while stamps(engine, mongo_db) != (["r1"], ["r1"]):
        assert time.monotonic() < give_up, server.said
        time.sleep(0.05)
    assert mongo_db.calls.count_documents({}) == 1
    assert server.said.count("Booting worker") == 1
    assert "WORKER TIMEOUT" not in server.said


def test_a_loop_of_restarts_does_no_harm_and_a_mended_script_ends_it(
    counted: Tree, start: Start, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    mend(counted, broken=True)
    for _ in range(3):
        assert start(True, "--preload", workers=1).end() != 0
        assert stamps(engine, mongo_db) == ([], [])
        assert mongo_db.ran.count_documents({}) == 0
    mend(counted, broken=False)

    answer = start(True, "--preload", workers=1).get()
    assert (answer["rows"], answer["documents"], answer["calls"]) == (1, 1, 1)


def test_no_worker_of_an_app_that_checks_serves_while_a_revision_is_pending(
    start: Start, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    server = start("check", workers=1)

    assert server.end() != 0
    assert server.answers_nobody()
    assert "The databases are behind this code: r1. Run: flask db-migrate upgrade" in (
        server.said
    )
    assert stamps(engine, mongo_db) == ([], [])
    assert mongo_db.list_collection_names() == []
