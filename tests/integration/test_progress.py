"""How far a run is: told on stderr, and by status to whoever asks."""

from __future__ import annotations

import threading
import time

from flask import Flask

from flask_dualmigrate import init, status, upgrade
from flask_dualmigrate.backend import Progress
from flask_dualmigrate.revision import BackendName

from .conftest import MakeApp, Tree

SLOW = 'op.transform("item", slowly, batch_size=5, undo=slowly)'
SLOWLY = """
import time

def slowly(document):
    time.sleep(0.01)
    return {**document, "seen": True}
"""


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
