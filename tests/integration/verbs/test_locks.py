"""Who holds a lock, as a waiter and `unlock` say it; and what freeing one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import DatabaseUnavailable, LockTimeout, init, unlock, upgrade
from flask_dualmigrate.backend.holder import Holder, mark_of
from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.mongo.journal.journal import MongoJournal
from flask_dualmigrate.mongo.lock import watchdog
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import Transform
from flask_dualmigrate.postgres.lock.lock import PostgresLock, lock_key
from flask_dualmigrate.revisions import BackendName, Direction, Revision
from tests.integration.conftest import MakeApp, Tree
from tests.support.lock_holders import holding, nobody
from tests.support.snapshots import stamps

MONGO, POSTGRES = BackendName.MONGO, BackendName.POSTGRES
HOURS = 5 * 3600


@pytest.fixture
def postgres_lock(engine: sa.Engine) -> PostgresLock:
    return PostgresLock(engine, key=lock_key(None))


@pytest.fixture
def mongo_lock(mongo_db: Database[Any]) -> MongoLock:
    return MongoLock(mongo_db, lease_s=30)


def outcomes(result: Any) -> dict[BackendName, str]:
    return {side.backend: side.outcome for side in result.sides}


@pytest.mark.parametrize("side", ["PostgreSQL", "MongoDB"])
def test_a_waiter_says_who_since_when_at_which_revision_and_on_which_side(
    make_app: MakeApp,
    tmp_path: Path,
    postgres_lock: PostgresLock,
    mongo_lock: MongoLock,
    mongo_db: Database[Any],
    side: str,
) -> None:
    lock: Any = {"PostgreSQL": postgres_lock, "MongoDB": mongo_lock}[side]
    said: list[str] = []
    app = make_app(config={"DUALMIGRATE_LOCK_TIMEOUT_S": 0.6})
    with app.app_context(), lock.held(timeout_s=0, on_wait=nobody):
        init()
        Tree(tmp_path / "migrations").add("r1")
        init()
        journal = MongoJournal(mongo_db, token=lambda: 0)
        journal.begin(Revision("r1"), Direction.UPGRADE, checksum="")
        env = environment_of(on_wait=said.append)
        with pytest.raises(LockTimeout, match="flask db-migrate unlock"):
            env.run.migrate("head", Direction.UPGRADE)

    assert len(said) == 1
    assert said[0].startswith(f"the lock on {side} is held by ")
    assert f"(pid {os.getpid()}), since 20" in said[0]
    assert said[0].endswith("; upgrade of r1")


def test_the_lock_in_postgres_is_not_on_a_connection_of_the_pool(
    postgres_url: str,
) -> None:
    engine = sa.create_engine(postgres_url, pool_size=1, max_overflow=0)
    name = sa.text("SHOW application_name")
    with engine.connect() as connection:
        before = connection.execute(name).scalar_one()
    lock = PostgresLock(engine, key=7)
    with (
        lock.held(timeout_s=0, on_wait=nobody),
        engine.connect() as connection,
    ):
        assert connection.execute(name).scalar_one() == before
        lock.require(connection)
    with engine.connect() as connection:
        assert connection.execute(name).scalar_one() == before
        assert name_is_gone(connection)
    engine.dispose()


def name_is_gone(connection: sa.Connection) -> bool:
    """Return whether no session has our name; a closed one is listed for a moment."""
    sessions = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ "
        "'^dualmigrate:' AND datname = current_database()"
    )
    give_up = time.monotonic() + 20
    while connection.execute(sessions).scalar_one():
        if time.monotonic() > give_up:
            return False
        connection.rollback()  # what is listed stays the same in a transaction
        time.sleep(0.05)
    return True


@pytest.fixture
def other_role(engine: sa.Engine) -> Iterator[sa.Engine]:
    """The same database, as a role that may see nothing of others."""
    name = f"other_{uuid4().hex[:8]}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    url = engine.url.set(username=name, password="x")
    other = sa.create_engine(url, poolclass=sa.NullPool)
    yield other
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_a_role_that_may_not_see_sessions_is_told_the_process_all_the_same(
    postgres_lock: PostgresLock, other_role: sa.Engine
) -> None:
    theirs = PostgresLock(other_role, key=lock_key(None))
    with postgres_lock.held(timeout_s=0, on_wait=nobody):
        holder = theirs.holder()
        assert holder is not None
        assert (holder.pid, holder.since) == (os.getpid(), None)
        assert str(holder).endswith(f"(pid {os.getpid()})")
        with pytest.raises(DatabaseUnavailable, match="pg_terminate_backend") as error:
            theirs.free(holder)
    assert error.value.exit_code == 4


@pytest.mark.parametrize("shift_s", [HOURS, -HOURS], ids=["ahead", "behind"])
def test_a_clock_that_is_hours_off_changes_no_time_that_is_said(
    shift_s: float,
    postgres_url: str,
    mongo_url: str,
    postgres_lock: PostgresLock,
    mongo_lock: MongoLock,
) -> None:
    begun = datetime.now(UTC)
    with holding(postgres_url, mongo_url, shift_s=shift_s) as process:
        holders = [postgres_lock.holder(), mongo_lock.holder()]
    for holder in holders:
        assert holder is not None
        assert holder.pid == process.pid
        assert holder.since is not None
        assert abs((holder.since - begun).total_seconds()) < 60
        assert 0 <= (holder.age_s or 0) < 60
    assert 0 < (holders[1].lease_s or 0) <= 30  # type: ignore[union-attr]


@pytest.mark.parametrize("shift_s", [HOURS, -HOURS], ids=["ahead", "behind"])
def test_a_clock_that_is_hours_off_takes_no_lease_that_is_held(
    shift_s: float, postgres_url: str, mongo_url: str, mongo_lock: MongoLock
) -> None:
    with (
        mongo_lock.held(timeout_s=0, on_wait=nobody),
        pytest.raises(AssertionError, match="holds the lock on MongoDB, and did not"),
        holding(postgres_url, mongo_url, shift_s=shift_s, timeout_s=0),
    ):
        raise RuntimeError("it had the lock")


def test_the_times_of_the_journals_are_those_of_the_servers(
    app: Flask, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(time.time() + HOURS, tz)

    tree.add("r1", postgres='op.create_table("t")', mongo='op.create_collection("c")')
    init()
    monkeypatch.setattr("flask_dualmigrate.postgres.plain_runs.datetime", Ahead)
    upgrade()
    for backend in environment_of().backends.values():
        entry = backend.read().entries["r1"]
        for moment in (entry.started_at, entry.finished_at):
            assert moment is not None
            assert abs((moment - datetime.now(UTC)).total_seconds()) < 60


def test_unlock_where_nobody_holds_a_lock_does_nothing(app: Flask) -> None:
    result = unlock()
    assert result.ok
    assert outcomes(result) == {MONGO: "free", POSTGRES: "free"}


def test_unlock_leaves_a_live_holder_its_locks(
    app: Flask, postgres_url: str, mongo_url: str
) -> None:
    with holding(postgres_url, mongo_url) as process:
        result = unlock()
        assert not result.ok
        assert outcomes(result) == {MONGO: "held", POSTGRES: "held"}
        assert {s.holder.pid for s in result.sides if s.holder} == {process.pid}
        assert outcomes(unlock()) == {MONGO: "held", POSTGRES: "held"}


def test_unlock_frees_the_lease_of_a_process_that_was_killed(
    app: Flask, postgres_url: str, mongo_url: str, mongo_lock: MongoLock
) -> None:
    with holding(postgres_url, mongo_url) as process:
        process.kill()
        process.wait()
        result = unlock()
    (mongo,) = (side for side in result.sides if side.backend is MONGO)
    assert (mongo.outcome, mongo.gone) == (
        "freed",
        "its process no longer exists",
    )
    with mongo_lock.held(timeout_s=0, on_wait=nobody):
        pass


def test_a_lease_is_not_waited_for_where_its_process_was_killed(
    app: Flask, postgres_url: str, mongo_url: str, mongo_lock: MongoLock
) -> None:
    with holding(postgres_url, mongo_url, lease_s=3600) as process:
        process.kill()
        process.wait()
        with mongo_lock.held(timeout_s=0, on_wait=nobody):
            assert mongo_lock.token == 3  # taken, freed, and taken again


def test_a_killed_process_of_another_machine_is_not_proven_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    mark = str(mark_of(process.pid))
    process.wait()
    here = Holder("ann", "web1", process.pid, mark=mark)
    elsewhere = Holder("ann", "web1", process.pid, mark=f"00000000{mark[8:]}")
    unmarked = Holder("ann", "web1", process.pid)
    assert here.gone
    assert elsewhere.gone is None
    assert unmarked.gone is None


def test_a_pid_that_another_process_has_now_proves_the_old_one_gone() -> None:
    mark = str(mark_of(os.getpid()))
    assert Holder("ann", "web1", os.getpid(), mark=mark).gone is None
    assert Holder("ann", "web1", os.getpid(), mark=f"{mark}0").gone


def test_where_proc_is_of_another_namespace_nobody_is_proven_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container that was given the /proc of its host."""
    pid = os.getpid()
    gone = Holder("ann", "web1", pid, mark=f"{mark_of(pid)}0")
    assert gone.gone
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert mark_of(pid) is None
    assert gone.gone is None


