"""The events of real runs: which come, in which order, with which fields."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest
from flask import Flask

from flask_dualmigrate import PartialFailure, downgrade, init, upgrade
from flask_dualmigrate.runtime.events import EVENTS
from tests.integration.conftest import Tree
from tests.integration.runtime.test_signals import INSERT, SLOW, SLOWLY
from tests.support.flask_processes import FlaskApp
from tests.support.nursery import Nursery

LOCKED = ["run_started", *["lock_taken"] * 2]
FREE = ["lock_released"] * 2
OPERATION = ["operation_begun", "operation_done"]
LOG = 'op.insert("log", [{"n": 1}])'

Told = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """Return a function that gives the events since it was last asked."""
    caplog.set_level(logging.DEBUG, logger="flask_dualmigrate")

    def take() -> list[dict[str, Any]]:
        records = [vars(record) for record in caplog.records]
        caplog.clear()
        return [record for record in records if "event" in record]

    return take


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_an_upgrade_tells_its_locks_its_steps_and_its_operations(
    app: Flask, tree: Tree, told: Told
) -> None:
    tree.add("r1", mongo=LOG)
    tree.add("r2")
    init()
    upgrade()
    events = told()
    assert names(events) == [
        *LOCKED,
        *("step_begun", *OPERATION, "step_done", "step_begun", "step_done"),
        *FREE,
        "run_finished",
    ]
    done = events[names(events).index("operation_done")]
    assert (done["revision"], done["step"], done["operation"]) == ("r1", 0, "insert")
    assert (done["collection"], done["documents"]) == ("log", 1)
    assert done["duration_ms"] >= 0
    assert events[-1]["revisions"] == ["r1", "r2"]
    extra = set(vars(logging.makeLogRecord({}))) | {"event", "message", "asctime"}
    for event in events:
        assert event.keys() - extra - {"taskName"} <= {*EVENTS[event["event"]]}, event


def test_a_failure_tells_what_was_undone(app: Flask, tree: Tree, told: Told) -> None:
    tree.add("r1", mongo=LOG, postgres='op.execute("SELECT 1 / 0")')
    init()
    with pytest.raises(PartialFailure):
        upgrade()
    events = told()
    assert names(events) == [
        *LOCKED,
        *("step_begun", *OPERATION),
        *("step_failed", "step_undone", "operation_undone", "step_undone"),
        *FREE,
        "run_failed",
    ]
    assert "division by zero" in events[-1]["error"]
    assert events[-1]["exit_code"] == 1


def test_what_was_left_open_and_is_undone_is_told(
    app: Flask, tree: Tree, told: Told
) -> None:
    tree.add("r1", mongo='op.create_collection("a")')
    more = "\ndef stop(db):\n    raise KeyboardInterrupt\n"
    stop = 'op.insert("log", [{"n": 1}])\nop.run(stop, idempotent=True, undo=print)'
    tree.add("r2", mongo=stop, mongo_more=more)
    init()
    with pytest.raises(KeyboardInterrupt):
        upgrade()
    told()
    downgrade(revision="r1")
    (event,) = [each for each in told() if each["event"] == "recovered"]
    assert (event["revision"], event["direction"]) == ("r2", "upgrade")
    assert (event["backend"], event["how"]) == ("mongo", "undone")


def test_nothing_to_do_tells_nothing(app: Flask, tree: Tree, told: Told) -> None:
    tree.add("r1")
    init()
    upgrade()
    told()
    upgrade()
    assert told() == []


def test_json_lines_are_all_that_stands_on_stderr(
    nursery: Nursery,
    app: Flask,
    tree: Tree,
    tmp_path: Path,
    postgres_url: str,
    mongo_url: str,
) -> None:
    tree.add("r1", mongo=INSERT)
    tree.add("r2", mongo=SLOW, mongo_more=SLOWLY)
    init()
    flask = FlaskApp(nursery, tmp_path, postgres_url, mongo_url)
    with flask.start("db-migrate", "upgrade", "--log-format", "json") as run:
        run.sees('"event": "progress"')
        run.signal(SIGTERM)
        assert run.end() == 143
    events = [json.loads(line) for line in run.err.splitlines()]
    assert {"time", "level", "event", "message", "logger"} <= set.intersection(
        *map(set, events)
    )
    assert names(events)[-4:] == [*FREE, "interrupted", "stopped"]
    assert "stopping" in names(events)
    progress = events[names(events).index("progress")]
    assert (progress["revision"], progress["total"]) == ("r2", 400)
    assert (events[-1]["revision"], events[-1]["done"]) == ("r2", ["r1"])
    assert events[-1]["carry_on"] == ("flask db-migrate upgrade head --log-format json")
