"""Runs that are killed while they undo, and what a later one makes of that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import product
from textwrap import indent
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import (
    IntegrityError,
    PartialFailure,
    current,
    downgrade,
    init,
    repair,
    show,
    status,
    upgrade,
)
from flask_dualmigrate.mongo.run import runner
from flask_dualmigrate.revisions import BackendName
from flask_dualmigrate.run import executor
from flask_dualmigrate.verbs.repair import RepairReport
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import stamps

MONGO, POSTGRES = BackendName.MONGO, BackendName.POSTGRES

Db = Database[Any]
UP = """
op.update("c", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})
op.add_field("c", "z", default=1)
"""
DOWN = """
op.drop_field("c", "z")
op.update("c", {}, {"$inc": {"n": -1}}, undo={"$inc": {"n": 1}})
"""
BOOM = "import os\nif 'BOOM' in os.environ: raise RuntimeError('boom')\n"


class Killed(BaseException):
    """Stands for kill -9: nothing handles it, nothing is written after it."""


@pytest.fixture
def second(tree: Tree, mongo_db: Db) -> Tree:
    """One revision applied; the second one increments, and fails where told to."""
    tree.add("r1", mongo='op.create_collection("c")')
    init()
    upgrade()
    mongo_db.c.insert_many([{"_id": i, "n": 0} for i in range(3)])
    tree.add(
        "r2",
        mongo=UP,
        mongo_down=DOWN,
        postgres=f"{BOOM}op.execute('CREATE TABLE t2 (id int)')",
        postgres_down=f"{BOOM}op.execute('DROP TABLE t2')",
    )
    init()
    return tree


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, at: str) -> Iterator[None]:
    """End what runs inside at a crash point, such as mongo.undo.done#2."""
    name, _, number = at.partition("#")
    left = int(number)

    def reach(point: str) -> None:
        nonlocal left
        left -= point == name
        if point == name and not left:
            raise Killed

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(runner, "reached", reach)
        patch.setattr(executor, "reached", reach)
        yield
    assert left == 0


@contextmanager
def failing() -> Iterator[None]:
    os.environ["BOOM"] = "1"
    try:
        yield
    finally:
        del os.environ["BOOM"]


def a_failed_upgrade(kill: Callable[[str], Any], at: str) -> None:
    with failing(), kill(at):
        upgrade()


def a_repair_that_undoes(kill: Callable[[str], Any], at: str) -> None:
    with kill(BETWEEN):
        upgrade()
    with kill(at):
        repair(revision="r2", undo=True)


def a_downgrade_of_what_was_half_done(kill: Callable[[str], Any], at: str) -> None:
    with kill(BETWEEN):
        upgrade()
    with kill(at):
        downgrade(revision="r1")


Undoing = Callable[..., None]
UNDOINGS: tuple[Undoing, ...] = (
    a_failed_upgrade,
    a_repair_that_undoes,
    a_downgrade_of_what_was_half_done,
)
BETWEEN = "step.side#1"
PLACES = ("mongo.undo.done#1", "mongo.undo.begun#2", "mongo.undo.done#2")


def values_in(db: Db) -> set[Any]:
    return {(doc["n"], doc.get("z")) for doc in db.c.find()}


def entry_of(db: Db) -> dict[str, Any]:
    entry: dict[str, Any] | None = db["_migrations"].find_one({"_id": "r2"})
    assert entry is not None
    return entry