def test_unlock_by_force_asks_and_frees_both_sides(
    app: Flask,
    postgres_url: str,
    mongo_url: str,
    postgres_lock: PostgresLock,
    mongo_lock: MongoLock,
) -> None:
    with holding(postgres_url, mongo_url):
        result = unlock(force=True)
        assert outcomes(result) == {MONGO: "freed", POSTGRES: "freed"}
        with postgres_lock.held(timeout_s=0, on_wait=nobody):
            pass
        with mongo_lock.held(timeout_s=0, on_wait=nobody):
            assert mongo_lock.token == 3  # the holder's, the fence's, and this one


def test_unlock_frees_no_lock_that_another_one_has_by_now(
    mongo_lock: MongoLock, mongo_db: Database[Any], postgres_lock: PostgresLock
) -> None:
    with (
        mongo_lock.held(timeout_s=0, on_wait=nobody),
        postgres_lock.held(timeout_s=0, on_wait=nobody),
    ):
        assert mongo_lock.free(Holder(key="somebody before")) is False
        assert postgres_lock.free(Holder(server_pid=1)) is False
        assert mongo_lock.is_held()
        assert postgres_lock.holder() is not None


def test_a_batch_that_is_under_way_when_the_lock_is_freed_is_not_written(
    mongo_lock: MongoLock, mongo_db: Database[Any]
) -> None:
    mongo_db.numbers.insert_many([{"_id": i, "n": 0} for i in range(100)])

    def add_one(doc: dict[str, Any]) -> dict[str, Any]:
        if doc["_id"] == 50 and (holder := mongo_lock.holder()) is not None:
            assert MongoLock(mongo_db, lease_s=30).free(holder)
        return {**doc, "n": doc["n"] + 1}

    step = Transform("numbers", add_one, keep=True, batch_size=20)
    with mongo_lock.held(timeout_s=0, on_wait=nobody):
        runner = OperationRunner(mongo_db, token=mongo_lock.token, batch_seconds=0)
        with pytest.raises(LockLost):
            runner.run("r1", Direction.UPGRADE, [step])
    assert mongo_db.numbers.count_documents({"n": 1}) == 40


