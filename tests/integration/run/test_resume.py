"""kill -9 in the middle: the next run carries on, nothing is lost or done twice."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import IntegrityError, downgrade, init, stamp, status, upgrade
from tests.integration.conftest import Tree
from tests.support.flask_processes import FlaskApp
from tests.support.nursery import Nursery
from tests.support.snapshots import stamps

KILL_ONCE = """
def kill_once():
    import os, pathlib, signal
    marker = pathlib.Path(__file__).with_suffix(".killed")
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed_cli(
    nursery: Nursery, tmp_path: Path, postgres_url: str, mongo_url: str, tree: Tree
) -> Any:
    """Return a function that runs `flask db-migrate …` in a process of its own."""
    flask = FlaskApp(nursery, tmp_path, postgres_url, mongo_url)
    flask.configure({"DUALMIGRATE_LOCK_LEASE_S": 1})

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        with flask.start("db-migrate", *words) as running:
            code = running.end()
        return subprocess.CompletedProcess(words, code, running.out, running.err)

    return run


def run_killed_and_again(killed_cli: Any, *words: str) -> str:
    """Run a command that kills itself, and again; returns what the second said."""
    first = killed_cli(*words)
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = killed_cli(*words)
    assert second.returncode == 0, second.stderr
    return str(second.stdout)


INC = 'op.update("numbers", {}, {"$inc": {"n": 1}}, batch_size=100)'