@pytest.mark.parametrize(
    ("undoing", "at"),
    [*product(UNDOINGS[:1], PLACES), *product(UNDOINGS[1:], PLACES[2:])],
)
@pytest.mark.parametrize("backend", ["mongo", "postgres"])
def test_an_upgrade_of_one_side_takes_nothing_half_undone_for_done(
    backend: str,
    undoing: Undoing,
    at: str,
    second: Tree,
    engine: sa.Engine,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undoing(partial(killed, monkeypatch), at)
    assert entry_of(mongo_db)["undoing"]

    upgrade(backend=backend)
    upgrade()

    assert values_in(mongo_db) == {(1, 1)}
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


@pytest.mark.parametrize("undoing", UNDOINGS)
def test_a_downgrade_of_one_side_undoes_the_rest(
    undoing: Undoing,
    second: Tree,
    engine: sa.Engine,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undoing(partial(killed, monkeypatch), "mongo.undo.done#1")

    downgrade(revision="r1", backend="mongo")

    assert values_in(mongo_db) == {(0, None)}
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    assert repair().ok  # type: ignore[union-attr]


@pytest.mark.parametrize("backend", ["mongo", "both"])
@pytest.mark.parametrize(("goes", "value"), [(upgrade, (1, 1)), (downgrade, (0, None))])
def test_a_downgrade_that_is_half_undone_is_carried_on_or_undone(
    goes: Callable[..., Any],
    value: tuple[int, int | None],
    backend: str,
    second: Tree,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upgrade()
    with failing(), killed(monkeypatch, "mongo.undo.done#2"):
        downgrade()

    goes(revision="r2" if goes is upgrade else "r1", backend=backend)

    assert values_in(mongo_db) == {value}
    assert not entry_of(mongo_db)["undoing"]


def test_an_app_on_one_side_is_not_ready_and_undoes_nothing_by_halves(
    second: Tree,
    make_app: MakeApp,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with failing(), killed(monkeypatch, "mongo.undo.done#2"):
        upgrade()

    with pytest.raises(IntegrityError, match="half done: r2"):
        make_app(active="mongo", auto_upgrade="check")
    make_app(active="mongo", auto_upgrade=True)

    assert values_in(mongo_db) == {(1, 1)}


def test_what_is_half_undone_is_shown_as_what_it_is(
    second: Tree, mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(), killed(monkeypatch, "mongo.undo.done#2"):
        upgrade()

    assert status().rows[0].sides[MONGO].state == "stopped"
    assert "half done on MongoDB" in current().half_done[0]
    report = repair()
    assert isinstance(report, RepairReport)
    (case,) = report.cases
    assert case.text.startswith("The undoing of the upgrade of r2 stopped half")
    assert show().attempts[MONGO][-1]["status"] == "undoing"


@pytest.mark.parametrize("at", PLACES)
def test_a_journal_of_before_undoings_were_written_down_is_read_by_its_steps(
    at: str,
    second: Tree,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with failing(), killed(monkeypatch, at):
        upgrade()
    as_it_was = {"status": "applied", "awaits_partner": True}
    mongo_db["_migrations"].update_one(
        {"_id": "r2"}, {"$set": as_it_was, "$unset": {"undoing": ""}}
    )

    upgrade(backend="mongo")

    assert values_in(mongo_db) == {(1, 1)}


def test_a_step_that_was_undone_by_an_earlier_attempt_keeps_nobody_from_closing(
    second: Tree, mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(), pytest.raises(PartialFailure):
        upgrade()
    script = second.path("mongo", "r2")
    script.write_text(
        script.read_text().replace('op.add_field("c", "z", default=1)', "")
    )
    with killed(monkeypatch, BETWEEN):
        upgrade()
    mongo_db["_migrations"].update_one({"_id": "r2"}, {"$unset": {"undoing": ""}})

    upgrade(backend="mongo")

    assert values_in(mongo_db) == {(1, None)}
    assert entry_of(mongo_db)["status"] == "applied"


TEXTS = {
    "surrogate": r"os.fsdecode(b'caf\xe9.csv')",
    "nul": r"'a\0b'",
    "long": "'x' * 20_000_000",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_what_a_script_raises_is_written_down_whatever_is_in_it(
    side: str, text: str, second: Tree, mongo_db: Db
) -> None:
    fails = f"import os\nraise RuntimeError({text})\n"
    second.add(
        "r3",
        postgres=fails if side == "postgres" else "pass",
        mongo="op.run(fail)",
        mongo_more="def fail(db):\n"
        + indent(fails if side == "mongo" else "pass", "    "),
    )
    init()
    with pytest.raises(PartialFailure):
        upgrade()

    newest = status().rows[0].sides
    wanted = {"mongo": [MONGO], "postgres": [MONGO, POSTGRES]}[side]
    assert {newest[name].state for name in wanted} == {"failed"}
    assert all("RuntimeError" in str(newest[name].error) for name in wanted)
