"""kill -9 on a run: the next one carries on, or takes back, and nothing is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Int64, ObjectId
from pymongo.database import Database

from flask_dualmigrate.errors import IntegrityError
from flask_dualmigrate.ops import Run, Update
from tests.support.mongo.cases import CASES, Case
from tests.support.mongo.killed import (
    Life,
    hang,
    revert_killed,
    run_killed,
    strides,
)
from tests.support.mongo.runs import REVISION, clear, image, image_after, revert, run
from tests.support.mongo.seed import seed

Db = Database[Any]

BATCH, DOCUMENTS = 10, 2500
ADD_ONE = Update(
    "item", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}}, batch_size=BATCH
)


def cases(turn: int) -> pytest.MarkDecorator:
    """Take each case in its turn, in one of three ways of killing; in chaos, in all."""
    return pytest.mark.parametrize(
        ("first", "case"),
        [
            pytest.param(
                number,
                case,
                id=name,
                marks=() if number % 3 == turn else pytest.mark.chaos,
            )
            for number, (name, case) in enumerate(CASES.items())
        ],
    )


@pytest.mark.slow
@strides
@cases(0)
def test_a_run_killed_at_any_command_is_carried_on(
    mongo_db: Db, mongo_url: str, first: int, case: Case, stride: int
) -> None:
    expected = image_after(mongo_db, seed, case.operation)
    for commands in count(first % stride, stride):
        clear(mongo_db)
        seed(mongo_db)
        killed = run_killed(mongo_url, case.id, commands)
        run(mongo_db, case.operation)
        assert image(mongo_db) == expected, f"killed at command {commands}"
        if not killed:
            break


@pytest.mark.slow
@strides
@cases(1)
def test_a_run_killed_at_any_command_is_taken_back(
    mongo_db: Db, mongo_url: str, first: int, case: Case, stride: int
) -> None:
    for commands in count(first % stride, stride):
        clear(mongo_db)
        seed(mongo_db)
        before = image(mongo_db)
        killed = run_killed(mongo_url, case.id, commands)
        assert revert(mongo_db, case.operation).stuck is None
        assert image(mongo_db) == before, f"killed at command {commands}"
        if not killed:
            break


@pytest.mark.slow
@strides
@cases(2)
def test_an_undoing_killed_at_any_command_is_carried_on(
    mongo_db: Db, mongo_url: str, first: int, case: Case, stride: int
) -> None:
    for commands in count(first % stride, stride):
        clear(mongo_db)
        seed(mongo_db)
        before = image(mongo_db)
        run(mongo_db, case.operation)
        killed = revert_killed(mongo_url, case.id, commands)
        assert revert(mongo_db, case.operation).stuck is None
        assert image(mongo_db) == before, f"killed at command {commands}"
        if not killed:
            break


def fill(db: Db, documents: int) -> None:
    """Insert documents with `_id`s of seven types, so many in all."""
    kinds: list[Callable[[int], Any]] = [
        lambda n: n,
        lambda n: n + 0.5,
        lambda n: Int64(2**40 + n),
        lambda n: f"{n:06}",
        lambda n: {"n": n},
        lambda n: ObjectId(f"{n:024x}"),
        lambda n: Binary.from_uuid(UUID(int=n)),
        lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n),
    ]
    db.item.insert_many(
        [{"_id": kinds[n % len(kinds)](n), "n": 0} for n in range(documents)]
    )


def kill_thirty_times(url: str, chance: random.Random, *, undo: bool) -> None:
    """Kill so many runs or undoings on their way, and let the next one end."""
    for _ in range(30):
        life = Life(url, ADD_ONE, undo=undo)
        began = time.monotonic()
        assert life.sees(chance.randint(1, 5)), "It was done before the end"
        # An open transaction of a killed one would hold the next one up for a minute.
        assert time.monotonic() - began < 45
        time.sleep(chance.uniform(0, 0.01))
        life.kill()
    life = Life(url, ADD_ONE, undo=undo)
    while life.sees(1):
        pass
    life.end()


@pytest.mark.slow
def test_an_increment_killed_thirty_times_is_made_once(
    mongo_db: Db, mongo_url: str
) -> None:
    fill(mongo_db, DOCUMENTS)
    kill_thirty_times(mongo_url, random.Random(1), undo=False)
    assert mongo_db.item.count_documents({"n": 1}) == DOCUMENTS


@pytest.mark.slow
def test_the_undoing_of_an_increment_killed_thirty_times_is_made_once(
    mongo_db: Db, mongo_url: str
) -> None:
    fill(mongo_db, DOCUMENTS)
    run(mongo_db, ADD_ONE)
    kill_thirty_times(mongo_url, random.Random(2), undo=True)
    assert mongo_db.item.count_documents({"n": 0}) == DOCUMENTS


def test_a_function_that_was_killed_is_in_doubt(mongo_db: Db, mongo_url: str) -> None:
    life = Life(mongo_url, Run(hang))
    assert life.sees(1)
    life.kill()
    with pytest.raises(IntegrityError, match=f"Step 0 of revision {REVISION} is in"):
        run(mongo_db, Run(hang))
