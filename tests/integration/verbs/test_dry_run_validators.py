"""A dry run knows the validator that the same script sets before an operation."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.ops import (
    AddField,
    Delete,
    DropField,
    Insert,
    Operation,
    SetValidator,
    Update,
)
from tests.integration.verbs.test_dry_run import foretell
from tests.support.mongo.runs import run

Db = Database[Any]

NAMED = {"$jsonSchema": {"required": ["name"]}}
COMING: dict[str, tuple[SetValidator, Operation, bool]] = {
    "update of a misfit": (
        SetValidator("item", NAMED),
        Update("item", {}, {"$inc": {"n": 1}}),
        True,
    ),
    "update of what fits": (
        SetValidator("item", NAMED),
        Update("item", {"_id": 1}, {"$inc": {"n": 1}}),
        False,
    ),
    "update that changes nothing": (
        SetValidator("item", NAMED),
        Update("item", {}, {"$set": {"n": 1}}),
        False,
    ),
    "update that mends": (
        SetValidator("item", NAMED),
        Update("item", {}, {"$set": {"name": "x"}}),
        False,
    ),
    "moderate, a misfit": (
        SetValidator("item", NAMED, level="moderate"),
        Update("item", {}, {"$inc": {"n": 1}}),
        False,
    ),
    "moderate, what fitted": (
        SetValidator("item", NAMED, level="moderate"),
        DropField("item", "name"),
        True,
    ),
    "off": (
        SetValidator("item", NAMED, level="off"),
        DropField("item", "name"),
        False,
    ),
    "warn": (
        SetValidator("item", NAMED, action="warn"),
        AddField("item", "m", default=1),
        False,
    ),
    "add": (SetValidator("item", NAMED), AddField("item", "m", default=1), True),
    "insert": (SetValidator("item", NAMED), Insert("item", ({"_id": 7},)), True),
    "delete": (SetValidator("item", NAMED), Delete("item", {}), False),
}


@pytest.mark.parametrize(("coming", "then", "fails"), COMING.values(), ids=COMING)
def test_what_a_validator_of_the_same_script_refuses_is_foreseen(
    mongo_db: Db, coming: SetValidator, then: Operation, fails: bool
) -> None:
    mongo_db.item.insert_many([{"_id": 1, "name": "a", "n": 1}, {"_id": 2, "n": 1}])

    problems = foretell(mongo_db, coming, then)[1].problems

    assert bool(problems) is fails
    assert all("The validator set above refuses" in text for text in problems)
    with pytest.raises(OperationError) if fails else nullcontext():
        run(mongo_db, coming, then)
