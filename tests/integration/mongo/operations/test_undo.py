"""Operations on MongoDB taken back: whole or half done, byte for byte."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.mongo.journal.step_record import StepStatus
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    Insert,
    Operation,
    RenameField,
    Run,
    Update,
)
from tests.support.mongo.cases import BATCH, CASES, Case, mark
from tests.support.mongo.runs import (
    REVISION,
    UP,
    clear,
    image,
    our_asides,
    revert,
    revert_stopped,
    run,
    run_stopped,
)
from tests.support.mongo.seed import seed

Db = Database[Any]


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_undoing_gives_back_every_byte(mongo_db: Db, case: Case) -> None:
    seed(mongo_db)
    before = image(mongo_db)
    run(mongo_db, case.operation)
    assert revert(mongo_db, case.operation).undone == (0,)
    assert image(mongo_db) == before
    assert our_asides(mongo_db) == []


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_undoing_half_an_operation_gives_back_every_byte(
    mongo_db: Db, case: Case
) -> None:
    for calls in count(1):
        clear(mongo_db)
        seed(mongo_db)
        before = image(mongo_db)
        stopped = run_stopped(mongo_db, calls, case.operation)
        assert revert(mongo_db, case.operation).stuck is None
        assert image(mongo_db) == before
        if not stopped:
            break


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_undoing_that_was_stopped_is_carried_on(mongo_db: Db, case: Case) -> None:
    for calls in count(1):
        clear(mongo_db)
        seed(mongo_db)
        before = image(mongo_db)
        run(mongo_db, case.operation)
        stopped = revert_stopped(mongo_db, calls, case.operation)
        revert(mongo_db, case.operation)
        assert image(mongo_db) == before
        if not stopped:
            break


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_a_run_after_half_an_undoing_begins_anew(mongo_db: Db, case: Case) -> None:
    seed(mongo_db)
    run(mongo_db, case.operation)
    done = image(mongo_db)
    revert_stopped(mongo_db, 3, case.operation)
    run(mongo_db, case.operation)
    assert image(mongo_db) == done


def test_operations_are_undone_newest_first(mongo_db: Db) -> None:
    seed(mongo_db)
    before = image(mongo_db)
    operations = [
        AddField("item", "a", default=1, batch_size=BATCH),
        RenameField("item", "a", "b", batch_size=BATCH),
        ConvertField("item", "b", to="string", batch_size=BATCH),
        CreateIndex("item", (("b", 1),), "ix_b"),
        Update("item", {}, {"$set": {"b": "x"}}, keep=True, batch_size=BATCH),
        DropField("item", "b", batch_size=BATCH),
        Delete("item", {"n": {"$gt": 3}}, batch_size=BATCH),
        Insert("item", ({"_id": "new"},)),
        DropCollection("item"),
        CreateCollection("item"),
        Insert("item", ({"_id": "newer"},)),
    ]
    run(mongo_db, *operations)
    assert revert(mongo_db, *operations).undone == tuple(reversed(range(11)))
    assert image(mongo_db) == before
    assert our_asides(mongo_db) == []


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (
            Update("item", {}, {"$inc": {"n": 1}}, batch_size=BATCH),
            "it has neither undo= nor keep=True",
        ),
        (
            DropField("item", "n", keep=False, batch_size=BATCH),
            "drop_field(…, keep=False) kept nothing to restore",
        ),
        (
            ConvertField("item", "n", to="string", keep=False, batch_size=BATCH),
            "convert_field(…, keep=False) kept nothing to restore",
        ),
        (
            Delete("item", {}, keep=False, batch_size=BATCH),
            "delete(…, keep=False) kept nothing to restore",
        ),
        (
            DropCollection("item", keep=False),
            "drop_collection(…, keep=False) kept nothing to restore",
        ),
        (Run(mark, idempotent=True), "run(mark) has no undo="),
    ],
    ids=lambda value: getattr(value, "verb", ""),
)
def test_undoing_ends_at_an_operation_without_an_undo(
    mongo_db: Db, operation: Operation, why: str
) -> None:
    seed(mongo_db)
    steps = [CreateCollection("made"), operation, CreateCollection("later")]
    run(mongo_db, *steps)
    reverted = revert(mongo_db, *steps)
    assert (reverted.undone, reverted.stuck, reverted.why) == ((2,), 1, why)
    statuses = [
        record.status for record in OperationRunner(mongo_db).records(REVISION, UP)
    ]
    assert statuses == [StepStatus.DONE, StepStatus.DONE, StepStatus.UNDONE]


def test_a_run_carries_on_from_the_operation_that_stayed(mongo_db: Db) -> None:
    seed(mongo_db)
    steps = [
        Update("log", {}, {"$inc": {"at": 1}}, batch_size=1),
        CreateCollection("made"),
    ]
    run_stopped(mongo_db, 5, *steps)
    assert revert(mongo_db, *steps).stuck == 0
    run(mongo_db, *steps)
    assert [doc["at"] for doc in mongo_db.log.find().sort("_id")] == [1, 2, 3]


def test_an_update_that_found_nothing_needs_no_undo(mongo_db: Db) -> None:
    seed(mongo_db)
    operation = Update("item", {"n": -1}, {"$inc": {"n": 1}})
    run(mongo_db, operation)
    assert revert(mongo_db, operation).stuck is None


def test_an_undone_operation_can_be_run_again(mongo_db: Db) -> None:
    seed(mongo_db)
    operation = DropField("item", "n", batch_size=BATCH)
    run(mongo_db, operation)
    done = image(mongo_db)
    revert(mongo_db, operation)
    run(mongo_db, operation)
    assert image(mongo_db) == done


def test_an_undone_operation_may_be_another_one_the_next_time(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, DropField("item", "n"))
    revert(mongo_db, DropField("item", "n"))
    run(mongo_db, RenameField("item", "n", "number"))
    assert mongo_db.item.count_documents({"number": {"$exists": True}}) == 16


class TestWrittenSince:
    """What the app wrote after an operation is not lost when that is undone."""

    def test_a_field_that_is_there_again_stays(self, mongo_db: Db) -> None:
        mongo_db.t.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])
        run(mongo_db, DropField("t", "a"))
        mongo_db.t.update_one({"_id": 1}, {"$set": {"a": "app"}})
        reverted = revert(mongo_db, DropField("t", "a"))
        assert mongo_db.t.distinct("a") == [2, "app"]
        (kept,) = our_asides(mongo_db)
        assert mongo_db[kept].find_one() == {"_id": 1, "value": 1, "at": 1}
        assert reverted.notes == (
            "1 document was written or deleted since: the former a of t stays in "
            "_aside_r1_t.a",
        )

    def test_a_document_that_was_updated_stays(self, mongo_db: Db) -> None:
        mongo_db.t.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])
        operation = Update("t", {}, {"$inc": {"a": 10}}, keep=True)
        run(mongo_db, operation)
        mongo_db.t.update_one({"_id": 1}, {"$set": {"seen": True}})
        reverted = revert(mongo_db, operation)
        assert list(mongo_db.t.find().sort("_id")) == [
            {"_id": 1, "a": 11, "seen": True},
            {"_id": 2, "a": 2},
        ]
        assert reverted.notes == (
            "1 document of t was changed since, and remains so; the next run "
            "skips it; the previous content is in _aside_r1_t.documents",
        )

    def test_a_deleted_document_that_is_there_again_stays(self, mongo_db: Db) -> None:
        mongo_db.t.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])
        run(mongo_db, Delete("t", {}))
        mongo_db.t.insert_one({"_id": 1, "a": "app"})
        revert(mongo_db, Delete("t", {}))
        assert mongo_db.t.distinct("a") == [2, "app"]
        assert mongo_db[our_asides(mongo_db)[0]].distinct("a") == [1]

    def test_a_converted_value_that_changed_stays(self, mongo_db: Db) -> None:
        mongo_db.t.insert_many([{"_id": 1, "a": "1"}, {"_id": 2, "a": "2"}])
        run(mongo_db, ConvertField("t", "a", to="int"))
        mongo_db.t.update_one({"_id": 1}, {"$set": {"a": 7}})
        revert(mongo_db, ConvertField("t", "a", to="int"))
        assert mongo_db.t.distinct("a") == [7, "2"]

    def test_a_created_collection_that_was_filled_is_kept_aside(
        self, mongo_db: Db
    ) -> None:
        run(mongo_db, CreateCollection("made"))
        mongo_db.made.insert_one({"_id": 1})
        reverted = revert(mongo_db, CreateCollection("made"))
        assert image(mongo_db) == {}
        assert mongo_db["_aside_r1_made"].find_one() == {"_id": 1}
        assert reverted.notes == (
            "made was written to since: its 1 document is kept in _aside_r1_made",
        )
