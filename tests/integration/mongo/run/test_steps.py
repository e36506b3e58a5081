"""The records of steps: resuming, edited scripts, steps in doubt, lost locks."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.errors import IntegrityError, LockLost, OperationError
from flask_dualmigrate.mongo.journal.step_record import StepStatus
from flask_dualmigrate.mongo.journal.steps import STEPS
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    CreateCollection,
    CreateIndex,
    DropField,
    Insert,
    Operation,
    RenameField,
    Run,
    Todo,
    Transform,
    Update,
)
from tests.support.mongo.cases import BATCH, CASES, Case
from tests.support.mongo.runs import (
    DOWN,
    REVISION,
    UP,
    Stopped,
    clear,
    image,
    image_after,
    revert,
    run,
    run_stopped,
    settle,
)
from tests.support.mongo.seed import IDS, seed

Db = Database[Any]
ADD_ONE = Update("item", {}, {"$inc": {"n": 1}}, batch_size=BATCH)


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_a_run_that_was_stopped_is_carried_on(mongo_db: Db, case: Case) -> None:
    expected = image_after(mongo_db, seed, case.operation)
    for calls in count(1):
        clear(mongo_db)
        seed(mongo_db)
        stopped = run_stopped(mongo_db, calls, case.operation)
        run(mongo_db, case.operation)
        assert image(mongo_db) == expected
        if not stopped:
            break


def test_the_record_says_who_did_how_much_and_when(mongo_db: Db) -> None:
    seed(mongo_db)
    run_stopped(mongo_db, 3, ADD_ONE)
    (record,) = OperationRunner(mongo_db).records(REVISION, UP)
    assert (record.verb, record.status) == ("update", StepStatus.STARTED)
    assert (record.documents, record.total) == (2 * BATCH, len(IDS))
    assert record.checkpoint["last"] == IDS[2 * BATCH - 1]
    assert record.started_at is not None
    assert record.finished_at is None
    assert "(pid " in record.by


def test_settling_forgets_the_records(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, ADD_ONE, DropField("item", "n"))
    settle(mongo_db)
    assert OperationRunner(mongo_db).records(REVISION, UP) == ()
    assert mongo_db["_migrations_touched"].count_documents({}) == 0


class TestEditedScripts:
    """What is done may not change any more; what failed may."""

    def test_an_operation_that_is_done_may_not_change(self, mongo_db: Db) -> None:
        seed(mongo_db)
        run_stopped(mongo_db, 4, CreateCollection("a"), ADD_ONE)
        with pytest.raises(IntegrityError, match=r"Step 0 .* was changed in"):
            run(mongo_db, CreateCollection("b"), ADD_ONE)
        assert "b" not in mongo_db.list_collection_names()

    def test_an_operation_that_is_done_may_not_go(self, mongo_db: Db) -> None:
        run(mongo_db, CreateCollection("a"), CreateCollection("b"))
        with pytest.raises(IntegrityError, match=r"Step 1 .* was removed from the"):
            run(mongo_db, CreateCollection("a"))

    def test_operations_may_be_added_after_those_done(self, mongo_db: Db) -> None:
        run(mongo_db, CreateCollection("a"))
        run(mongo_db, CreateCollection("a"), CreateCollection("b"))
        assert {"a", "b"} <= set(mongo_db.list_collection_names())

    def test_a_function_that_failed_goes_on_in_its_mended_form(
        self, mongo_db: Db
    ) -> None:
        seed(mongo_db)

        def broken(doc: dict[str, Any]) -> dict[str, Any]:
            return {**doc, "double": 2 * doc["n"] if doc["n"] < 9 else doc["none"]}

        def mended(doc: dict[str, Any]) -> dict[str, Any]:
            return {**doc, "double": 2 * doc["n"]}

        with pytest.raises(OperationError, match=r"raised KeyError: 'none', on the"):
            run(mongo_db, Transform("item", broken, batch_size=BATCH))
        (step,) = run(mongo_db, Transform("item", mended, batch_size=BATCH)).steps
        doubled = {"$expr": {"$eq": ["$double", {"$multiply": [2, "$n"]}]}}
        assert mongo_db.item.count_documents(doubled) == len(IDS)
        assert step.notes == (
            "the operation was edited after 8 documents were done; the "
            "rest used the new version",
        )

    @pytest.mark.parametrize(
        ("begun", "edited"),
        [
            (
                DropField("item", "n", batch_size=BATCH),
                DropField("item", "name", batch_size=BATCH),
            ),
            (
                Update("item", {}, {"$inc": {"n": 1}}, batch_size=BATCH),
                Update(
                    "item",
                    {},
                    {"$inc": {"n": 1}},
                    undo={"$inc": {"n": -1}},
                    batch_size=BATCH,
                ),
            ),
            (
                Update("item", {}, {"$inc": {"n": 1}}, batch_size=BATCH),
                Update("log", {}, {"$inc": {"n": 1}}, batch_size=BATCH),
            ),
            (ADD_ONE, AddField("item", "x", default=1)),
        ],
        ids=["field", "undo", "collection", "verb"],
    )
    def test_an_operation_that_was_begun_may_not_become_another(
        self, mongo_db: Db, begun: Operation, edited: Operation
    ) -> None:
        seed(mongo_db)
        run_stopped(mongo_db, 3, begun)
        before = image(mongo_db)
        with pytest.raises(IntegrityError, match="script after it was begun"):
            run(mongo_db, edited)
        assert image(mongo_db) == before

    def test_what_the_script_no_longer_says_cannot_be_undone(
        self, mongo_db: Db
    ) -> None:
        seed(mongo_db)
        run(mongo_db, DropField("item", "n"))
        with pytest.raises(IntegrityError, match="so it cannot be undone"):
            revert(mongo_db, DropField("item", "name"))


class TestInDoubt:
    """An op.run that declares nothing, and was stopped inside."""

    @staticmethod
    def crash(db: Db) -> None:
        db.log.insert_one({"_id": "half"})
        raise KeyboardInterrupt

    def test_a_run_refuses_it_and_says_who_began_it(self, mongo_db: Db) -> None:
        with pytest.raises(KeyboardInterrupt):
            run(mongo_db, CreateCollection("a"), Run(self.crash))
        with pytest.raises(IntegrityError) as caught:
            run(mongo_db, CreateCollection("a"), Run(self.crash))
        assert caught.value.exit_code == 3
        assert "Step 1 of revision r1 is in doubt: it was started at 20" in str(
            caught.value
        )
        assert "(pid " in str(caught.value)

    def test_it_is_not_undone_before_a_person_said_whether_it_was_done(
        self, mongo_db: Db
    ) -> None:
        operation = Run(self.crash, undo=self.crash)
        with pytest.raises(KeyboardInterrupt):
            run(mongo_db, operation)
        reverted = revert(mongo_db, operation)
        assert (reverted.undone, reverted.stuck) == ((), 0)
        assert reverted.why is not None
        assert "in doubt: decide with `flask db-migrate repair r1 --step 0`" in (
            reverted.why
        )

    def test_it_can_be_said_to_be_done(self, mongo_db: Db) -> None:
        with pytest.raises(KeyboardInterrupt):
            run(mongo_db, Run(self.crash))
        OperationRunner(mongo_db).decide(REVISION, UP, 0, done=True)
        (step,) = run(mongo_db, Run(self.crash)).steps
        assert step.skipped

    def test_it_can_be_called_again(self, mongo_db: Db) -> None:
        calls = []

        def once(db: Db) -> None:
            calls.append(db.name)
            if len(calls) == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(mongo_db, Run(once))
        OperationRunner(mongo_db).decide(REVISION, UP, 0, done=False)
        run(mongo_db, Run(once))
        assert len(calls) == 2

    def test_a_step_that_is_not_in_doubt_needs_no_decision(self, mongo_db: Db) -> None:
        run(mongo_db, CreateCollection("a"))
        with pytest.raises(IntegrityError, match="Step 0 of revision r1 is not in"):
            OperationRunner(mongo_db).decide(REVISION, UP, 0, done=True)

    def test_a_function_that_raised_is_called_again(self, mongo_db: Db) -> None:
        calls = []

        def fails_once(db: Db) -> None:
            calls.append(db.name)
            if len(calls) == 1:
                raise ValueError("not yet")

        with pytest.raises(OperationError, match="raised ValueError: not yet"):
            run(mongo_db, Run(fails_once))
        run(mongo_db, Run(fails_once))
        assert len(calls) == 2

    def test_its_undo_function_is_not_called_twice(self, mongo_db: Db) -> None:
        operation = Run(lambda db: None, undo=self.crash)
        run(mongo_db, operation)
        with pytest.raises(KeyboardInterrupt):
            revert(mongo_db, operation)
        reverted = revert(mongo_db, operation)
        assert reverted.stuck == 0
        assert reverted.why is not None
        assert "was interrupted" in reverted.why


class TestLostLock:
    """A run that a later holder of the lock has shut out writes nothing more."""

    def test_its_batch_is_not_committed(self, mongo_db: Db) -> None:
        seed(mongo_db)
        expected = image_after(mongo_db, seed, ADD_ONE)
        calls = count(1)

        def another_takes_over() -> None:
            if next(calls) == 3:
                later = OperationRunner(mongo_db, token=2)
                later.run(REVISION, UP, [ADD_ONE])

        zombie = OperationRunner(mongo_db, token=1, keep_going=another_takes_over)
        with pytest.raises(LockLost, match="Another run has taken over"):
            zombie.run(REVISION, UP, [ADD_ONE])
        assert image(mongo_db) == expected

    def test_it_begins_no_operation(self, mongo_db: Db) -> None:
        OperationRunner(mongo_db, token=2).settle((REVISION, UP))
        zombie = OperationRunner(mongo_db, token=1)
        with pytest.raises(LockLost):
            zombie.run(REVISION, UP, [CreateCollection("a")])
        assert "a" not in mongo_db.list_collection_names()

    def test_it_begins_no_further_operation(self, mongo_db: Db) -> None:
        calls = count(1)

        def another_takes_over() -> None:
            if next(calls) == 2:
                OperationRunner(mongo_db, token=2).settle((REVISION, UP))

        zombie = OperationRunner(mongo_db, token=1, keep_going=another_takes_over)
        with pytest.raises(LockLost):
            zombie.run(REVISION, UP, [CreateCollection("a"), CreateCollection("b")])
        assert "b" not in mongo_db.list_collection_names()

    def test_it_undoes_nothing(self, mongo_db: Db) -> None:
        seed(mongo_db)
        operation = DropField("item", "n")
        OperationRunner(mongo_db, token=2).run(REVISION, UP, [operation])
        with pytest.raises(LockLost):
            OperationRunner(mongo_db, token=1).revert(REVISION, UP, [operation])
        assert mongo_db.item.count_documents({"n": {"$exists": True}}) == 0


def test_the_open_transaction_of_a_dead_run_does_not_hold_up_the_next(
    mongo_db: Db, mongo_url: str
) -> None:
    seed(mongo_db)
    with MongoClient[Any](mongo_url) as dead:
        db = dead.get_default_database()
        run_stopped(db, 2, ADD_ONE)
        with dead.start_session() as session:
            session.start_transaction()
            db.item.update_many({}, {"$set": {"x": 1}}, session=session)
            mongo_db[STEPS].update_one(
                {"_id": "fence"}, {"$set": {"session": dict(session.session_id)}}
            )
            began = time.monotonic()
            run(mongo_db, ADD_ONE)
            assert time.monotonic() - began < 5
    assert mongo_db.item.count_documents({"x": 1}) == 0


def test_a_stop_between_operations_leaves_the_next_one_alone(mongo_db: Db) -> None:
    calls = count(1)

    def stop() -> None:
        if next(calls) == 2:
            raise Stopped

    runner = OperationRunner(mongo_db, keep_going=stop)
    with pytest.raises(Stopped):
        runner.run(REVISION, UP, [CreateCollection("a"), CreateCollection("b")])
    assert set(mongo_db.list_collection_names()) & {"a", "b"} == {"a"}


async def later(db: Any, session: Any = None) -> None:
    """An async function, which not every op.run takes."""


@pytest.mark.parametrize(
    "last",
    [Todo("say how"), Run(later, transactional=True)],
    ids=["todo", "async in a transaction"],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    mongo_db: Db, last: Operation
) -> None:
    with pytest.raises(OperationError) as caught:
        run(mongo_db, CreateCollection("a"), last)
    assert caught.value.step == 1
    assert mongo_db.list_collection_names() == []


def test_an_operation_that_is_refused_at_first_leaves_no_record(mongo_db: Db) -> None:
    mongo_db.t.insert_one({"_id": 1, "a": 1, "b": 2})
    with pytest.raises(OperationError, match="1 document of t has both a and b"):
        run(mongo_db, RenameField("t", "a", "b"))
    assert OperationRunner(mongo_db).records(REVISION, UP) == ()


def test_steps_of_the_two_directions_are_apart(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, CreateIndex("item", (("n", 1),), "ix_n"))
    runner = OperationRunner(mongo_db)
    runner.run(REVISION, DOWN, [Insert("log", ({"_id": "x"},))])
    assert [record.verb for record in runner.records(REVISION, UP)] == ["create_index"]