def test_a_run_whose_session_was_ended_commits_nothing(
    app: Flask, tree: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    end = (
        'op.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE '
        "application_name ~ '^dualmigrate:' AND datname = current_database()\")\n"
        "import time; time.sleep(0.3)"
    )
    tree.add("r1", postgres=f'op.create_table("t")\n{end}')
    init()
    with pytest.raises(LockLost, match="PostgreSQL"):
        upgrade()
    assert stamps(engine, mongo_db)[0] == []
    assert not sa.inspect(engine).has_table("t")


SLOW = """
import time


def add_one(doc):
    time.sleep(0.002)
    return {**doc, "n": doc["n"] + 1}
"""
APP = """
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate

db, mongo = SQLAlchemy(), PyMongo()
app = Flask(__name__)
app.config["DUALMIGRATE_BACKUP"] = "never"
app.config["SQLALCHEMY_DATABASE_URI"] = {postgres!r}
app.config["MONGO_URI"] = {mongo!r}
app.config["DUALMIGRATE_LOCK_LEASE_S"] = 1
app.config["DUALMIGRATE_LOCK_TIMEOUT_S"] = 10
app.config["DUALMIGRATE_BATCH_SECONDS"] = 0.1
db.init_app(app)
mongo.init_app(app)
DualMigrate(app, db, mongo)
"""
NO_WATCHDOG = """
from flask_dualmigrate.mongo.lock import watchdog
watchdog._LIBRARY = None
"""


@pytest.fixture
def stopped(
    request: pytest.FixtureRequest,
    app: Flask,
    tree: Tree,
    tmp_path: Path,
    postgres_url: str,
    mongo_url: str,
    mongo_db: Database[Any],
) -> Iterator[subprocess.Popen[str]]:
    """An upgrade that was stopped, not killed, in the middle of its documents.

    The parameter is added to its app.
    """
    text = APP.format(postgres=postgres_url, mongo=mongo_url) + request.param
    (tmp_path / "app.py").write_text(text)
    mongo_db.numbers.insert_many([{"_id": i, "n": 0} for i in range(2000)])
    tree.add(
        "r1",
        mongo='op.transform("numbers", add_one, keep=True, batch_size=50)',
        mongo_more=SLOW,
    )
    init()
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "app", "db-migrate", "upgrade"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + 60
    while mongo_db.numbers.find_one({"n": 1}) is None:
        assert time.monotonic() < give_up
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)
    yield process
    process.kill()
    process.communicate(timeout=30)


