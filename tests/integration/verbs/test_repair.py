"""`repair` on real servers: each case, and what each choice leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import (
    IntegrityError,
    PartialFailure,
    check,
    init,
    repair,
    stamp,
    unlock,
    upgrade,
)
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.verbs import repair as repairing
from flask_dualmigrate.verbs.repair import RepairReport, UndoResult
from flask_dualmigrate.verbs.repair_cases import Case
from tests.integration.conftest import MakeApp, Tree
from tests.integration.run.test_resume import HALF_WAY, KILL_ONCE, killed_cli
from tests.support.snapshots import mongo_snapshot, stamps

__all__ = ["killed_cli"]

Prepare = Callable[..., None]
STEP = 'op.transform("numbers", add_one, undo=take_one, batch_size=100)'


@pytest.fixture
def killed(numbers: Tree, killed_cli: Any) -> Prepare:
    """Return a function that writes r2, and runs its upgrade until it kills itself."""

    def prepare(**bodies: str) -> None:
        numbers.add("r2", **bodies)
        init()
        assert killed_cli("upgrade").returncode == -signal.SIGKILL
        unlock()  # ends its transaction too, which is open for a minute otherwise

    return prepare


def half_way(killed: Prepare) -> None:
    killed(mongo=STEP, mongo_more=KILL_ONCE + HALF_WAY)


def report() -> RepairReport:
    found = repair()
    assert isinstance(found, RepairReport)
    return found


def only_case(kind: str) -> Case:
    (case,) = report().cases
    assert case.kind == kind
    return case


def is_whole(engine: sa.Engine, mongo_db: Database[Any], *ids: str) -> None:
    """Assert that both sides stand at the last of the ids, and nothing is wrong."""
    assert stamps(engine, mongo_db) == ([ids[-1]], list(ids))
    assert report().ok
    assert [f for f in check().findings if f.kind not in ("pending", "models")] == []


def test_there_is_nothing_to_repair_where_both_sides_agree(
    numbers: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    assert report().rows == ()
    is_whole(engine, mongo_db, "r1")


def test_a_revision_that_was_killed_half_way_is_shown_with_how_far_it_is(
    killed: Prepare,
) -> None:
    half_way(killed)
    case = only_case("half-done")
    assert (case.backend, case.revision) == ("mongo", "r2")
    assert "step 0, transform numbers: " in case.text
    assert " of 2,500 documents" in case.text
    assert [choice.command for choice in case.choices] == [
        "flask db-migrate upgrade r2",
        "flask db-migrate repair r2 --undo",
    ]
    (row,) = report().rows
    assert {name: side.state for name, side in row.sides.items()} == {
        "mongo": "stopped",
        "postgres": "pending",
    }


def test_a_half_done_revision_can_be_carried_on(
    killed: Prepare, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    half_way(killed)
    upgrade(revision="r2")
    is_whole(engine, mongo_db, "r1", "r2")
    assert mongo_db.numbers.distinct("n") == [1]


def test_a_half_done_revision_can_be_undone(
    killed: Prepare, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    half_way(killed)
    assert repair(revision="r2", undo=True) == UndoResult("r2", ("mongo",))  # type: ignore[arg-type]
    is_whole(engine, mongo_db, "r1")
    assert mongo_db.numbers.distinct("n") == [0]


def test_a_half_done_downgrade_can_be_undone(
    numbers: Tree, killed_cli: Any, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    numbers.add(
        "r2",
        postgres_down="kill_once()",
        postgres_more=KILL_ONCE,
        mongo='op.add_field("numbers", "z", default=1)',
        mongo_down='op.drop_field("numbers", "z")',
    )
    init()
    upgrade()
    assert killed_cli("downgrade", "--yes").returncode == -signal.SIGKILL
    assert mongo_db.numbers.find_one({"z": 1}) is None
    repair(revision="r2", undo=True)
    is_whole(engine, mongo_db, "r1", "r2")
    assert mongo_db.numbers.distinct("z") == [1]


@pytest.mark.parametrize("undo", [False, True], ids=["carry on", "undo"])
def test_a_side_that_awaits_its_partner_has_both_choices(
    killed: Prepare, engine: sa.Engine, mongo_db: Database[Any], undo: bool
) -> None:
    killed(
        mongo='op.add_field("numbers", "z", default=1)',
        postgres="kill_once()",
        postgres_more=KILL_ONCE,
    )
    case = only_case("half-done")
    assert case.text == "MongoDB has done the upgrade of r2, and PostgreSQL has not"
    if undo:
        repair(revision="r2", undo=True)
        is_whole(engine, mongo_db, "r1")
    else:
        upgrade(revision="r2")
        is_whole(engine, mongo_db, "r1", "r2")


NO_UNDO = 'op.update("numbers", {}, {"$set": {"z": 1}}, batch_size=100)'


@pytest.mark.parametrize("workers", ["", ", workers=2"], ids=["one", "parts"])
def test_what_cannot_be_undone_is_neither_offered_nor_asked_for(
    killed: Prepare, engine: sa.Engine, mongo_db: Database[Any], workers: str
) -> None:
    killed(mongo=f"{NO_UNDO[:-1]}{workers})\n" + STEP, mongo_more=KILL_ONCE + HALF_WAY)
    on, back = only_case("half-done").choices
    assert (on.what, on.command) == ("carry it on", "flask db-migrate upgrade r2")
    assert back.command is None
    assert back.what.startswith(
        "it cannot be undone: revision r2, step 0: update numbers"
    )
    before = mongo_snapshot(mongo_db, ours=True)

    def confirm(losses: Any) -> None:
        raise AssertionError("it asked")

    told = r"step 0: update .*MongoDB.*Carry it on with: flask db-migrate upgrade r2"
    with pytest.raises(IntegrityError, match=told):
        repairing.repair(environment_of(), "r2", undo=True, confirm=confirm)
    assert mongo_snapshot(mongo_db, ours=True) == before
    upgrade(revision="r2")
    is_whole(engine, mongo_db, "r1", "r2")


def test_what_was_edited_since_is_offered_neither_way(
    killed: Prepare, numbers: Tree
) -> None:
    half_way(killed)
    path = numbers.path("mongo", "r2")
    path.write_text(path.read_text().replace("op.transform", "op.update_one", 1))
    choices = only_case("half-done").choices
    assert [choice.command for choice in choices] == [None, None]
    renamed = path.read_text().replace(
        STEP.replace("op.transform", "op.update_one"), 'op.create_collection("other")'
    )
    path.write_text(renamed)
    on, back = only_case("half-done").choices
    assert (on.command, back.command) == (None, None)
    assert "was changed in the script after it was begun" in on.what
    assert "was changed in the script after it was begun" in back.what


def test_what_the_partner_has_committed_is_closed_and_not_undone(
    numbers: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    mark = {"$set": {"awaits_partner": True}}
    mongo_db["_migrations"].update_one({"_id": "r1"}, mark)
    only_case("not-closed")
    result = repair(revision="r1", undo=True)
    assert result == UndoResult("r1", (), ("mongo",))  # type: ignore[arg-type]
    is_whole(engine, mongo_db, "r1")


@pytest.mark.parametrize(("done", "calls"), [(True, 1), (False, 2)])
def test_a_step_in_doubt_is_decided_and_the_run_goes_on(
    killed: Prepare,
    engine: sa.Engine,
    mongo_db: Database[Any],
    done: bool,
    calls: int,
) -> None:
    job = "\ndef job(db):\n    db.log.insert_one({})\n    kill_once()\n"
    killed(mongo="op.run(job)", mongo_more=KILL_ONCE + job)
    case = only_case("in-doubt")
    assert [choice.command for choice in case.choices] == [
        "flask db-migrate repair r2 --step 0 --done",
        "flask db-migrate repair r2 --step 0 --retry",
    ]
    repair(revision="r2", step=0, done=done)
    only_case("half-done")
    upgrade(revision="r2")
    is_whole(engine, mongo_db, "r1", "r2")
    assert mongo_db.log.count_documents({}) == calls


def test_a_step_that_failed_and_stays_can_be_given_up(
    numbers: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    job = "\ndef job(db):\n    db.log.insert_one({})\n    raise ValueError('no')\n"
    numbers.add("r2", mongo="op.run(job)", mongo_more=job)
    init()
    with pytest.raises(PartialFailure):
        upgrade()
    case = only_case("half-done")
    assert "failed, and some of it remains on MongoDB" in case.text
    assert not case.text.endswith(".")  # the console ends the sentence
    assert [choice.command for choice in case.choices] == [
        "flask db-migrate upgrade r2",
        None,
        "flask db-migrate repair r2 --step 0 --done",
    ]
    repair(revision="r2", step=0, done=True)
    upgrade(revision="r2")
    is_whole(engine, mongo_db, "r1", "r2")
    assert mongo_db.log.count_documents({}) == 1


def test_what_is_open_is_the_work_of_whoever_holds_the_lock(
    killed: Prepare, mongo_db: Database[Any]
) -> None:
    half_way(killed)
    lock = MongoLock(mongo_db, lease_s=30)
    with lock.held(timeout_s=5, on_wait=lambda holder: None):
        case = only_case("at-work")
    assert "(pid " in case.text
    assert case.choices[-1].command == "flask db-migrate unlock"


@pytest.mark.parametrize("side", ["mongo", "postgres"])
def test_an_edited_script_is_accepted_on_its_side(
    numbers: Tree, engine: sa.Engine, mongo_db: Database[Any], side: str
) -> None:
    numbers.add("r2")
    init()
    upgrade()
    with numbers.path(side, "r1").open("a") as file:
        file.write("# edited\n")
    init()
    case = only_case("edited")
    assert case.choices[-1].command == "flask db-migrate repair r1 --accept-checksum"
    with pytest.raises(IntegrityError, match="repair r1 --accept-checksum"):
        upgrade()
    repair(revision="r1", accept_checksum=True)
    is_whole(engine, mongo_db, "r1", "r2")
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    with pytest.raises(IntegrityError, match="was edited"):
        repair(revision="r1", accept_checksum=True)


@pytest.mark.parametrize(
    ("kind", "harm", "side"),
    [
        ("lost-mark", 'mongo_db["_migrations"].drop()', "mongo"),
        ("lost-mark", 'sql("DELETE FROM alembic_version")', "postgres"),
        ("lost-mark", 'sql("DROP TABLE alembic_version")', "postgres"),
        ("lost-mark", 'sql("DROP TABLE dualmigrate_journal")', "postgres"),
        ("extra-row", "sql(\"INSERT INTO alembic_version VALUES ('r1')\")", "postgres"),
    ],
    ids=[
        *("journal dropped", "row deleted", "version table dropped"),
        *("journal table dropped", "two rows"),
    ],
)
def test_a_lost_mark_is_made_again_by_the_stamp_that_is_offered(
    numbers: Tree,
    engine: sa.Engine,
    mongo_db: Database[Any],
    kind: str,
    harm: str,
    side: str,
) -> None:
    def sql(statement: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)

    numbers.add("r2", postgres='op.create_table("t")')
    init()
    upgrade()
    exec(harm, {"mongo_db": mongo_db, "sql": sql})
    case = only_case(kind)
    offered = [choice.command for choice in case.choices]
    assert f"flask db-migrate stamp --backend {side} r2" in offered
    stamp(revision="r2", backend=side)
    is_whole(engine, mongo_db, "r1", "r2")


@pytest.mark.parametrize(
    ("target", "calls"), [("r2", 1), ("base", 2)], ids=["believed", "begun anew"]
)
def test_a_lost_journal_of_mongo_alone_is_told_and_decided(
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
    target: str,
    calls: int,
) -> None:
    job = "\ndef job(db):\n    db.log.update_one({}, {'$inc': {'n': 1}})\n"
    mongo_db.log.insert_one({"n": 0})
    with make_app(active="mongo").app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1", mongo="op.run(job)", mongo_more=job)
        tree.add("r2")
        init()
        upgrade()
        mongo_db["_migrations"].drop()
        with pytest.raises(IntegrityError, match="has lost its history"):
            upgrade()
        case = only_case("lost-mark")
        assert [choice.command for choice in case.choices] == [
            None,
            "flask db-migrate stamp --backend mongo REV",
            "flask db-migrate stamp --backend mongo base",
        ]
        stamp(revision=target, backend="mongo")
        assert report().ok
        upgrade()
        assert [doc["n"] for doc in mongo_db.log.find()] == [calls]
        assert stamps(engine, mongo_db)[1] == ["r1", "r2"]


def test_the_row_that_another_tool_moved_can_be_believed(
    numbers: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    case = only_case("lost-mark")
    assert case.choices[-1].command == "flask db-migrate stamp --backend postgres base"
    stamp(revision="base", backend="postgres")
    assert report().ok
    upgrade()
    is_whole(engine, mongo_db, "r1")


def test_different_pair_ids_are_explained_and_only_pairing_is_offered_to_type(
    numbers: Tree, mongo_db: Database[Any]
) -> None:
    other = {"$set": {"pair_id": "other"}}
    mongo_db["_migrations_meta"].update_one({"_id": "pair"}, other)
    case = only_case("pair")
    assert "MongoDB has other" in case.text
    commands = [choice.command for choice in case.choices]
    assert commands == [None, None, "flask db-migrate repair --pair"]


def test_nothing_half_done_is_nothing_to_undo(numbers: Tree) -> None:
    with pytest.raises(IntegrityError, match="downgrade"):
        repair(revision="r1", undo=True)
