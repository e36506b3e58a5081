"""An app on MariaDB: its lock, and what a run promises where DDL commits by itself."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import (
    DatabaseUnavailable,
    DualMigrate,
    LockTimeout,
    PartialFailure,
    backup_create,
    check,
    downgrade,
    init,
    revision,
    status,
    unlock,
    upgrade,
    verify,
)
from flask_dualmigrate.backend.holder import Holder
from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.postgres.lock.mysql import MysqlLock
from flask_dualmigrate.postgres.waking import why_absent
from tests.support.lock_holders import nobody
from tests.support.postgres.mariadbs import MISSING, mariadb

pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

AppOf = Callable[[], SQLAlchemy]


@pytest.fixture(scope="module")
def server() -> Iterator[sa.URL]:
    with mariadb() as url:
        yield url


@pytest.fixture
def root(server: sa.URL) -> Iterator[sa.Engine]:
    engine = sa.create_engine(server, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def url(server: sa.URL, root: sa.Engine) -> Iterator[sa.URL]:
    """A database of the test's own."""
    name = f"app_{uuid4().hex[:8]}"
    with root.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server.set(database=name)
    with root.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture
def engine(url: sa.URL) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def db(url: sa.URL, tmp_path: Path) -> Iterator[SQLAlchemy]:
    """An app of SQL alone, within its context."""
    app, db = Flask("an_app", root_path=str(tmp_path)), SQLAlchemy()
    app.config["SQLALCHEMY_DATABASE_URI"] = url.render_as_string(hide_password=False)
    app.config["DUALMIGRATE_LOCK_TIMEOUT_S"] = 0
    db.init_app(app)
    DualMigrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        init()
        yield db
        db.session.remove()
        db.engine.dispose()


def add_script(tmp_path: Path, upgrade: str, downgrade: str = "pass") -> Path:
    """Put the revision r1 into the tree."""
    script = tmp_path / "migrations" / "postgres" / "versions" / "r1.py"
    script.write_text(
        "import os, time\nfrom alembic import op\n"
        "revision, down_revision = 'r1', None\n"
        f"def upgrade():\n    {upgrade}\ndef downgrade():\n    {downgrade}\n"
    )
    init()
    return script


def test_revisions_go_up_and_down(db: SQLAlchemy) -> None:
    book = sa.Table(
        "book",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(40), nullable=False, unique=True),
    )
    revision(message="book", autogenerate=True)
    assert status().pending == 1
    upgrade()
    book.append_column(sa.Column("pages", sa.Integer))
    revision(message="pages", autogenerate=True)
    upgrade()

    assert check().ok
    assert status().pending == 0
    columns = {c["name"] for c in sa.inspect(db.engine).get_columns("book")}
    assert columns == {"id", "title", "pages"}
    downgrade(revision="base")
    assert not sa.inspect(db.engine).has_table("book")


def test_times_in_the_journal_are_utc(db: SQLAlchemy, tmp_path: Path) -> None:
    add_script(tmp_path, "op.execute('SET SESSION time_zone = \"+05:00\"')")
    upgrade()

    query = sa.text(
        "SELECT ABS(TIMESTAMPDIFF(SECOND, finished_at, UTC_TIMESTAMP())),"
        " ABS(TIMESTAMPDIFF(SECOND, started_at, UTC_TIMESTAMP()))"
        " FROM dualmigrate_journal"
    )
    assert max(db.session.execute(query).one()) < 600


def test_a_script_leaves_nothing_in_the_session_of_the_pool(
    db: SQLAlchemy, tmp_path: Path
) -> None:
    add_script(tmp_path, "op.execute('SET SESSION sql_mode = \"ANSI\"')")
    upgrade()

    modes = db.session.execute(sa.text("SELECT @@sql_mode LIKE '%ANSI%'"))
    assert modes.scalar_one() == 0


def test_what_a_script_did_before_it_failed_is_said_to_stay(
    db: SQLAlchemy, tmp_path: Path
) -> None:
    script = add_script(tmp_path, "op.execute('CREATE TABLE t (a INT)'); 1 / 0")
    with pytest.raises(PartialFailure, match="mysql may have kept"):
        upgrade()
    assert sa.inspect(db.engine).has_table("t")
    assert status().pending == 1

    text = script.read_text().replace("CREATE TABLE t", "CREATE TABLE IF NOT EXISTS t")
    script.write_text(text.replace("1 / 0", "op.execute('INSERT INTO t VALUES (1)')"))
    upgrade()
    assert status().pending == 0


