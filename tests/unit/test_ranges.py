"""Ranges of `_id`s: by bounds within one BSON type, by $expr across types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from flask_dualmigrate.mongo.expressions.ranges import (
    Query,
    beginnings_of,
    ids_in,
    range_of,
)

SAME_TYPE = {
    "int and int": (1, 2),
    "int and double": (1, 2.5),
    "int and long": (1, Int64(2)),
    "long and decimal": (Int64(1), Decimal128("2.5")),
    "strings": ("a", "b"),
    "object ids": (ObjectId(b"a" * 12), ObjectId(b"b" * 12)),
    "dates": (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    "binaries": (b"a", Binary(b"b", 4)),
}
LEFT_TO_EXPR = {
    "number and string": (1, "a"),
    "string and object id": ("a", ObjectId()),
    "NaN and number": (float("nan"), 1),
    "decimal NaN and number": (Decimal128("NaN"), 1),
    "documents": ({"a": 1}, {"a": 2}),
    "booleans": (False, True),
    "timestamps": (Timestamp(1, 1), Timestamp(2, 1)),
    "smallest and largest": (MinKey(), MaxKey()),
    "regular expressions": (Regex("a"), Regex("b")),
    "null and number": (None, 1),
}


@pytest.mark.parametrize(("last", "until"), SAME_TYPE.values(), ids=SAME_TYPE)
def test_a_range_within_one_type_goes_by_bounds(last: Any, until: Any) -> None:
    found = range_of({"last": last, "until": until})

    assert found == {"_id": {"$gt": last, "$lte": until}}


@pytest.mark.parametrize(("last", "until"), LEFT_TO_EXPR.values(), ids=LEFT_TO_EXPR)
def test_a_range_across_types_goes_by_expr(last: Any, until: Any) -> None:
    found = range_of({"last": last, "until": until})

    assert found == {
        "$expr": {
            "$and": [
                {"$gt": ["$_id", {"$literal": last}]},
                {"$lte": ["$_id", {"$literal": until}]},
            ]
        }
    }


def test_the_beginning_of_an_open_range_is_sought_in_the_type_it_starts_in() -> None:
    assert [*beginnings_of({"last": 1})] == [
        {"_id": {"$gt": 1}},
        {"$expr": {"$and": [{"$gt": ["$_id", {"$literal": 1}]}]}},
    ]


def test_a_range_that_ends_in_another_type_begins_in_its_own() -> None:
    quick, whole = beginnings_of({"last": 1, "until": "a"})

    assert quick == {"_id": {"$gt": 1}}
    assert whole == range_of({"last": 1, "until": "a"})


@pytest.mark.parametrize(
    "place",
    [{}, {"last": 1, "until": 2}, {"last": float("nan")}, {"until": 3}],
    ids=["everything", "one type", "after NaN", "no beginning"],
)
def test_what_needs_no_quicker_way_is_asked_for_once(place: dict[str, Any]) -> None:
    assert [*beginnings_of(place)] == [range_of(place)]


BOUNDED = {
    "numbers of all types": ([Int64(3), 2.5, Decimal128("1.5"), 2], (2, 0)),
    "numbers beyond a double": ([2**53 + 1, float(2**53)], (1, 0)),
    "infinities": ([float("inf"), Decimal128("-Infinity"), 0], (1, 0)),
    "object ids": ([ObjectId(b"b" * 12), ObjectId(b"a" * 12)], (1, 0)),
    "dates before 1970": (
        [datetime(2025, 1, 1, tzinfo=UTC), datetime(1960, 1, 1, tzinfo=UTC)],
        (1, 0),
    ),
    "binaries by length, subtype, bytes": (
        [Binary(b"a", 4), b"b", b"aa", Binary(b"a", 2)],
        (1, 3),
    ),
}
UNBOUNDED = {
    "none": [],
    "strings, which a collation orders": ["a", "b"],
    "several types": [1, "a"],
    "NaN": [1, float("nan"), Decimal128("NaN")],
    "booleans": [True, False],
    "documents": [{"a": 1}, {"a": 2}],
}


@pytest.mark.parametrize(("ids", "ends"), BOUNDED.values(), ids=BOUNDED)
def test_a_list_of_one_type_goes_with_its_bounds(
    ids: list[Any], ends: tuple[int, int]
) -> None:
    least, greatest = (ids[at] for at in ends)

    assert _encoded(ids_in(ids)) == _encoded(
        {"_id": {"$in": ids, "$gte": least, "$lte": greatest}}
    )


@pytest.mark.parametrize("ids", UNBOUNDED.values(), ids=UNBOUNDED)
def test_another_list_goes_as_it_is(ids: list[Any]) -> None:
    assert _encoded(ids_in(ids)) == _encoded({"_id": {"$in": ids}})


def _encoded(query: Query) -> bytes:
    return bson.encode(query)
