"""Names that MongoDB does not take: refused before anything is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init
from flask_dualmigrate.errors import OperationError, ScriptError
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    CreateCollection,
    CreateIndex,
    Insert,
    MongoOperations,
    Operation,
    RenameCollection,
    SetValidator,
)
from tests.integration.conftest import Tree
from tests.support.mongo.runs import REVISION, UP, complete, image, run

Db = Database[Any]
op = MongoOperations()
ON_A_NAME: dict[str, Callable[[str], Any]] = {
    "create_collection": op.create_collection,
    "drop_collection": op.drop_collection,
    "rename_collection": lambda name: op.rename_collection(name, "d"),
    "rename_collection to": lambda name: op.rename_collection("c", name),
    "set_validator": lambda name: op.set_validator(name, None),
    "add_field": lambda name: op.add_field(name, "a"),
    "drop_field": lambda name: op.drop_field(name, "a"),
    "rename_field": lambda name: op.rename_field(name, "a", "b"),
    "copy_field": lambda name: op.copy_field(name, "a", "b"),
    "convert_field": lambda name: op.convert_field(name, "a", to="int"),
    "create_index": lambda name: op.create_index(name, "a", name="ix"),
    "drop_index": lambda name: op.drop_index(name, "ix"),
    "update": lambda name: op.update(name, {}, {"$inc": {"n": 1}}),
    "transform": lambda name: op.transform(name, dict),
    "insert": lambda name: op.insert(name, {}),
    "delete": lambda name: op.delete(name, {}),
}
BAD_NAMES = [
    *("system.views", "system.js", "system.buckets.c", "a$b", "$cmd", "a\0b", ""),
    *(".a", "a.", "a..b"),
]


@pytest.mark.parametrize("verb", ON_A_NAME)
@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_a_name_that_mongodb_does_not_take_is_refused_when_it_is_said(
    verb: str, name: str
) -> None:
    with pytest.raises(ScriptError, match="name"):
        ON_A_NAME[verb](name)


def test_such_a_name_in_a_script_is_refused_before_anything_is_touched(
    tree: Tree, app: Flask, mongo_db: Db
) -> None:
    tree.add("r1", mongo='op.create_collection("fine")')
    tree.add("r2", mongo='op.insert("system.js", {})')
    init()
    said = app.test_cli_runner().invoke(args=["db-migrate", "upgrade"])
    assert said.exit_code == 1
    assert "MongoDB does not accept 'system.js' as a collection name" in said.output
    assert mongo_db.list_collection_names() == []


@pytest.mark.parametrize("name", ["systems", "fs.files", "a.b.c", "ä-ö", "_own"])
def test_a_name_that_only_looks_odd_is_taken(mongo_db: Db, name: str) -> None:
    complete(mongo_db, CreateCollection(name), AddField(name, "a", default=1))
    assert name in mongo_db.list_collection_names()


LONG = "x" * 250
TOO_LONG: tuple[Operation, ...] = (
    CreateCollection(LONG),
    RenameCollection("c", LONG),
    SetValidator(LONG, {}),
    CreateIndex(LONG, (("a", 1),), "ix"),
    Insert(LONG, ({},)),
)


@pytest.mark.parametrize("operation", TOO_LONG, ids=lambda each: each.verb)
def test_a_name_that_is_too_long_is_refused_before_anything_is_written(
    mongo_db: Db, operation: Operation
) -> None:
    mongo_db.create_collection("c")
    before = image(mongo_db)
    with pytest.raises(OperationError, match=f"The name {'x' * 40}… is too long"):
        run(mongo_db, operation)
    assert image(mongo_db) == before
    assert OperationRunner(mongo_db).records(REVISION, UP) == ()


@pytest.mark.parametrize("keys", ["", "a\0b", [("a", 1), ("", 1)]], ids=repr)
def test_index_keys_that_mongodb_does_not_take_are_refused(keys: Any) -> None:
    with pytest.raises(ScriptError, match="does not accept the index keys"):
        op.create_index("c", keys, name="ix")


def test_an_index_name_with_nul_is_refused() -> None:
    with pytest.raises(ScriptError, match="not a valid index name"):
        op.create_index("c", "a", name="a\0b")
