"""auto_upgrade: when the app is created, and when not; the locks behind it."""

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import (
    DatabaseUnavailable,
    IntegrityError,
    LockTimeout,
    PartialFailure,
    UsageError,
    check,
    init,
    stamp,
    upgrade,
)
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.postgres.lock.lock import PostgresLock, lock_key
from flask_dualmigrate.revisions import Direction
from tests.integration.conftest import MakeApp, Tree
from tests.support.flask_processes import Running
from tests.support.lock_holders import nobody
from tests.support.nursery import Nursery
from tests.support.snapshots import stamps

FACTORY = """
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate


def create_app():
    app = Flask(__name__)
    db, mongo = SQLAlchemy(), PyMongo()
    app.config["DUALMIGRATE_BACKUP"] = "never"
    app.config["SQLALCHEMY_DATABASE_URI"] = {postgres!r}
    app.config["MONGO_URI"] = {mongo!r}
    db.init_app(app)
    mongo.init_app(app)
    DualMigrate(app, db, mongo, auto_upgrade={auto_upgrade!r})

    @app.cli.command("say-hello")
    def say_hello():
        print("hello")

    return app
"""


@pytest.fixture
def flask_command(
    nursery: Nursery, two: Tree, tmp_path: Path, postgres_url: str, mongo_url: str
) -> Any:
    """Return a function that runs `flask …` on an app that upgrades by itself."""
    source = FACTORY.format(postgres=postgres_url, mongo=mongo_url, auto_upgrade=True)
    (tmp_path / "factory.py").write_text(source)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        with Running(nursery, tmp_path, *words) as running:
            code = running.end()
        return subprocess.CompletedProcess(words, code, running.out, running.err)

    return run


