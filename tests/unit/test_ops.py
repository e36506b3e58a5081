"""The language of a Mongo script: what is recorded, and what a value says of itself."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flask_dualmigrate.ops import (
    MISSING,
    NOW,
    AddField,
    Kind,
    MongoOperations,
    Operation,
)

op = MongoOperations()


def upper(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "name": document["name"].upper()}


def lower(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "name": document["name"].lower()}


def copied(document: Any, deep: bool = False) -> Any:
    return copy.deepcopy(document) if deep else copy.copy(document)


def tidy(db: Any) -> None:
    db.item.find_one()


PIPELINE: list[dict[str, Any]] = [
    {"$set": {"total": {"$multiply": ["$price", 2]}}},
    {"$unset": "price"},
]

OPERATIONS = [
    op.create_collection("item"),
    op.create_collection("item", capped=True, size=4096),
    op.drop_collection("item"),
    op.drop_collection("item", keep=False),
    op.rename_collection("item", "items"),
    op.set_validator("item", {"$jsonSchema": {"required": ["name"]}}),
    op.set_validator("item", None),
    op.set_validator("item", {}, level="moderate", action="warn"),
    op.add_field("item", "status"),
    op.add_field("item", "status", default="new"),
    op.add_field("item", "status", default=None),
    op.add_field("item", "status", default=0),
    op.add_field("item", "status", default=False),
    op.add_field("item", "at", default=op.now()),
    op.add_field("item", "total", using={"$sum": ["$a", "$b"]}, batch_size=10),
    op.drop_field("item", "status"),
    op.drop_field("item", "status", keep=False, batch_size=1),
    op.rename_field("item", "status", "state"),
    op.rename_field("item", "status", "state", overwrite=True),
    op.copy_field("item", "status", "state"),
    op.copy_field("item", "status", "state", overwrite=True, batch_size=5),
    op.convert_field("item", "count", to="int"),
    op.convert_field("item", "count", to="int", on_error="null", keep=False),
    op.convert_field("item", "count", to="string", using={"$toString": "$count"}),
    op.create_index("item", "name", name="ix"),
    op.create_index("item", [("name", 1), ("at", -1)], name="ix", unique=True),
    op.create_index("item", [("name", "text")], name="ix", weights={"name": 3}),
    op.drop_index("item", "ix"),
    op.update("item", {}, {"$set": {"status": "new"}}),
    op.update("item", {"a": 1}, PIPELINE, undo={"$unset": {"total": ""}}),
    op.update("item", {}, {"$inc": {"n": 1}}, undo=PIPELINE, keep=True, batch_size=7),
    op.transform("item", upper),
    op.transform("item", upper, filter={"a": 1}, undo=lower, keep=True, batch_size=7),
    op.insert("type", {"_id": 1, "name": "chair"}),
    op.insert("type", [{"name": "chair"}, {"name": "table", "at": op.now()}]),
    op.delete("item", {}),
    op.delete("item", {"a": 1}, keep=False, batch_size=7),
    op.run(tidy),
    op.run(tidy, name="tidy up", undo=upper, idempotent=True),
    op.run(tidy, transactional=True),
    op.todo("say how"),
]

VERBS = {
    *("create_collection", "drop_collection", "rename_collection", "set_validator"),
    *("add_field", "drop_field", "rename_field", "copy_field", "convert_field"),
    *("create_index", "drop_index"),
    *("update", "transform", "insert", "delete"),
    *("run", "todo"),
}


def _id(value: Any) -> str:
    return value.verb if isinstance(value, Operation) else ""


each = pytest.mark.parametrize("operation", OPERATIONS, ids=_id)


def test_every_operation_of_the_language_is_tried_here() -> None:
    assert {operation.verb for operation in OPERATIONS} == VERBS
    assert len(VERBS) == 17


def test_calls_are_recorded_in_their_order() -> None:
    recorder = MongoOperations()

    first = recorder.create_collection("item")
    second = recorder.todo("more")

    assert recorder.operations == (first, second)


@each
def test_the_arguments_record_an_equal_value(operation: Operation) -> None:
    args, kwargs = operation.arguments()

    again = getattr(MongoOperations(), operation.verb)(*args, **kwargs)

    assert again == operation
    assert again.fingerprint() == operation.fingerprint()


def test_arguments_that_equal_their_default_are_left_out() -> None:
    assert op.add_field("item", "a", default=None).arguments() == (
        ["item", "a"],
        {"default": None},
    )
    assert op.drop_field("item", "a").arguments() == (["item", "a"], {})
    assert op.create_index("item", "a", name="ix", unique=True).arguments() == (
        ["item", (("a", 1),)],
        {"name": "ix", "unique": True},
    )


@each
def test_an_operation_cannot_be_changed(operation: Operation) -> None:
    field, *_ = dataclasses.fields(operation)

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(operation, field.name, "other")


@each
def test_an_operation_says_in_words_what_it_does(operation: Operation) -> None:
    text = operation.describe()

    assert text == text.strip()
    assert "\n" not in text
    assert str(getattr(operation, "collection", "")) in text
    assert " object at 0x" not in text


def test_a_function_with_arguments_goes_by_its_name() -> None:
    partial = functools.partial(copied, deep=True)

    assert op.transform("item", partial).describe() == (
        "transform item with copied() (cannot be undone)"
    )
    assert op.run(partial).describe() == "run copied() (unsafe, cannot be undone)"


def test_a_plan_says_what_is_lost_and_what_cannot_be_undone() -> None:
    assert op.drop_field("item", "a").describe() == (
        "drop field item.a (keep the values aside)"
    )
    assert op.drop_field("item", "a", keep=False).describe() == (
        "drop field item.a (for good)"
    )
    assert op.update("item", {}, {"$inc": {"n": 1}}).describe() == (
        "update item: {'$inc': {'n': 1}} (cannot be undone)"
    )
    assert op.add_field("item", "at", default=op.now()).describe() == (
        "add field item.at, the server's time where it is missing"
    )


@pytest.mark.parametrize(
    ("verb", "args"),
    [("drop_collection", ()), ("drop_field", ("a",)), ("delete", ({},))],
)
def test_what_keeps_nothing_aside_is_destructive(
    verb: str, args: tuple[object, ...]
) -> None:
    record = getattr(op, verb)

    assert record("item", *args, keep=False).destructive is True
    assert record("item", *args).destructive is False


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (op.add_field("item", "a", default=1), Kind.TRANSACTIONAL),
        (op.update("item", {}, {"$inc": {"n": 1}}), Kind.TRANSACTIONAL),
        (op.create_index("item", "a", name="ix"), Kind.IDEMPOTENT),
        (op.drop_collection("item"), Kind.IDEMPOTENT),
        (op.set_validator("item", None), Kind.IDEMPOTENT),
        (op.run(tidy), Kind.UNSAFE),
        (op.run(tidy, idempotent=True), Kind.IDEMPOTENT),
        (op.run(tidy, transactional=True), Kind.TRANSACTIONAL),
    ],
    ids=_id,
)
def test_each_kind_is_derived_from_the_operation(
    operation: Operation, kind: Kind
) -> None:
    assert operation.kind is kind


def test_fingerprints_are_unlike_each_other() -> None:
    prints = [operation.fingerprint() for operation in OPERATIONS]

    assert len(set(prints)) == len(prints)
    assert {len(text) for text in prints} == {16}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (1, "1"),
        (None, MISSING),
        (b"a", "a"),
        ([1, 2], [2, 1]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ("op.now()", NOW),
    ],
    ids=repr,
)
def test_a_fingerprint_tells_values_apart(one: Any, other: Any) -> None:
    first, second = (op.add_field("c", "f", default=value) for value in (one, other))

    assert first.fingerprint() != second.fingerprint()


def test_the_order_of_options_does_not_change_a_fingerprint() -> None:
    one = op.create_index("c", "f", name="ix", unique=True, sparse=True)
    other = op.create_index("c", "f", name="ix", sparse=True, unique=True)

    assert one.fingerprint() == other.fingerprint()


def test_a_fingerprint_does_not_tell_how_fast_it_goes() -> None:
    op = MongoOperations()
    slow = op.update("item", {}, {"$inc": {"n": 1}})
    fast = op.update("item", {}, {"$inc": {"n": 1}}, batch_size=50, workers=4)
    assert slow.fingerprint() == fast.fingerprint()


def test_a_fingerprint_tells_functions_apart_by_their_source() -> None:
    functions: list[Callable[..., Any]] = [
        upper,
        lower,
        functools.partial(upper),
        functools.partial(lower),
        functools.partial(copied, 1),
        functools.partial(copied, deep=True),
    ]

    assert len({op.transform("c", fn).fingerprint() for fn in functions}) == 6


def test_fingerprints_are_the_same_in_every_process() -> None:
    code = (
        f"from {__name__} import OPERATIONS\n"
        "print(' '.join(operation.fingerprint() for operation in OPERATIONS))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.split() == [each.fingerprint() for each in OPERATIONS]


REVERSES = [
    (op.create_collection("item"), op.drop_collection("item")),
    (op.drop_collection("item"), op.create_collection("item")),
    (op.drop_collection("item", keep=False), None),
    (op.rename_collection("item", "items"), op.rename_collection("items", "item")),
    (op.set_validator("item", {}), None),
    (op.add_field("item", "a", default=1), op.drop_field("item", "a")),
    (op.drop_field("item", "a", batch_size=5), op.add_field("item", "a", batch_size=5)),
    (op.drop_field("item", "a", keep=False), None),
    (op.rename_field("item", "a", "b"), op.rename_field("item", "b", "a")),
    (op.copy_field("item", "a", "b"), op.drop_field("item", "b")),
    (op.convert_field("item", "a", to="int"), None),
    (op.create_index("item", "a", name="ix"), op.drop_index("item", "ix")),
    (op.drop_index("item", "ix"), None),
    (
        op.insert("c", [{"_id": 1}, {"_id": 2}]),
        op.delete("c", {"_id": {"$in": [1, 2]}}),
    ),
    (op.insert("c", [{"_id": 1}, {"a": 2}]), None),
    (op.delete("item", {}), None),
    (op.run(tidy), None),
    (op.run(tidy, undo=upper), op.run(upper, undo=tidy)),
    (op.todo("x"), None),
]


@pytest.mark.parametrize(("operation", "reverse"), REVERSES, ids=_id)
def test_an_operation_knows_its_reverse(
    operation: Operation, reverse: Operation | None
) -> None:
    assert operation.reverse() == reverse


def test_what_is_added_with_nothing_to_write_writes_nothing() -> None:
    assert AddField("item", "a").writes is False
    assert AddField("item", "a", default=None).writes is True


@pytest.mark.parametrize("value", [MISSING, NOW], ids=repr)
def test_there_is_one_missing_and_one_now(value: object) -> None:
    assert copy.deepcopy({"a": [value]})["a"][0] is value
    assert pickle.loads(pickle.dumps(value)) is value