def test_verify_cannot_write(db: SQLAlchemy, tmp_path: Path) -> None:
    script = add_script(tmp_path, "op.execute('CREATE TABLE t (a INT)')")
    upgrade()
    with script.open("a") as file:
        file.write(
            "def verify(connection):\n"
            "    connection.exec_driver_sql('INSERT INTO t VALUES (1)')\n"
        )
    (found,) = verify().checks
    assert found.outcome == "failed"
    assert "READ ONLY transaction" in str(found.error)
    count = db.session.execute(sa.text("SELECT count(*) FROM t"))
    assert count.scalar_one() == 0


def test_a_backup_holds_nothing(db: SQLAlchemy, tmp_path: Path) -> None:
    add_script(tmp_path, "pass")
    upgrade()
    made = backup_create().backup
    assert (made.size_bytes, made.applied) == (0, {})


# PyMySQL does not close the socket that did not connect.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_server_that_refuses_a_login_is_not_waited_for(url: sa.URL) -> None:
    wrong, gone = url.set(password="wrong"), url.set(query={"unix_socket": "/no"})
    there, refused, absent = (
        sa.create_engine(each, poolclass=sa.NullPool) for each in (url, wrong, gone)
    )

    assert why_absent(there, 1) is None
    with pytest.raises(DatabaseUnavailable, match="Access denied for user") as caught:
        why_absent(refused, 1)
    assert "password" in str(caught.value.hint)
    assert why_absent(absent, 1) is not None
    gc.collect()


# The lock


def test_a_waiter_is_told_who_holds_the_lock(engine: sa.Engine, url: sa.URL) -> None:
    lock, second = MysqlLock(engine), MysqlLock(engine)
    told: list[Holder | None] = []
    with lock.held(timeout_s=0, on_wait=nobody):
        with (
            pytest.raises(LockTimeout, match="the lock on MariaDB") as caught,
            second.held(timeout_s=0.3, on_wait=told.append),
        ):
            raise AssertionError
        holder = second.holder()
    assert caught.value.exit_code == 5
    assert holder is not None
    assert [each and each.key for each in told] == [holder.key]
    assert str(holder).startswith("root from localhost (server pid ")
    assert ", since 20" in str(holder)
    assert caught.value.holder is not None
    assert caught.value.holder.startswith(holder.who)
    assert lock.holder() is None
    with second.held(timeout_s=0, on_wait=nobody):
        pass


def test_another_database_and_another_schema_have_a_lock_of_their_own(
    engine: sa.Engine, root: sa.Engine
) -> None:
    with (
        MysqlLock(engine).held(timeout_s=0, on_wait=nobody),
        MysqlLock(root).held(timeout_s=0, on_wait=nobody),
        MysqlLock(engine, schema="s" * 64).held(timeout_s=0, on_wait=nobody),
    ):
        assert MysqlLock(engine, schema="other").holder() is None


def test_the_lock_is_not_on_a_connection_of_the_pool(url: sa.URL) -> None:
    engine = sa.create_engine(url, pool_size=1, max_overflow=0)
    lock = MysqlLock(engine)
    with (
        lock.held(timeout_s=0, on_wait=nobody),
        engine.connect() as connection,
    ):
        lock.require(connection)
    with engine.connect() as connection:
        idle = "SELECT @@session.wait_timeout = @@global.wait_timeout"
        assert connection.execute(sa.text(idle)).scalar_one() == 1
    engine.dispose()


def test_a_lock_whose_session_was_ended_is_lost(db: SQLAlchemy, tmp_path: Path) -> None:
    add_script(
        tmp_path,
        "op.execute('CREATE TABLE t (a INT)'); op.execute('BEGIN NOT ATOMIC "
        "SELECT ID INTO @id FROM information_schema.PROCESSLIST WHERE COMMAND = "
        '"Sleep" AND DB = DATABASE() AND ID <> CONNECTION_ID() '
        "ORDER BY ID DESC LIMIT 1; KILL @id; DO SLEEP(0.2); END')",
    )
    with pytest.raises(LockLost, match="the session that held it has ended") as error:
        upgrade()
    assert error.value.exit_code == 5
    assert status().pending == 1