@pytest.mark.skipif(watchdog._LIBRARY is None, reason="no timer kills here")
@pytest.mark.parametrize("stopped", [""], indirect=True, ids=["with the watchdog"])
def test_a_stopped_run_holds_nobody_up_for_longer_than_its_lease(
    stopped: subprocess.Popen[str],
    app: Flask,
    mongo_db: Database[Any],
    engine: sa.Engine,
) -> None:
    upgrade()
    assert stopped.wait(10) == -signal.SIGKILL
    assert mongo_db.numbers.distinct("n") == [1]
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


@pytest.mark.parametrize(
    "stopped", [NO_WATCHDOG], indirect=True, ids=["without a watchdog"]
)
def test_a_stopped_run_that_lost_its_locks_writes_nothing_when_it_wakes(
    stopped: subprocess.Popen[str],
    app: Flask,
    mongo_db: Database[Any],
    mongo_lock: MongoLock,
    engine: sa.Engine,
) -> None:
    while not (mongo_lock.holder() or Holder()).is_overdue:
        time.sleep(0.1)
    gentle = unlock()
    assert outcomes(gentle) == {MONGO: "freed", POSTGRES: "held"}
    assert gentle.under_way[0].startswith("upgrade of r1, step 0, transform numbers: ")
    assert outcomes(unlock(force=True)) == {MONGO: "free", POSTGRES: "freed"}

    before = mongo_db.numbers.count_documents({"n": 1})
    stopped.send_signal(signal.SIGCONT)
    _, errors = stopped.communicate(timeout=60)

    assert stopped.returncode == 5, errors
    assert "lost" in errors or "taken over" in errors
    assert mongo_db.numbers.count_documents({"n": 1}) == before
    upgrade()
    assert mongo_db.numbers.distinct("n") == [1]
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