def test_upgrade_resumes_after_a_kill_between_mongo_and_postgres(
    numbers: Tree, killed_cli: Any, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    numbers.add("r2", mongo=INC, postgres="kill_once()", postgres_more=KILL_ONCE)
    init()
    run_killed_and_again(killed_cli, "upgrade")
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert mongo_db.numbers.distinct("n") == [1]


def test_upgrade_resumes_after_a_kill_in_the_middle_of_a_backfill(
    numbers: Tree, killed_cli: Any, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    transform = """
def add_one(doc):
    if doc["_id"] == 1234:
        kill_once()
    doc["n"] += 1
    return doc
"""
    numbers.add(
        "r2",
        mongo=f'{INC}\nop.transform("numbers", add_one, batch_size=100)',
        mongo_more=KILL_ONCE + transform,
    )
    init()
    run_killed_and_again(killed_cli, "upgrade")
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert mongo_db.numbers.distinct("n") == [2]


def test_downgrade_resumes_after_a_kill_between_mongo_and_postgres(
    numbers: Tree, killed_cli: Any, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    numbers.add(
        "r2",
        mongo=INC,
        mongo_down=INC.replace("1}}", "-1}}"),
        postgres_down="kill_once()",
        postgres_more=KILL_ONCE,
    )
    init()
    upgrade()
    run_killed_and_again(killed_cli, "downgrade", "r1", "--yes")
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    assert mongo_db.numbers.distinct("n") == [0]


def test_downgrade_undoes_an_upgrade_that_was_killed_half_way(
    numbers: Tree, killed_cli: Any, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    with_undo = INC.replace("batch_size", 'undo={"$inc": {"n": -1}}, batch_size')
    numbers.add("r2", mongo=with_undo, postgres="kill_once()", postgres_more=KILL_ONCE)
    init()
    assert killed_cli("upgrade").returncode == -signal.SIGKILL
    assert mongo_db.numbers.distinct("n") == [1]
    downgrade(revision="r1")
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    assert mongo_db.numbers.distinct("n") == [0]


HALF_WAY = """
def add_one(doc):
    if doc["_id"] == 1234:
        kill_once()
    return {**doc, "n": doc["n"] + 1}

def take_one(doc):
    return {**doc, "n": doc["n"] - 1}
"""


@pytest.fixture
def half_done(numbers: Tree, killed_cli: Any) -> Tree:
    """The upgrade to r2, killed in the middle of its transform."""
    step = 'op.transform("numbers", add_one, undo=take_one, batch_size=100)'
    numbers.add("r2", mongo=step, mongo_more=KILL_ONCE + HALF_WAY)
    init()
    assert killed_cli("upgrade").returncode == -signal.SIGKILL
    return numbers


def test_one_step_down_undoes_what_is_half_done_and_no_more(
    half_done: Tree, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    plan = downgrade(dry_run=True)
    done = downgrade()
    assert [item.revision for item in plan.revisions] == ["r2"]  # type: ignore[union-attr]
    assert [item.revision for item in done.steps] == ["r2"]  # type: ignore[union-attr]
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    assert mongo_db.numbers.distinct("n") == [0]


def test_a_dry_run_says_what_is_done_already(half_done: Tree) -> None:
    plan = upgrade(dry_run=True)
    (mongo, _) = plan.revisions[0].sides  # type: ignore[union-attr]
    assert mongo.lines[0].endswith("begun, is carried on")
    downgrade()  # the transaction of the killed run would hold up the end for a minute


def test_a_stamp_is_refused_while_a_revision_is_half_done(
    half_done: Tree, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    with pytest.raises(IntegrityError, match="half done"):
        stamp()
    upgrade()
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert mongo_db.numbers.distinct("n") == [1]


def test_a_run_that_always_fails_can_be_given_up(
    numbers: Tree, killed_cli: Any, mongo_db: Database[Any], engine: sa.Engine
) -> None:
    fails = "def step(db):\n    raise RuntimeError('never')\n"
    numbers.add("r2", mongo="op.run(step)", mongo_more=fails)
    init()
    assert killed_cli("upgrade").returncode == 1
    assert killed_cli("repair", "r2", "--step", "0", "--done").returncode == 0
    assert killed_cli("upgrade").returncode == 0
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_an_unsafe_step_that_a_crash_left_started_needs_a_decision(
    numbers: Tree, killed_cli: Any
) -> None:
    numbers.add("r2", mongo="op.run(step)", mongo_more=KILL_ONCE + "step = kill_once\n")
    path = numbers.path("mongo", "r2")
    path.write_text(path.read_text().replace("def kill_once()", "def kill_once(db)"))
    init()
    assert killed_cli("upgrade").returncode == -signal.SIGKILL
    again = killed_cli("upgrade")
    assert again.returncode == 3
    assert "repair r2 --step 0" in again.stderr
    assert "Traceback" not in again.stderr


@pytest.mark.parametrize(("decision", "calls"), [("--done", 1), ("--retry", 2)])
def test_a_step_in_doubt_is_decided_by_repair(
    numbers: Tree, killed_cli: Any, mongo_db: Database[Any], decision: str, calls: int
) -> None:
    step = "def step(db):\n    db.calls.insert_one({})\n    kill_once()\n"
    numbers.add("r2", mongo="op.run(step)", mongo_more=KILL_ONCE + step)
    init()
    assert killed_cli("upgrade").returncode == -signal.SIGKILL
    assert killed_cli("repair", "r2", "--step", "0").returncode == 2
    repaired = killed_cli("repair", "r2", "--step", "0", decision)
    assert repaired.returncode == 0, repaired.stderr
    assert killed_cli("upgrade").returncode == 0
    assert mongo_db.calls.count_documents({}) == calls
    assert killed_cli("repair", "r2", "--step", "0", decision).returncode == 3


def test_an_edit_of_what_is_done_is_refused_when_the_run_carries_on(
    numbers: Tree, killed_cli: Any, app: Flask
) -> None:
    numbers.add("r2", mongo=INC, postgres="kill_once()", postgres_more=KILL_ONCE)
    init()
    assert killed_cli("upgrade").returncode == -signal.SIGKILL
    path = numbers.path("mongo", "r2")
    path.write_text(path.read_text().replace('"n": 1', '"n": 5'))
    with pytest.raises(IntegrityError, match="r2"):
        upgrade()


def test_status_says_stopped_of_a_killed_run_that_waits_to_be_carried_on(
    numbers: Tree, killed_cli: Any
) -> None:
    numbers.add("r2", mongo="kill()", mongo_more="kill = None\n")
    path = numbers.path("mongo", "r2")
    source = path.read_text().replace("kill()", "op.run(kill_once, idempotent=True)")
    path.write_text(source + KILL_ONCE.replace("kill_once()", "kill_once(db)"))
    init()
    assert killed_cli("upgrade").returncode == -signal.SIGKILL
    states = {str(name): s.state for name, s in status().rows[0].sides.items()}
    assert states == {"mongo": "stopped", "postgres": "pending"}