def test_unlock_ends_the_session_of_the_holder(
    db: SQLAlchemy, tmp_path: Path, engine: sa.Engine
) -> None:
    add_script(tmp_path, "pass")
    lock = MysqlLock(engine)
    with lock.held(timeout_s=0, on_wait=nobody):
        with pytest.raises(LockTimeout):
            upgrade()
        (side,) = unlock().sides
        assert (side.outcome, str(side.holder)[:5]) == ("held", "root ")
        assert [each.outcome for each in unlock(force=True).sides] == ["freed"]
        with db.engine.connect() as connection, pytest.raises(LockLost):
            lock.require(connection)
        assert [each.outcome for each in unlock().sides] == ["free"]
        holder = Holder(server_pid=int(side.holder.key if side.holder else 0))
        assert lock.free(holder) is False


def test_a_user_that_may_not_end_the_session_is_told_how(
    engine: sa.Engine, root: sa.Engine, url: sa.URL
) -> None:
    user = f"u{uuid4().hex[:8]}"
    with root.begin() as connection:
        connection.exec_driver_sql(f"CREATE USER {user}@localhost IDENTIFIED BY 'x'")
        connection.exec_driver_sql(f"GRANT ALL ON {url.database}.* TO {user}@localhost")
    other = sa.create_engine(url.set(username=user, password="x"))
    theirs = MysqlLock(other)
    with MysqlLock(engine).held(timeout_s=0, on_wait=nobody):
        holder = theirs.holder()
        assert holder is not None
        assert str(holder) == f"someone (server pid {holder.server_pid})"
        words = f"KILL {holder.server_pid};"
        with pytest.raises(DatabaseUnavailable, match=words) as error:
            theirs.free(holder)
    assert error.value.exit_code == 4
    other.dispose()
    with root.begin() as connection:
        connection.exec_driver_sql(f"DROP USER {user}@localhost")


WORKER = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate
folder, url = sys.argv[1:]
app, db = Flask("an_app", root_path=folder), SQLAlchemy()
app.config["SQLALCHEMY_DATABASE_URI"] = url
db.init_app(app)
DualMigrate(app, db, directory=f"{folder}/migrations", auto_upgrade=True)
"""


def start_worker(tmp_path: Path, url: sa.URL) -> subprocess.Popen[str]:
    text = url.render_as_string(hide_password=False)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path), text],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_workers_run_each_revision_once(
    db: SQLAlchemy, url: sa.URL, tmp_path: Path
) -> None:
    add_script(
        tmp_path,
        "op.execute('CREATE TABLE t (a INT)'); time.sleep(1); "
        "op.execute('INSERT INTO t VALUES (1)')",
    )
    workers = [start_worker(tmp_path, url) for _ in range(3)]
    ends = [(each.communicate(timeout=60)[1], each.returncode) for each in workers]

    assert [code for _, code in ends] == [0, 0, 0], ends
    assert db.session.scalar(sa.text("SELECT count(*) FROM t")) == 1


def test_the_statement_of_a_killed_run_is_ended_before_the_next_one_begins(
    db: SQLAlchemy, url: sa.URL, tmp_path: Path, root: sa.Engine
) -> None:
    script = add_script(tmp_path, "op.execute('DO SLEEP(300)')")
    worker = start_worker(tmp_path, url)
    asleep = sa.text(
        "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = :name"
        " AND INFO LIKE 'DO SLEEP%'"
    )

    def sleeping() -> Any:
        with root.connect() as connection:
            return connection.execute(asleep, {"name": url.database}).scalar_one()

    give_up = time.monotonic() + 30
    while not sleeping():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=30)
    assert sleeping()

    script.write_text(script.read_text().replace("DO SLEEP(300)", "DO SLEEP(0)"))
    second = start_worker(tmp_path, url)
    said = second.communicate(timeout=60)[1]
    assert second.returncode == 0, said
    assert not sleeping()
    assert status().pending == 0
