"""A long list of `_id`s, taken apart for the batches of a walk."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Int64, ObjectId

from flask_dualmigrate.mongo.expressions.listed_ids import listed_in

MANY = range(2000)
LISTS: dict[str, list[Any]] = {
    "numbers": [*MANY],
    "long numbers": [Int64(2**40 + number) for number in MANY],
    "texts": [f"é{number}" for number in MANY],
    "ids": [ObjectId(f"{number:024x}") for number in MANY],
}
LEFT: dict[str, list[Any]] = {
    "few": [1, 2, 3],
    "mixed": [*MANY, "a"],
    "true and false": [*MANY, True],
    "dates and others": [{"a": number} for number in MANY],
}


@pytest.mark.parametrize("ids", LISTS.values(), ids=list(LISTS))
def test_a_batch_is_sent_its_part_of_a_long_list(ids: list[Any]) -> None:
    given = {"_id": {"$in": [*reversed(ids), ids[0]]}, "n": 1}
    listed = listed_in(given)
    assert listed is not None
    ordered = sorted(ids, key=lambda each: each.encode() if str is type(each) else each)
    assert listed.query({}, at_most=3) == {"_id": {"$in": ordered[:3]}, "n": 1}
    place = {"last": ordered[2], "until": ordered[9]}
    assert listed.query(place)["_id"]["$in"] == ordered[3:10]
    assert listed.query(place, at_most=2)["_id"]["$in"] == ordered[3:5]
    assert listed.query({"last": ordered[-1]})["_id"]["$in"] == []


@pytest.mark.parametrize("ids", LEFT.values(), ids=list(LEFT))
def test_another_list_is_left_as_it_is(ids: list[Any]) -> None:
    assert listed_in({"_id": {"$in": ids}}) is None
    assert listed_in({"n": {"$in": [*MANY]}}) is None
    assert listed_in({"_id": {"$in": [*MANY], "$gt": 3}}) is None


def test_a_range_that_ends_at_another_type_is_not_told_from_the_list() -> None:
    listed = listed_in({"_id": {"$in": [*MANY]}})
    assert listed is not None
    assert listed.covers({"last": 3})
    assert not listed.covers({"last": 3, "until": "a"})
