"""Each operation on an empty, a small and a large collection.

What it does is what was foretold; a downgrade gives back every byte; half of it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.journal.step_record import StepStatus
from flask_dualmigrate.mongo.operations.registry import HANDLERS
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import Operation, Run, Transform, Update
from tests.integration.verbs.test_dry_run import last_write, one
from tests.support.mongo.runs import (
    DOWN,
    REVISION,
    UP,
    Stopped,
    clear,
    complete,
    digest_of,
    image,
    our_asides,
    revert,
    run,
    settle,
)
from tests.support.mongo.seed import item
from tests.support.mongo.size_cases import (
    CASES,
    CITY,
    EVENS,
    LARGE,
    SIZES,
    UP_10,
    Sized,
    paced,
    raised,
)

Db = Database[Any]
Image = dict[str, Any]
Fill = Callable[[Db, int], Image]

SIZED = pytest.mark.parametrize(
    "size",
    [
        pytest.param(size, id=name, marks=[pytest.mark.large] * (name == "large"))
        for name, size in SIZES.items()
    ],
)
FINAL = [
    Update("item", EVENS, UP_10),
    Transform("item", raised, EVENS),
]


@pytest.fixture(scope="module")
def fill(mongo_server: MongoClient[Any]) -> Iterator[Fill]:
    """A function that fills `item` of a database, and returns what is there then.

    It copies within the server.
    """
    templates = mongo_server.get_database(f"test_{uuid4().hex}")
    images: dict[int, Image] = {}

    def fill(db: Db, size: int) -> Image:
        name = f"of_{size}"
        if size and name not in templates.list_collection_names():
            templates[name].insert_many(
                item(n, f"i{n}" if n % 3 else n) for n in range(size)
            )
        db.create_collection("item")
        out = {"$out": {"db": db.name, "coll": "item"}}
        templates[name].aggregate([out])
        db.item.create_index([("address.city", 1), ("n", -1)], name="ix_city", **CITY)
        if size not in images:
            images[size] = image(db, digest_of)
        return images[size]

    yield fill
    mongo_server.drop_database(templates.name)


class StopAt:
    """Stops a run when it has written so many documents, whatever its batches are."""

    def __init__(self, documents: int) -> None:
        self._documents, self.done = documents, 0

    def run(self, db: Db, operation: Operation) -> bool:
        """Return True if it was stopped."""
        runner = OperationRunner(db, on_progress=self._note, keep_going=self._stop)
        try:
            runner.run(REVISION, UP, [operation])
        except Stopped:
            return True
        return False

    def _note(self, progress: Progress) -> None:
        self.done = max(self.done, progress.done)

    def _stop(self) -> None:
        if self.done >= self._documents:
            raise Stopped


def stop_half_way(db: Db, case: Sized, size: int) -> None:
    """Stop in the midst of an operation; what has no batches is run to its end."""
    written = case.written(size)
    stop = StopAt(max(1, written // 2))
    assert stop.run(db, case.operation) is (written > 0)
    if written and size == LARGE:
        assert written // 2 <= stop.done < written


@pytest.mark.parametrize("case", CASES, ids=str)
@SIZED
def test_it_does_what_was_foretold_and_a_downgrade_gives_back_every_byte(
    mongo_db: Db, fill: Fill, case: Sized, size: int
) -> None:
    # One test of both, as the run between them is what takes the time.
    case = case.paced(size)
    before, wrote = fill(mongo_db, size), last_write(mongo_db)
    forecast = one(mongo_db, case.operation)
    assert last_write(mongo_db, wrote) == wrote

    (result,) = run(mongo_db, case.operation).steps
    assert (forecast.writes or 0, forecast.problems) == (result.documents, ())
    assert result.documents == case.written(size)
    case.check(mongo_db, size)

    if case.reverse is not None:
        settle(mongo_db)
        complete(mongo_db, case.reverse, direction=DOWN)
        assert image(mongo_db, digest_of) == before


@pytest.mark.parametrize("case", CASES, ids=str)
@SIZED
def test_half_of_it_is_undone_to_every_byte(
    mongo_db: Db, fill: Fill, case: Sized, size: int
) -> None:
    case = case.paced(size)
    before = fill(mongo_db, size)
    stop_half_way(mongo_db, case, size)
    assert image(mongo_db, digest_of) != before or not size
    assert revert(mongo_db, case.operation).undone == (0,)
    assert image(mongo_db, digest_of) == before
    assert our_asides(mongo_db) == []


@pytest.mark.parametrize("operation", FINAL, ids=lambda operation: operation.verb)
@SIZED
def test_half_of_it_that_has_no_undo_stays_and_is_carried_on(
    mongo_db: Db, fill: Fill, operation: Update | Transform, size: int
) -> None:
    operation = paced(operation, size)
    fill(mongo_db, size)
    mongo_db.item.update_many(operation.filter, UP_10)
    done = image(mongo_db, digest_of)
    clear(mongo_db)
    before = fill(mongo_db, size)
    assert one(mongo_db, operation).writes == size // 2
    assert StopAt(max(1, size // 4)).run(mongo_db, operation) is (size > 0)
    half = image(mongo_db, digest_of)
    assert before != half != done or not size
    assert revert(mongo_db, operation).stuck == (0 if size else None)
    assert image(mongo_db, digest_of) == half
    run(mongo_db, operation)
    assert image(mongo_db, digest_of) == done


@SIZED
def test_half_of_a_function_in_a_transaction_leaves_nothing(
    mongo_db: Db, fill: Fill, size: int
) -> None:
    def fail(db: Db, session: ClientSession) -> None:
        db.item.update_many({}, {"$inc": {"n": 1}}, session=session)
        raise ValueError

    before = fill(mongo_db, size)
    operation = Run(fail, transactional=True)
    with pytest.raises(OperationError, match="ValueError"):
        run(mongo_db, operation)
    assert image(mongo_db, digest_of) == before
    assert revert(mongo_db, operation).undone == (0,)


@SIZED
def test_half_of_a_function_without_undo_stays_and_is_called_again(
    mongo_db: Db, fill: Fill, size: int
) -> None:
    failing = True

    def work(db: Db) -> None:
        db.item.update_many({"n": {"$lt": size // 2}}, {"$set": {"marked": True}})
        if failing:
            raise ValueError
        db.item.update_many({}, {"$set": {"marked": True}})

    fill(mongo_db, size)
    operation = Run(work, idempotent=True)
    with pytest.raises(OperationError, match="ValueError"):
        run(mongo_db, operation)
    assert revert(mongo_db, operation).stuck == 0
    (record,) = OperationRunner(mongo_db).records(REVISION, UP)
    assert record.status is StepStatus.STARTED
    assert mongo_db.item.count_documents({"marked": True}) == size // 2

    failing = False
    run(mongo_db, operation)
    assert mongo_db.item.count_documents({"marked": True}) == size


def test_every_operation_is_in_the_table() -> None:
    assert {type(case.operation) for case in CASES} == set(HANDLERS)
