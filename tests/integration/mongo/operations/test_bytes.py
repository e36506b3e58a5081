"""Documents of all BSON types: what is undone or put back is so byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.batches.raw_collection import insert_exactly
from flask_dualmigrate.mongo.server.views import exact_view
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    Delete,
    DropField,
    Insert,
    Operation,
    RenameField,
    Transform,
    Update,
)
from tests.support.mongo.bson_values import (
    ODD_IDS,
    VALUES,
    Documents,
    field,
    number,
    raw,
)
from tests.support.mongo.runs import (
    DOWN,
    complete,
    image,
    our_asides,
    revert,
    revert_stopped,
    run,
    run_stopped,
)

Db = Database[Any]
C = "c"


def set_q(document: dict[str, Any]) -> dict[str, Any]:
    document["q"] = 1
    return document


def leave(document: dict[str, Any]) -> dict[str, Any]:
    return document


OPERATIONS: dict[str, Operation] = {
    "add": AddField(C, "q", default=1),
    "add inside": AddField(C, "y.q", default=1),
    "drop": DropField(C, "v"),
    "rename": RenameField(C, "v", "z"),
    "rename over": RenameField(C, "u", "v", overwrite=True),
    "rename inside": RenameField(C, "u", "y.v"),
    "copy over": CopyField(C, "u", "v", overwrite=True),
    "convert": ConvertField(C, "v", "string", on_error="null"),
    "update": Update(C, {}, {"$set": {"q": 1}}, keep=True),
    "update all": Update(C, {}, ({"$replaceWith": {"_id": "$_id"}},), keep=True),
    "delete": Delete(C, {}),
}
DROPPING = {
    "drop": (OPERATIONS["drop"], AddField(C, "v")),
    "rename": (OPERATIONS["rename"], RenameField(C, "z", "v")),
    "delete": (OPERATIONS["delete"], Insert(C, ())),
}


def put(db: Db, *documents: RawBSONDocument) -> dict[str, Any]:
    """Insert documents as they are; return the image of the database."""
    insert_exactly(exact_view(db)[C], documents, bypass=True)
    return image(db)


def one_of_each() -> Iterator[RawBSONDocument]:
    for at, value in enumerate(VALUES):
        yield raw(number("_id", at), field("v", value), number("u", 1))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_value_of_any_type_is_undone_byte_for_byte(
    mongo_db: Db, operation: Operation
) -> None:
    before = put(mongo_db, *one_of_each())

    run(mongo_db, operation)
    changed = image(mongo_db)
    revert(mongo_db, operation)

    assert changed != before
    assert image(mongo_db) == before
    assert our_asides(mongo_db) == []


@pytest.mark.parametrize(("up", "down"), DROPPING.values(), ids=DROPPING)
def test_a_value_of_any_type_comes_back_with_the_downgrade(
    mongo_db: Db, up: Operation, down: Operation
) -> None:
    before = put(mongo_db, *one_of_each())

    complete(mongo_db, up)
    complete(mongo_db, down, direction=DOWN)

    assert image(mongo_db) == before


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_documents_with_odd_ids_are_migrated_and_undone(
    mongo_db: Db, operation: Operation
) -> None:
    documents = [raw(field("_id", value), number("u", 1)) for value in ODD_IDS]
    documents += [raw(number("_id", 1), field("v", "int"))]
    before = put(mongo_db, *documents)

    result = run(mongo_db, operation)
    changed = image(mongo_db)
    revert(mongo_db, operation)

    assert [step.documents for step in result.steps] > [0]
    assert changed != before
    assert image(mongo_db) == before


def test_a_function_leaves_the_bytes_of_what_it_does_not_change(mongo_db: Db) -> None:
    readable = [each for each in one_of_each() if b"caf\xe9" not in bytes(each.raw)]
    before = put(mongo_db, *readable)

    run(mongo_db, Transform(C, leave, keep=True))
    unchanged = image(mongo_db)
    revert(mongo_db, Transform(C, leave, keep=True))
    complete(mongo_db, Transform(C, set_q, keep=True))
    mongo_db[C].update_many({}, {"$unset": {"q": ""}})

    assert unchanged == before
    assert image(mongo_db) == before


def test_a_function_gets_no_text_that_is_not_utf_8(mongo_db: Db) -> None:
    before = put(mongo_db, raw(number("_id", 1), field("v", "text that is not UTF-8")))

    with pytest.raises(OperationError, match="cannot read the document with _id 1"):
        run(mongo_db, Transform(C, set_q, keep=True))

    assert image(mongo_db) == before


TWICE = {
    name: OPERATIONS[name]
    for name in ("drop", "rename", "rename over", "copy over", "convert", "update all")
} | {"transform": Transform(C, set_q, keep=True)}


@pytest.mark.parametrize("operation", TWICE.values(), ids=TWICE)
def test_a_field_that_a_document_has_twice_is_refused(
    mongo_db: Db, operation: Operation
) -> None:
    twice = raw(number("_id", 1), number("v", 1), number("u", 1), number("v", 2))
    before = put(mongo_db, twice)

    with pytest.raises(OperationError, match="twice"):
        run(mongo_db, operation)

    assert image(mongo_db) == before


@pytest.mark.parametrize("name", ["add", "update", "delete"])
def test_a_field_that_a_document_has_twice_comes_back_twice(
    mongo_db: Db, name: str
) -> None:
    twice = raw(number("_id", 1), number("v", 1), number("u", 1), number("v", 2))
    before = put(mongo_db, twice)

    run(mongo_db, OPERATIONS[name])
    revert(mongo_db, OPERATIONS[name])

    assert image(mongo_db) == before


def test_an_id_that_cannot_be_written_is_refused(mongo_db: Db) -> None:
    before = put(mongo_db, raw(field("_id", "dbpointer")))

    with pytest.raises(OperationError, match="an _id of type DBPointer"):
        run(mongo_db, OPERATIONS["add"])

    assert image(mongo_db) == before


FIELDS = ("v", "u", "w", "o", "q")
WALKED = (*OPERATIONS.values(), Transform(C, set_q, keep=True))


def walk_randomly(db: Db, seed: int, *, count: int) -> None:
    """Migrate random documents, stop anywhere, go on or back: nothing may be changed.

    What is refused must have written nothing either.
    """
    random = Random(seed)
    # A function of a script reads no text that is not UTF-8.
    readable = random.random() < 0.5
    documents = Documents(random, FIELDS, readable=readable).some(count)
    before = put(db, *documents)
    operations: Sequence[Operation] = random.sample(WALKED, random.randint(1, 2))
    told = f"seed {seed}: {operations}"
    try:
        if random.random() < 0.5:
            run_stopped(db, random.randrange(40), *operations)
        if random.random() < 0.7:
            run(db, *operations)
    except OperationError as error:
        told += f", {error}"
    if random.random() < 0.5:
        revert_stopped(db, random.randrange(30), *operations)
    assert revert(db, *operations).stuck is None, told
    assert image(db) == before, told
    assert our_asides(db) == [], told


@pytest.mark.parametrize("seed", range(12))
def test_a_random_walk_ends_where_it_began(mongo_db: Db, seed: int) -> None:
    walk_randomly(mongo_db, seed, count=20)


@pytest.mark.chaos
def test_a_long_random_walk_ends_where_it_began(mongo_db: Db) -> None:
    first = Random().randrange(10**6)
    for seed in range(first, first + 500):
        print(f"seed {seed}")
        mongo_db.client.drop_database(mongo_db.name)
        walk_randomly(mongo_db, seed, count=40)