def test_the_app_is_at_head_when_it_has_been_created(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    make_app(auto_upgrade=True)
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


@pytest.mark.parametrize(
    "words",
    [
        ("db-migrate", "heads"),
        ("db-migrate", "--help"),
        ("db-migrate", "upgrade", "--dry-run"),
        ("shell",),
        ("routes",),
        ("--help",),
    ],
    ids=" ".join,
)
def test_a_command_that_only_looks_does_not_upgrade(
    flask_command: Any,
    engine: sa.Engine,
    mongo_db: Database[Any],
    words: tuple[str, ...],
) -> None:
    done = flask_command(*words)
    assert done.returncode == 0, done.stderr
    assert stamps(engine, mongo_db) == ([], [])


def test_a_command_of_the_app_finds_the_databases_upgraded(
    flask_command: Any, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    done = flask_command("say-hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_check_refuses_to_start_while_revisions_are_pending(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    with pytest.raises(IntegrityError, match="r1, r2"):
        make_app(auto_upgrade="check")
    assert stamps(engine, mongo_db) == ([], [])
    make_app(auto_upgrade=True)
    make_app(auto_upgrade="check")


def test_a_start_refuses_a_database_whose_journal_was_dropped(
    two: Tree, make_app: MakeApp, engine: sa.Engine
) -> None:
    make_app(auto_upgrade=True)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE dualmigrate_journal"))
    with pytest.raises(IntegrityError, match="r2 and has no journal"):
        make_app(auto_upgrade=True)


def test_a_database_that_alembic_had_alone_is_taken_over_at_its_revision(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num text)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('r1')"))
    with make_app().app_context():
        stamp(revision="r1", backend="mongo")
        upgrade()
        assert [f for f in check().findings if f.kind != "models"] == []
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_an_auto_upgrade_that_is_none_of_the_three_is_refused(
    make_app: MakeApp,
) -> None:
    with pytest.raises(UsageError, match="auto_upgrade"):
        make_app(auto_upgrade="yes")


def test_workers_that_start_at_once_run_each_revision_once(
    two: Tree, tmp_path: Path, flask_command: Any, mongo_db: Database[Any]
) -> None:
    two.add("r3", mongo='op.insert("c", [{"from": "r3"}])')
    lines = (two.root / "revisions.lock").read_text()
    (two.root / "revisions.lock").write_text(f"{lines}r3 r2 r3.py\n")
    results: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(flask_command("say-hello").returncode)
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 6
    assert mongo_db.c.count_documents({}) == 1


@pytest.mark.parametrize("held", ["postgres", "mongo"])
def test_a_lock_that_is_not_had_in_time_names_its_holder(
    two: Tree,
    make_app: MakeApp,
    engine: sa.Engine,
    mongo_db: Database[Any],
    held: str,
) -> None:
    app = make_app(config={"DUALMIGRATE_LOCK_TIMEOUT_S": 0.3})
    lock: Any = PostgresLock(engine, key=lock_key(None)).held(
        timeout_s=0, on_wait=nobody
    )
    if held == "mongo":
        lock = MongoLock(mongo_db, lease_s=30).held(timeout_s=0, on_wait=nobody)
    with lock, app.app_context(), pytest.raises(LockTimeout, match="pid") as caught:
        upgrade()
    assert caught.value.exit_code == 5
    assert caught.value.holder
    assert stamps(engine, mongo_db) == ([], [])


def test_a_lease_whose_holder_was_killed_is_had_when_it_ends(
    mongo_db: Database[Any],
) -> None:
    dead = MongoLock(mongo_db, lease_s=1)
    dead._seed()
    assert dead._take()
    token = dead.token
    alive = MongoLock(mongo_db, lease_s=1)
    with alive.held(timeout_s=5, on_wait=lambda holder: None):
        assert alive.token == token + 1


def test_a_lease_is_renewed_while_it_is_held(mongo_db: Database[Any]) -> None:
    lock = MongoLock(mongo_db, lease_s=1)
    with lock.held(timeout_s=0, on_wait=nobody):
        other = MongoLock(mongo_db, lease_s=1)
        waiting = other.held(timeout_s=2.5, on_wait=lambda holder: None)
        with pytest.raises(LockTimeout):
            waiting.__enter__()
        lock.require()


def test_a_failing_auto_upgrade_lets_no_app_start(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    path = two.path("postgres", "r2")
    path.write_text(path.read_text().replace("pass", "raise RuntimeError('boom')", 1))
    with pytest.raises(Exception, match="boom"):
        make_app(auto_upgrade=True)
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_a_server_that_was_lost_is_not_the_fault_of_the_script(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    lost = 'op.execute("SELECT pg_terminate_backend(pg_backend_pid())")'
    two.add("r3", postgres=lost, mongo='op.create_collection("d")')
    lines = (two.root / "revisions.lock").read_text()
    (two.root / "revisions.lock").write_text(f"{lines}r3 r2 r3.py\n")
    with pytest.raises(DatabaseUnavailable):
        make_app(auto_upgrade=True)
    entry = mongo_db["_migrations"].find_one({"_id": "r3"})
    assert entry is not None
    assert (entry["status"], entry["checksum"]) == ("failed", None)
    query = sa.text("SELECT checksum FROM dualmigrate_journal WHERE revision = 'r3'")
    with engine.connect() as connection:
        assert connection.execute(query).scalars().all() == [None]


def test_processes_that_waited_for_a_run_that_failed_do_not_repeat_it(
    nursery: Nursery,
    two: Tree,
    flask_command: Any,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> None:
    more = """
        import time

        def work(db):
            db.tries.insert_one({})
            while db.gate.find_one() is None:
                time.sleep(0.02)

        def undo(db):
            pass
    """
    run = "op.run(work, idempotent=True, undo=undo)"
    two.add("r3", mongo=run, mongo_more=more, postgres='op.execute("SELECT 1 / 0")')
    lines = (two.root / "revisions.lock").read_text()
    (two.root / "revisions.lock").write_text(f"{lines}r3 r2 r3.py\n")
    with ExitStack() as stack:
        first = stack.enter_context(Running(nursery, tmp_path, "say-hello"))
        while not mongo_db.tries.count_documents({}):
            assert first.poll() is None, first.err
            time.sleep(0.02)
        others = [
            stack.enter_context(Running(nursery, tmp_path, "say-hello"))
            for _ in range(3)
        ]
        for other in others:
            other.sees("Waiting for another migration")
        mongo_db.gate.insert_one({})
        for each in (first, *others):
            assert each.end() != 0
            assert "PartialFailure: The upgrade of r3 failed: " in each.err
            assert "division by zero" in each.err
        waited = ["tried it while this run waited" in other.err for other in others]
    assert (waited, mongo_db.tries.count_documents({})) == ([True] * 3, 1)
    count = sa.text("SELECT count(*) FROM dualmigrate_journal WHERE revision = 'r3'")
    with engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 1

    assert flask_command("say-hello").returncode != 0  # a start that comes later tries
    assert mongo_db.tries.count_documents({}) == 2
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


@pytest.mark.parametrize("held", ["postgres", "mongo"])
def test_check_waits_for_no_lock(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any], held: str
) -> None:
    lock: Any = PostgresLock(engine, key=lock_key(None)).held(
        timeout_s=0, on_wait=nobody
    )
    if held == "mongo":
        lock = MongoLock(mongo_db, lease_s=30).held(timeout_s=0, on_wait=nobody)
    with lock, pytest.raises(IntegrityError, match="behind this code"):
        make_app(auto_upgrade="check", config={"DUALMIGRATE_LOCK_TIMEOUT_S": 0})


def test_check_refuses_a_half_done_revision_and_leaves_it_as_it_is(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    path = two.path("mongo", "r2")
    path.write_text(path.read_text().replace('("c")', '("c"); op.run(stop)', 1))
    with path.open("a") as file:
        file.write("def stop(db):\n    raise RuntimeError('half-way')\n")
    with pytest.raises(PartialFailure, match="half-way"):
        make_app(auto_upgrade=True)
    journal = list(mongo_db["_migrations"].find())

    with pytest.raises(IntegrityError, match=r"half done: r2.*flask db-migrate repair"):
        make_app(auto_upgrade="check")
    assert list(mongo_db["_migrations"].find()) == journal
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_two_threads_that_create_apps_at_once_run_each_revision_once(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    two.add("r3", mongo='op.insert("c", [{"from": "r3"}])')
    with make_app().app_context():
        init()
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(make_app, auto_upgrade=True) for _ in range(4)]
    for each in made:
        each.result()  # raises what it raised
    assert stamps(engine, mongo_db) == (["r3"], ["r1", "r2", "r3"])
    assert mongo_db.c.count_documents({}) == 1


def test_a_run_that_ends_between_two_reads_of_another_is_no_contradiction(
    two: Tree, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = make_app(), make_app()
    with first.app_context():
        env = environment_of()
        read = env.run.states

        def overtaken() -> Any:
            """Read that there is no history; then there is one, tables and all."""
            monkeypatch.setattr(env.run, "states", read)
            states = read()
            with other.app_context():
                upgrade()
            return states

        monkeypatch.setattr(env.run, "states", overtaken)
        assert env.run.migrate("heads", Direction.UPGRADE) == ()
