"""The recorder refuses at once what the server, or the runner, would refuse later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_dualmigrate.errors import ScriptError
from flask_dualmigrate.ops import NOW, MongoOperations

Call = Callable[[MongoOperations], object]

WRONG: dict[str, tuple[Call, str]] = {
    "collection-empty": (lambda op: op.create_collection(""), "name must be a string"),
    "collection-dollar": (lambda op: op.drop_collection("a$b"), "does not accept"),
    "collection-nul": (lambda op: op.drop_collection("a\0"), "does not accept"),
    "collection-system": (lambda op: op.delete("system.users", {}), "does not accept"),
    "collection-ours": (
        lambda op: op.update("_migrations", {}, {"$set": {"a": 1}}),
        "reserved for migrations",
    ),
    "collection-aside": (lambda op: op.delete("_aside_x", {}), "reserved for"),
    "rename-to-ours": (
        lambda op: op.rename_collection("a", "_migrations_lock"),
        "reserved for",
    ),
    "field-empty": (lambda op: op.add_field("c", ""), "name must be a string"),
    "field-dollar": (lambda op: op.add_field("c", "$a"), "does not accept"),
    "field-elements": (
        lambda op: op.drop_field("c", "lines[].price"),
        r"addresses array elements; change those with op\.transform\(\)",
    ),
    "field-dots": (lambda op: op.drop_field("c", "a..b"), "does not accept"),
    "field-id": (lambda op: op.rename_field("c", "_id", "a"), "_id of a document"),
    "field-to-id": (lambda op: op.copy_field("c", "a", "_id"), "_id of a document"),
    "field-in-id": (lambda op: op.drop_field("c", "_id.part"), "_id of a document"),
    "default-and-using": (
        lambda op: op.add_field("c", "a", default=1, using="$b"),
        "not both",
    ),
    "batch-zero": (lambda op: op.drop_field("c", "a", batch_size=0), "batch_size"),
    "batch-true": (lambda op: op.drop_field("c", "a", batch_size=True), "batch_size"),
    "to": (lambda op: op.convert_field("c", "a", to="integer"), "to= must be one of"),
    "on-error": (
        lambda op: op.convert_field("c", "a", to="int", on_error="skip"),
        "on_error= must be one of",
    ),
    "level": (lambda op: op.set_validator("c", {}, level="x"), "level= must be one of"),
    "action": (
        lambda op: op.set_validator("c", {}, action="x"),
        "action= must be one of",
    ),
    "validator": (
        lambda op: op.set_validator("c", wrong("{}")),
        "A validator must be a",
    ),
    "keys-none": (
        lambda op: op.create_index("c", [], name="ix"),
        "[Ii]ndex keys",
    ),
    "keys-names": (
        lambda op: op.create_index("c", wrong(["a", "b"]), name="ix"),
        "[Ii]ndex keys",
    ),
    "keys-dict": (
        lambda op: op.create_index("c", wrong({"a": 1}), name="ix"),
        "[Ii]ndex keys",
    ),
    "index-name": (lambda op: op.create_index("c", "a", name=""), "not a valid index"),
    "index-all": (lambda op: op.drop_index("c", "*"), "not a valid index name"),
    "filter": (lambda op: op.delete("c", wrong(None)), "A filter must be a dict"),
    "filter-update": (
        lambda op: op.update("c", wrong([]), {"$set": {"a": 1}}),
        "A filter must be a dict",
    ),
    "update-replaces": (lambda op: op.update("c", {}, {"a": 1}), "must have operators"),
    "update-empty": (lambda op: op.update("c", {}, {}), "must have operators"),
    "update-text": (lambda op: op.update("c", {}, wrong("$set")), "or a pipeline"),
    "update-stage": (
        lambda op: op.update("c", {}, [{"$set": {}, "$unset": "a"}]),
        "one operator",
    ),
    "update-undo": (
        lambda op: op.update("c", {}, {"$set": {"a": 1}}, undo={"a": 1}),
        "must have operators",
    ),
    "document": (lambda op: op.insert("c", wrong(["a"])), "A document must be a dict"),
    "function": (lambda op: op.transform("c", wrong("upper")), "Expected a"),
    "undo": (lambda op: op.run(print, undo=wrong("undo")), "Expected a function"),
    "both-kinds": (
        lambda op: op.run(print, transactional=True, idempotent=True),
        "not both",
    ),
}


def wrong(value: Any) -> Any:
    """Return a value of another type than the call takes."""
    return value


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_argument_is_refused_and_not_recorded(call: Call, message: str) -> None:
    op = MongoOperations()

    with pytest.raises(ScriptError, match=message):
        call(op)
    assert op.operations == ()


@pytest.mark.parametrize(
    "name", ["item", "Item", "logs.2026", "größe", "order", "_private"]
)
def test_a_name_that_mongodb_takes_is_recorded(name: str) -> None:
    op = MongoOperations()

    op.add_field(name, name, default=1)

    assert op.operations[0].arguments()[0] == [name, name]


def test_what_a_script_does_to_its_values_later_is_not_recorded() -> None:
    op = MongoOperations()
    document: dict[str, Any] = {"tags": ["a"], "at": NOW}
    keys = [("a", 1)]

    insert = op.insert("c", document)
    update = op.update("c", document, {"$set": document})
    index = op.create_index("c", keys, name="ix", partialFilterExpression=document)
    document["tags"].append("b")
    keys.append(("b", 1))

    assert insert.documents == ({"tags": ["a"], "at": NOW},)
    assert insert.documents[0]["at"] is NOW
    assert update.filter["tags"] == ["a"]
    assert index.keys == (("a", 1),)
    assert index.options["partialFilterExpression"]["tags"] == ["a"]


def test_one_document_and_one_key_may_stand_alone() -> None:
    op = MongoOperations()

    assert op.insert("c", {"a": 1}).documents == ({"a": 1},)
    assert op.create_index("c", "a", name="ix").keys == (("a", 1),)
