"""What a validator refuses is told with the rule and the value that broke it."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.ops import Insert
from tests.support.mongo.runs import run

Db = Database[Any]

INT = {"bsonType": "int"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "required": (
        {"$jsonSchema": {"required": ["name", "age"]}},
        {"age": 1},
        "name is missing",
    ),
    "type": (
        {"$jsonSchema": {"properties": {"icon": {"bsonType": "string"}}}},
        {"icon": None},
        "icon: type did not match ({'bsonType': 'string'}, value None)",
    ),
    "field of an element": (
        {"$jsonSchema": {"properties": {"l": {"items": {"properties": {"p": INT}}}}}},
        {"l": [{"p": 1}, {"p": "x"}]},
        "l.1.p: type did not match ({'bsonType': 'int'}, value 'x')",
    ),
    "field below": (
        {"$jsonSchema": {"properties": {"at": {"required": ["city"]}}}},
        {"at": {}},
        "at.city is missing",
    ),
    "field too many": (
        {"$jsonSchema": {"properties": {"_id": {}}, "additionalProperties": False}},
        {"x": 1},
        "x is not allowed",
    ),
    "dependency": (
        {"$jsonSchema": {"dependencies": {"a": ["b"]}}},
        {"a": 1},
        "b is missing",
    ),
    "not": (
        {"$jsonSchema": {"not": {"required": ["a"]}}},
        {"a": 1},
        "child expression matched (not)",
    ),
    "query operators": (
        {"n": {"$lt": 5}, "m": {"$exists": True}},
        {"n": 6},
        "comparison failed ({'n': {'$lt': 5}}, value 6); "
        "path does not exist ({'m': {'$exists': True}})",
    ),
    "nor": (
        {"$nor": [{"a": 1}]},
        {"a": 1},
        "comparison succeeded ({'a': 1}, value 1)",
    ),
    "more than three": (
        {"$jsonSchema": {"required": ["a", "b", "c", "d"]}},
        {},
        "a is missing; b is missing; c is missing; …",
    ),
}


@pytest.mark.parametrize(("rule", "document", "why"), CASES.values(), ids=CASES)
def test_a_refusal_names_the_document_and_the_rule(
    mongo_db: Db, rule: dict[str, Any], document: dict[str, Any], why: str
) -> None:
    mongo_db.create_collection("t", validator=rule)

    with pytest.raises(OperationError) as caught:
        run(mongo_db, Insert("t", ({"_id": 1, **document},)))

    assert caught.value.what == (
        f"The validator refused the document with _id 1: {why}"
    )
