"""kill -9 of what is no run: `unlock --force`, `repair --pair`, `backup prune`."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from flask_dualmigrate import init
from flask_dualmigrate.backups import BackupStore
from tests.integration.conftest import Tree
from tests.support.crash.runs import Runs
from tests.support.crash.trees import write_one
from tests.support.crash.world import World, first_difference
from tests.support.mongo.members import until
from tests.support.nursery import KILLED, Nursery

Record = Callable[[str, object], None]
UP = ("upgrade", "--yes")
FORCE = ("unlock", "--force", "--yes")
PAIR = ("repair", "--pair", "--yes")
PRUNE = ("backup", "prune", "--keep", "1", "--yes")


@pytest.fixture
def runs(
    nursery: Nursery, world: World, app: Flask, tree: Tree, tmp_path: Path
) -> Runs:
    write_one(tree)
    init()
    config = {"DUALMIGRATE_BACKUP_DIR": str(tmp_path / "backups")}
    return Runs(nursery, world, tree.root, config=config)


def stopped(runs: Runs) -> int:
    """Begin an upgrade, which holds both locks, and stops before it writes an item."""
    pid = runs.start(UP, stops_at="update")
    state = Path(f"/proc/{pid}/stat")
    until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
    return pid


@pytest.mark.slow
def test_a_kill_while_a_lock_is_taken_leaves_no_lock_and_shuts_its_holder_out(
    runs: Runs, world: World, record_property: Record
) -> None:
    world.keep()
    assert runs.run(UP) == 0, runs.said()
    expected = world.holds()
    points = []
    for point in _points_of_unlock(runs, world):
        world.put_back()
        holder = stopped(runs)
        assert runs.run(FORCE, crash_at=point) == KILLED, point
        assert runs.run(FORCE) == 0, runs.said()
        assert runs.run(UP) == 0, f"{point}: {runs.said()}"
        os.kill(holder, signal.SIGCONT)
        assert runs.wait(holder) in (4, 5), point
        found = first_difference(world.holds(), expected)
        assert found is None, f"{point}: {found}"
        points.append(point)
    record_property("figures", f"{len(points)} kills of unlock --force; lost 0")
    assert {point.split("#")[0] for point in points} >= {
        "mongo.lock.free.before",
        "mongo.steps.shut_out.before",
        "postgres.lock.free.after",
    }


def _points_of_unlock(runs: Runs, world: World) -> list[str]:
    world.put_back()
    holder = stopped(runs)
    assert runs.run(FORCE, log=True) == 0, runs.said()
    points = [point for group in runs.visited() for point in group]
    os.kill(holder, signal.SIGKILL)
    runs.wait(holder)
    return points


def test_a_kill_of_repair_pair_leaves_two_pairs_or_one(
    runs: Runs, world: World, record_property: Record
) -> None:
    assert runs.run(UP) == 0, runs.said()
    other = {"$set": {"pair_id": "other"}}
    world.mongo["_migrations_meta"].update_one({"_id": "pair"}, other)
    world.keep()
    assert runs.run(PAIR, log=True) == 0, runs.said()
    points = [group[-1] for group in runs.visited()]
    for point in points:
        world.put_back()
        assert runs.run(PAIR, crash_at=point) == KILLED, point
        again = runs.run(PAIR)
        assert again == 0 or "there is nothing to pair" in runs.said(), point
        assert runs.run(UP) == 0, f"{point}: {runs.said()}"
    record_property("figures", f"{len(points)} kills of repair --pair; lost 0")
    assert "mongo.pair_anew" in {p.split("#")[0].rpartition(".")[0] for p in points}


def test_a_kill_while_backups_are_removed_leaves_each_whole_or_for_the_next_prune(
    runs: Runs, tmp_path: Path, record_property: Record
) -> None:
    root, kept = tmp_path / "backups", tmp_path / "kept"
    store = BackupStore(root)
    for _ in range(3):
        assert runs.run(("backup", "create")) == 0, runs.said()
    assert runs.run(("backup", "create"), crash_at="backup.file.done#1") == KILLED
    shutil.copytree(root, kept)
    newest = store.list()[-1].name
    assert runs.run(PRUNE, log=True) == 0, runs.said()
    points = [point for group in runs.visited() for point in group]
    for point in points:
        shutil.rmtree(root)
        shutil.copytree(kept, root)
        assert runs.run(PRUNE, crash_at=point) == KILLED, point
        assert all(each.ok or each.unfinished for each in store.verify()), point
        assert store.list()[-1].name == newest
        assert runs.run(PRUNE) == 0, runs.said()
        assert store.names() == [newest], point
    assert all(each.ok for each in store.verify())
    record_property("figures", f"{len(points)} kills of backup prune; lost 0")
    assert len(points) == 9
