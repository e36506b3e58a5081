"""What the app writes after an operation, and before that is taken back.

For each operation, on three ways: nothing of the app's is lost, what undoing leaves is
counted, and the next run leaves it out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.ops import (
    NOW,
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Insert,
    Operation,
    RenameCollection,
    RenameField,
    SetValidator,
    Transform,
    Update,
)
from tests.support.mongo.runs import DOWN, complete, revert, revert_stopped, run

Db = Database[Any]
SEED = tuple({"_id": n, "a": str(n), "v": n} for n in range(1, 4))
APP = -77
"""A value that only the app writes."""

CHANGED = "1 document of t was changed since, and remains so"


@dataclasses.dataclass(frozen=True)
class Case:
    """An operation, and what a downgrade has for it.

    field: in the document with _id 1, which the app changes. name: of the collection
    after the upgrade. says: what undoing notes of that; None: nothing is left.
    down_says: of the downgrade, likewise.
    """

    operation: Operation
    down: Operation
    field: str
    says: str | None = None
    down_says: str | None = None
    name: str = "t"

    def __str__(self) -> str:
        said = dict(self.operation.arguments()[1])
        return " ".join([self.operation.verb, *sorted(said.keys() - {"to", "default"})])


def plus(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "v": document["v"] + 1}


def minus(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "v": document["v"] - 1}


PLUS, MINUS = {"$inc": {"v": 1}}, {"$inc": {"v": -1}}
OUT = f"{CHANGED}; the next run skips it"
FIELDS = [
    Case(AddField("t", "n", default="x"), DropField("t", "n"), "n", CHANGED),
    Case(AddField("t", "n", default=NOW), DropField("t", "n"), "n", CHANGED),
    Case(AddField("t", "n", using={"$rand": {}}), DropField("t", "n"), "n", CHANGED),
    Case(AddField("t", "e.n", default="x"), DropField("t", "e.n"), "e.n", CHANGED),
    Case(DropField("t", "a"), AddField("t", "a"), "a", "2 documents were", CHANGED),
    Case(RenameField("t", "a", "b"), RenameField("t", "b", "a"), "b"),
    Case(
        RenameField("t", "a", "b"),
        RenameField("t", "b", "a"),
        "a",
        "1 document of t got another a since",
    ),
    Case(CopyField("t", "a", "b"), DropField("t", "b"), "b", OUT),
    Case(CopyField("t", "a", "v", overwrite=True), DropField("t", "v"), "v", OUT),
    Case(
        ConvertField("t", "a", to="int"),
        ConvertField("t", "a", to="string"),
        "a",
        "2 documents were",
        CHANGED,
    ),
]
DOCUMENTS = [
    Case(
        Update("t", {}, PLUS, undo=MINUS), Update("t", {}, MINUS, undo=PLUS), "v", OUT
    ),
    Case(Update("t", {}, PLUS, undo=MINUS), Update("t", {}, MINUS, undo=PLUS), "z"),
    Case(Update("t", {}, PLUS, keep=True), Update("t", {}, MINUS, keep=True), "z", OUT),
    Case(Transform("t", plus, undo=minus), Transform("t", minus, undo=plus), "z", OUT),
    Case(Transform("t", plus, keep=True), Transform("t", minus, keep=True), "z", OUT),
    Case(
        Insert("t", tuple(map(dict, SEED))),
        Delete("t", {"_id": {"$lt": 9}}),
        "a",
        OUT,
    ),
    Case(
        Delete("t", {"_id": {"$lt": 3}}),
        Insert("t", ()),
        "a",
        "1 document of t that was deleted came back since",
        CHANGED,
    ),
]
COLLECTIONS = [
    Case(
        CreateCollection("t"),
        DropCollection("t"),
        "a",
        "t was written to since: its 2 documents are kept in",
    ),
    Case(
        DropCollection("t"),
        CreateCollection("t"),
        "a",
        "t was recreated since: its documents remain",
    ),
    Case(RenameCollection("t", "u"), RenameCollection("u", "t"), "a", name="u"),
    Case(SetValidator("t", {"_id": {"$gt": 0}}), SetValidator("t", None), "a"),
    Case(CreateIndex("t", (("a", 1),), "ix"), DropIndex("t", "ix"), "a"),
]
CASES = [*FIELDS, *DOCUMENTS, *COLLECTIONS]


def seed(db: Db, case: Case) -> None:
    if case.operation.verb == "insert":
        db.create_collection("t")
    elif case.operation.verb != "create_collection":
        db.t.insert_many(list(map(dict, SEED)))


def write(db: Db, name: str, field: str) -> None:
    """Change a document, or make it anew; delete one; add one: as the app would."""
    db[name].update_one({"_id": 1}, {"$set": {field: APP}}, upsert=True)
    db[name].delete_one({"_id": 2})
    db[name].insert_one({"_id": 9, "v": 0, "new": "by the app"})


def values(db: Db) -> set[Any]:
    """Return the values that the app's collections and the asides hold."""

    def leaves(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            for inner in value.values():
                yield from leaves(inner)
        elif not isinstance(value, list):
            yield value

    names = {*db.list_collection_names()} - {"_aside_catalog"}
    kept = [name for name in names if not name.startswith("_migrations")]
    return {leaf for name in kept for doc in db[name].find() for leaf in leaves(doc)}


def require_kept(db: Db) -> None:
    found = values(db)
    assert "by the app" in found
    assert found & {APP - 1, APP, APP + 1, str(APP)}  # an update may go on from it


@pytest.mark.parametrize("case", CASES, ids=str)
def test_undoing_leaves_what_the_app_wrote_and_counts_it(
    mongo_db: Db, case: Case
) -> None:
    seed(mongo_db, case)
    run(mongo_db, case.operation)
    write(mongo_db, case.name, case.field)
    reverted = revert(mongo_db, case.operation)
    said = " ".join([*reverted.notes, reverted.why or ""])
    require_kept(mongo_db)
    assert (case.says or "") in said
    assert case.says or not said
    if reverted.stuck is None:
        run(mongo_db, case.operation)
        require_kept(mongo_db)
        again = revert(mongo_db, case.operation)
        require_kept(mongo_db)
        assert bool(again.notes) >= ("leaves it out" in said)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_downgrade_leaves_what_the_app_wrote_keeps_it_aside_or_refuses(
    mongo_db: Db, case: Case
) -> None:
    seed(mongo_db, case)
    complete(mongo_db, case.operation)
    write(mongo_db, case.name, case.field)
    with suppress(OperationError):  # where both names of a field are taken
        complete(mongo_db, case.down, direction=DOWN)
    require_kept(mongo_db)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_downgrade_that_is_undone_leaves_what_the_app_wrote(
    mongo_db: Db, case: Case
) -> None:
    seed(mongo_db, case)
    complete(mongo_db, case.operation)
    run(mongo_db, case.down, direction=DOWN)
    write(mongo_db, "t", case.field)
    reverted = revert(mongo_db, case.down, direction=DOWN)
    require_kept(mongo_db)
    assert (case.down_says or "") in " ".join([*reverted.notes, reverted.why or ""])


def test_the_next_run_leaves_out_just_what_stayed(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": n, "v": 0} for n in range(5)])
    operation = Update("t", {}, PLUS, keep=True, batch_size=2)
    run(mongo_db, operation)
    mongo_db.t.update_one({"_id": 1}, {"$set": {"z": 1}})
    mongo_db.t.update_one({"_id": 3}, {"$set": {"z": 1}})
    revert(mongo_db, operation)
    moved = [CreateCollection("u"), operation]  # a script may be edited once undone
    (_, step) = complete(mongo_db, *moved).steps
    assert mongo_db.t.distinct("v") == [1]
    assert step.notes == (
        "2 documents of t are skipped: an earlier run wrote them, and its undo "
        "left them, because they were changed since",
    )
    complete(mongo_db, *moved)
    assert mongo_db.t.distinct("v") == [2]


def test_an_inserted_document_that_stayed_is_not_inserted_twice(mongo_db: Db) -> None:
    mongo_db.create_collection("t")
    operation = Insert("t", ({"v": 1}, {"v": 1}, {"v": 2}))
    run(mongo_db, operation)
    mongo_db.t.update_one({"v": 1}, {"$set": {"v": APP}})
    revert(mongo_db, operation)
    run(mongo_db, operation)
    assert sorted(doc["v"] for doc in mongo_db.t.find()) == [APP, 1, 2]


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_what_stays_is_counted_and_left_out_after_an_undoing_that_was_stopped(
    mongo_db: Db, calls: int
) -> None:
    mongo_db.t.insert_many([{"_id": n, "v": 0} for n in range(6)])
    operation = Update("t", {}, PLUS, keep=True, batch_size=2)
    run(mongo_db, operation)
    mongo_db.t.update_many({"_id": {"$in": [0, 5]}}, {"$set": {"z": 1}})
    revert_stopped(mongo_db, calls, operation)
    (note,) = revert(mongo_db, operation).notes
    assert note.startswith("2 documents of t were changed since, and remain so")
    run(mongo_db, operation)
    assert mongo_db.t.distinct("v") == [1]


@pytest.mark.parametrize(
    "first",
    [
        Update("t", {}, PLUS, undo=MINUS),
        Update("t", {}, PLUS, keep=True),
        Transform("t", plus, keep=True),
        Delete("t", {}),
        Delete("t", {}, keep=False),
        RenameField("t", "v", "w"),
    ],
    ids=lambda operation: str(operation.verb),
)
def test_what_stayed_of_an_insert_is_left_out_by_the_steps_before_it(
    mongo_db: Db, first: Operation
) -> None:
    mongo_db.create_collection("t")
    steps = [first, RenameCollection("t", "u"), Insert("u", ({"_id": "new", "v": 0},))]
    run(mongo_db, *steps)
    mongo_db.u.update_one({"_id": "new"}, {"$set": {"z": APP}})
    revert(mongo_db, *steps)
    result = run(mongo_db, *steps)
    assert list(mongo_db.u.find()) == [{"_id": "new", "v": 0, "z": APP}]
    assert "is skipped: a later step inserted it" in str(result.steps[0].notes)


@pytest.mark.parametrize(
    "operation",
    [
        Update("t", {}, {"$inc": {"v": 100}}, undo={"$inc": {"v": -100}}),
        Update("t", {}, {"$inc": {"v": 100}}, keep=True),
        Delete("t", {}),
        DropField("t", "v"),
        ConvertField("t", "v", to="string"),
        RenameField("t", "v", "w"),
    ],
    ids=lambda operation: " ".join(
        [operation.verb, "keep" * hasattr(operation, "undo")]
    ),
)
def test_what_a_unique_index_refuses_stays_and_the_rest_goes_back(
    mongo_db: Db, operation: Operation
) -> None:
    mongo_db.t.insert_many([{"_id": n, "v": n} for n in range(5)])
    has_it = {"v": {"$exists": True}}
    mongo_db.t.create_index("v", unique=True, partialFilterExpression=has_it)
    run(mongo_db, operation)
    mongo_db.t.insert_one({"_id": "app", "v": 3})
    reverted = revert(mongo_db, operation)
    assert reverted.stuck is None
    assert "a unique index of t refuses" in " ".join(reverted.notes)
    back = {doc["_id"]: doc.get("v") for doc in mongo_db.t.find()}
    assert back.pop(3, None) != 3
    assert back == {0: 0, 1: 1, 2: 2, 4: 4, "app": 3}
    mongo_db.t.delete_one({"_id": "app"})  # it would be written, and collide, now
    run(mongo_db, operation)
    assert not {0, 1, 2, 4} & set(mongo_db.t.distinct("v"))
