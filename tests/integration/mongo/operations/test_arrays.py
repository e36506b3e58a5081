"""Operations on fields of documents that stand in arrays."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    DropField,
    Operation,
    RenameField,
)
from tests.integration.verbs.test_dry_run import one
from tests.support.mongo.runs import REVISION, UP, complete, image, run

Db = Database[Any]

THROUGH = {
    "add": AddField("t", "lines.tax", default=0),
    "drop": DropField("t", "lines.price"),
    "drop for good": DropField("t", "lines.price", keep=False),
    "rename": RenameField("t", "lines.price", "lines.cost"),
    "rename into": RenameField("t", "total", "lines.total"),
    "copy": CopyField("t", "lines.price", "price"),
    "copy into": CopyField("t", "total", "lines.total", overwrite=True),
    "convert": ConvertField("t", "lines.price", to="string"),
    "convert by using": ConvertField("t", "lines.price", to="int", using=1),
    "a number in the path": DropField("t", "lines.0.price"),
    "two levels above": DropField("t", "lines.detail.price"),
}
"""Operations that do not say that `lines` is an array."""


@pytest.mark.parametrize("operation", THROUGH.values(), ids=THROUGH)
def test_an_array_above_a_field_is_refused_with_counts_in_run_and_dry_run(
    mongo_db: Db, operation: Operation
) -> None:
    mongo_db.t.insert_many(
        [
            {"_id": 1, "total": 3, "lines": [{"price": 1}, {}, {"price": 2}]},
            {"_id": 2, "total": 3, "lines": {"price": 3}},
            {"_id": 3, "total": 3, "lines": [[{"price": 4}]]},
            {"_id": 4, "total": 3},
        ]
    )
    before = image(mongo_db)
    told = one(mongo_db, operation).problems
    with pytest.raises(OperationError) as caught:
        run(mongo_db, operation)
    assert caught.value.what.startswith("2 documents of t have an array at lines, ")
    assert caught.value.what.endswith(
        ": 1 ([{'price': 1}, {}, {'price': 2}]), 3 ([[{'price': 4}]])"
    )
    assert [f"{caught.value.what}. {caught.value.hint}"] == list(told)
    assert image(mongo_db) == before


def test_an_array_below_a_document_is_seen_and_an_empty_one_holds_nothing(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many(
        [
            {"_id": 1, "order": {"lines": []}},
            {"_id": 2, "order": {"lines": {"price": 1}}},
        ]
    )
    complete(mongo_db, DropField("t", "order.lines.price"))
    assert mongo_db.t.find_one({"_id": 2}) == {"_id": 2, "order": {"lines": {}}}
    mongo_db.t.insert_one({"_id": 3, "order": {"lines": [{"price": 1}]}})
    with pytest.raises(OperationError, match="1 document of t has an array at "):
        run(mongo_db, DropField("t", "order.lines.price", keep=False))


@pytest.mark.parametrize("operation", THROUGH.values(), ids=THROUGH)
def test_an_array_that_comes_in_meanwhile_is_told_of(
    mongo_db: Db, operation: Operation
) -> None:
    inner = {"price": 1}
    mongo_db.t.insert_many(
        {"_id": n, "total": 3, "lines": {"price": 1.5, "0": inner, "detail": inner}}
        for n in range(4)
    )

    def app_writes(progress: Progress) -> None:
        if progress.done == 2:
            late = {"_id": 9, "lines": [{"price": 1}]}
            mongo_db.t.replace_one({"_id": 9}, late, upsert=True)

    runner = OperationRunner(mongo_db, on_progress=app_writes)
    small: Any = dataclasses.replace(operation, **BATCHES)
    (step,) = runner.run(REVISION, UP, [small]).steps
    assert step.notes == (
        "Documents of t that were written meanwhile with an array at lines, "
        f"above {place_of(operation)}, and remain so: 1",
    )


BATCHES: dict[str, Any] = {"batch_size": 2}


def place_of(operation: Operation) -> str:
    """Return the field of an operation that has a document above it."""
    names = ("field", "new_name", "target")
    paths = [getattr(operation, name, "") for name in names]
    return next(path for path in paths if "." in path)
