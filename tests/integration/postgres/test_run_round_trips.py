"""How often a run waits for PostgreSQL. A number that grows is a run that is slower."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_dualmigrate import downgrade, init, upgrade
from tests.integration.conftest import MakeApp, Tree
from tests.support.round_trips import Side, counted

BEGIN, CLOSE, COMMIT = "begin", "close", "COMMIT"
CONNECT = ["SSLRequest", "connect"]
LOOK, RIGHTS, LOCK, SHUT_OUT = "look", "rights", "lock", "shut out"
UNLOCK = "unlock"
KINDS = {
    "DO $dualmigrate$": LOOK,
    "SELECT current_setting('transaction_read_only')": RIGHTS,
    "SELECT pg_backend_pid()": LOCK,
    "SELECT a.pid": SHUT_OUT,
    "BEGIN": BEGIN,
    "SET CONSTRAINTS ALL IMMEDIATE; ": CLOSE,
    "SELECT pg_advisory_unlock": UNLOCK,
}
"""How a round trip begins -> what it is for."""

MADE = ["CREATE TABLE", "ALTER TABLE"]
SCRIPT = [BEGIN, *MADE, CLOSE, COMMIT]
# The first connection becomes the lock's; the second one is the scripts' too.
FIXED_BEFORE = [*CONNECT, LOOK, RIGHTS, LOCK, SHUT_OUT, *CONNECT, LOOK]
FIXED_AFTER = [UNLOCK, UNLOCK]


def kinds(side: Side) -> list[str]:
    """What each round trip was for; a script's statements by their first two words."""
    return [
        next(
            (kind for start, kind in KINDS.items() if name.startswith(start)),
            " ".join(name.split()[:2]),
        )
        for name in side.names
    ]


@pytest.fixture
def side(postgres_url: str) -> Iterator[Side]:
    with counted(postgres_url, None) as trips:
        yield trips.postgres


@pytest.fixture
def small(make_app: MakeApp, side: Side, tmp_path: Path) -> Iterator[Tree]:
    """A tree on PostgreSQL through the proxy; its first revision is applied."""
    app = make_app(active="postgres", urls={"postgres": side.url})
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        add(tree, "r0")
        init()
        upgrade()
        forget(app)
        side.clear()
        yield tree


def add(tree: Tree, revision: str, more: str = "", **scripts: Any) -> None:
    tree.add(
        revision,
        postgres=f"""
            op.create_table("{revision}", sa.Column("id", sa.Integer, primary_key=True))
            op.add_column("{revision}", sa.Column("n", sa.Integer))
        """
        + more,
        postgres_down=f'op.drop_table("{revision}")',
        **scripts,
    )
    init()


def forget(app: Flask) -> None:
    """Let the pool have no connection, as in a new process."""
    app.extensions["sqlalchemy"].engine.dispose()


def test_a_small_revision_is_three_round_trips_and_those_of_its_script(
    small: Tree, side: Side
) -> None:
    add(small, "r1")
    add(small, "r2")
    add(small, "r3")
    upgrade()
    assert kinds(side) == [*FIXED_BEFORE, *SCRIPT * 3, *FIXED_AFTER]


def test_a_downgrade_takes_no_more_than_that(small: Tree, side: Side) -> None:
    add(small, "r1")
    upgrade()
    side.clear()
    downgrade()
    ours = [kind for kind in kinds(side) if kind not in CONNECT]
    assert ours[-6:] == [BEGIN, "DROP TABLE", CLOSE, COMMIT, UNLOCK, UNLOCK]


def test_at_head_is_one_round_trip(small: Tree, side: Side) -> None:
    upgrade()
    assert kinds(side) == [*CONNECT, LOOK]


def test_a_verify_adds_the_round_trip_that_checks_what_was_deferred(
    small: Tree, side: Side
) -> None:
    add(
        small,
        "r1",
        postgres_more="def verify(connection):\n"
        "    connection.execute(sa.text('SELECT 1'))\n",
    )
    upgrade()
    assert [kind for kind in kinds(side) if kind not in FIXED_BEFORE] == [
        *(BEGIN, *MADE, CLOSE, "SELECT 1", "WITH moved_0", COMMIT, *FIXED_AFTER)
    ]


def test_a_script_that_may_leave_something_in_its_session_has_one_of_its_own(
    small: Tree, side: Side
) -> None:
    add(small, "r1", more='    op.execute("SET statement_timeout = 0")\n')
    add(small, "r2")
    upgrade()
    assert kinds(side)[len(FIXED_BEFORE) :] == [
        *(BEGIN, *MADE, "SET statement_timeout", CLOSE, COMMIT, UNLOCK),
        *(*CONNECT, *SCRIPT, *FIXED_AFTER),
    ]


CHILD = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate, upgrade
folder, url = sys.argv[1:]
app, db = Flask("an_app", root_path=folder), SQLAlchemy()
app.config["SQLALCHEMY_DATABASE_URI"] = url
app.config["DUALMIGRATE_BACKUP"] = "never"
db.init_app(app)
DualMigrate(app, db, directory=f"{folder}/migrations")
with app.app_context():
    upgrade()
"""


def test_a_process_pays_sqlalchemys_own_questions_once(
    small: Tree, side: Side, engine: sa.Engine
) -> None:
    """SQLAlchemy asks a server that it meets for its version, schema and types."""
    add(small, "r1")
    words = [sys.executable, "-c", CHILD, str(small.root.parent), side.url]
    subprocess.run(words, check=True, timeout=600)
    trips = len(side)
    with counted(engine.url.render_as_string(hide_password=False), None) as alone:
        greeting = sa.create_engine(alone.postgres.url)
        with greeting.connect():
            pass
        greeting.dispose()
    fixed = len(FIXED_BEFORE) + len(FIXED_AFTER)
    assert trips == fixed + len(SCRIPT) + len(alone.postgres) - len(CONNECT)
    assert trips - len(SCRIPT) <= 30
