"""How far a run is: told on stderr, and by status to whoever asks."""

from __future__ import annotations

import threading
import time

import pytest
from flask import Flask

from flask_dualmigrate import check, current, init, show, status, upgrade
from flask_dualmigrate.backend import Progress
from flask_dualmigrate.revisions import BackendName
from tests.integration.conftest import MakeApp, Tree

SLOW = 'op.transform("item", slowly, batch_size=5, undo=slowly)'
SLOWLY = """
import time

def slowly(document):
    time.sleep(0.01)
    return {**document, "seen": True}
"""

INTERRUPTED = """
def slowly(document):
    if document["n"] == 12:
        raise KeyboardInterrupt
    return {**document, "seen": True}
"""
HALF_DONE = (
    "The upgrade of r2 is half done on MongoDB; carry it on with: "
    "flask db-migrate upgrade"
)


def progress_of(app: Flask, revision: str) -> Progress | None:
    with app.app_context():
        rows = {row.revision: row for row in status().rows}
    return rows[revision].sides[BackendName.MONGO].progress


def test_status_shows_from_elsewhere_how_far_a_run_is(
    app: Flask, tree: Tree, make_app: MakeApp
) -> None:
    tree.add("r1", mongo='op.insert("item", [{"n": n} for n in range(200)])')
    tree.add("r2", mongo=SLOW, mongo_more=SLOWLY)
    init()
    upgrade(revision="r1")
    elsewhere, seen = make_app(), list[Progress]()

    def run() -> None:
        with app.app_context():
            upgrade()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        found = progress_of(elsewhere, "r2")
        if found is not None and found.done:
            seen.append(found)
        time.sleep(0.05)
    thread.join()

    assert {(each.verb, each.subject, each.total) for each in seen} == {
        ("transform", "item", 200)
    }
    assert len({each.done for each in seen}) > 3
    assert all(each.rate and 5 < each.rate < 100 for each in seen[3:])
    assert progress_of(elsewhere, "r2") is None


def test_a_run_that_died_is_shown_as_stopped(app: Flask, tree: Tree) -> None:
    tree.add("r1", mongo='op.insert("item", [{"n": n} for n in range(20)])')
    tree.add("r2", mongo=SLOW, mongo_more=INTERRUPTED)
    init()
    upgrade(revision="r1")
    with pytest.raises(KeyboardInterrupt):
        upgrade()

    rows = {row.revision: row.sides[BackendName.MONGO] for row in status().rows}

    assert rows["r2"].state == "stopped"
    assert rows["r2"].progress is not None
    assert (rows["r2"].progress.done, rows["r2"].progress.rate) == (10, None)
    assert current().half_done == (HALF_DONE,)
    assert [f.text for f in check().findings if f.kind == "half-done"] == [HALF_DONE]
    (attempt,) = show(revision="r2").attempts[BackendName.MONGO]
    assert attempt["status"] == "running"
