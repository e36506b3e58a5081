"""auto_upgrade: what it costs an app at head, and what it leaves open."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo import periodic_executor
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionPoolListener,
)
from sqlalchemy import event

from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.postgres.journal.names import JOURNAL
from flask_dualmigrate.postgres.lock.lock import PostgresLock, lock_key
from tests.integration.conftest import MakeApp, Tree
from tests.support.lock_holders import nobody
from tests.support.round_trips import counted


class Heard(CommandListener):
    """Remembers the commands that clients send."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


class Connections(ConnectionPoolListener):
    """Counts the connections that the pools of clients make and close."""

    made = closed = 0

    def connection_created(self, event: Any) -> None:
        self.made += 1

    def connection_closed(self, event: Any) -> None:
        self.closed += 1

    def pool_created(self, event: Any) -> None: ...

    def pool_ready(self, event: Any) -> None: ...

    def pool_cleared(self, event: Any) -> None: ...

    def pool_closed(self, event: Any) -> None: ...

    def connection_ready(self, event: Any) -> None: ...

    def connection_check_out_started(self, event: Any) -> None: ...

    def connection_check_out_failed(self, event: Any) -> None: ...

    def connection_checked_out(self, event: Any) -> None: ...

    def connection_checked_in(self, event: Any) -> None: ...


def test_an_app_at_head_starts_without_taking_a_lock(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    make_app(auto_upgrade=True)
    lock = PostgresLock(engine, key=lock_key(None)).held(timeout_s=0, on_wait=nobody)
    mongo_lock = MongoLock(mongo_db, lease_s=30)
    with lock, mongo_lock.held(timeout_s=0, on_wait=nobody):
        make_app(auto_upgrade=True, config={"DUALMIGRATE_LOCK_TIMEOUT_S": 0})


def test_at_head_is_told_without_running_a_script(two: Tree, make_app: MakeApp) -> None:
    make_app(auto_upgrade=True)
    for path in two.root.glob("*/versions/*.py"):
        path.write_text("raise RuntimeError('a script was run')\n")
    make_app(auto_upgrade=True)


def test_at_head_costs_no_statement_that_writes(
    two: Tree, make_app: MakeApp, engine: sa.Engine
) -> None:
    make_app(auto_upgrade=True)
    said: list[str] = []

    def listen(conn: Any, cursor: Any, statement: str, *more: Any) -> None:
        said.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        make_app(auto_upgrade=True)
    finally:
        event.remove(sa.Engine, "before_cursor_execute", listen)
    assert said
    assert not [text for text in said if not text.lstrip().startswith("SELECT")]


@pytest.mark.parametrize("mode", [True, "check"])
def test_at_head_sends_mongodb_no_command_that_writes(
    two: Tree, make_app: MakeApp, mode: bool | str
) -> None:
    make_app(auto_upgrade=True)
    heard = Heard()
    make_app(auto_upgrade=mode, mongo_options={"event_listeners": [heard]})
    # So it is no lock document either: what is written goes through the same client.
    assert set(heard.names) == {"find", "endSessions"}


def test_no_connection_is_left_in_the_pool_after_an_auto_upgrade(
    two: Tree, make_app: MakeApp
) -> None:
    app = make_app(auto_upgrade=True)
    with app.app_context():
        pool = app.extensions["sqlalchemy"].engine.pool
        assert pool.checkedin() == 0


def test_no_connection_to_mongodb_is_left_after_an_auto_upgrade(
    two: Tree, make_app: MakeApp
) -> None:
    numbers = Connections()
    make_app(auto_upgrade=True, mongo_options={"event_listeners": [numbers]})
    assert numbers.made > 0
    assert numbers.closed == numbers.made


def test_at_head_takes_no_more_round_trips_than_these(
    two: Tree, make_app: MakeApp, postgres_url: str, mongo_url: str
) -> None:
    make_app(auto_upgrade=True)
    for mode in (True, "check"):
        with counted(postgres_url, mongo_url) as trips:
            urls = {"postgres": trips.postgres.url, "mongo": trips.mongo.url}
            make_app(auto_upgrade=mode, urls=urls)
            assert len(trips.postgres) <= 12, trips
            # All but one are what SQLAlchemy asks on its first connection.
            assert [n for n in trips.postgres.names if JOURNAL in n] == [
                trips.postgres.names[-1]
            ]
            assert trips.mongo.names == ["hello", "find", "find", "endSessions"]


def _joined_at_the_end() -> set[Any]:
    """Return the threads that pymongo waits for at the end of this process."""
    return {reference() for reference in periodic_executor._EXECUTORS.copy()} - {None}


def test_the_end_of_a_process_waits_for_no_thread_of_a_client_of_ours(
    two: Tree, make_app: MakeApp
) -> None:
    before = _joined_at_the_end()
    make_app(auto_upgrade=True)  # upgrades
    make_app(auto_upgrade=True)  # is at head
    assert _joined_at_the_end() <= before


_COMMAND = """
import sys
from pymongo import MongoClient, periodic_executor
from flask_dualmigrate.environment import leave_at_once

MongoClient(sys.argv[1]).admin.command("ping")
assert periodic_executor._EXECUTORS
leave_at_once()
assert not periodic_executor._EXECUTORS
"""


def test_the_end_of_a_command_waits_for_no_thread_of_the_apps_client(
    mongo_url: str,
) -> None:
    words = [sys.executable, "-c", _COMMAND, mongo_url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
