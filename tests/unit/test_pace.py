"""The size of batches, by the time that they take; what an update excludes."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId

from flask_dualmigrate.mongo.batches.pace import Pace, Recent
from flask_dualmigrate.mongo.expressions.exclusion import excludes_itself


def sizes(
    *,
    seconds: float,
    per_document_s: float,
    most: int | None = None,
    fixed_s: float = 0.0,
) -> list[int]:
    """Return the sizes of many batches that take so long."""
    pace = Pace(most=most, seconds=seconds)
    found = []
    for _ in range(30):
        pace.took(fixed_s + pace.size * per_document_s, id_bytes=22)
        found.append(pace.size)
    return found


def settled(**times: Any) -> int:
    return sizes(**times)[-1]


def test_the_first_batch_has_a_thousand_documents() -> None:
    assert Pace(most=None, seconds=0.5).size == 1000


def test_a_batch_grows_to_what_fits_its_time() -> None:
    assert settled(seconds=0.5, per_document_s=20e-6) == pytest.approx(20_000, rel=0.01)


def test_a_batch_shrinks_to_what_fits_its_time() -> None:
    assert settled(seconds=0.5, per_document_s=0.02) == pytest.approx(20, abs=1)


def test_a_batch_has_a_document_at_least() -> None:
    assert settled(seconds=0.1, per_document_s=5.0) == 1


def test_a_batch_never_has_more_than_the_script_says() -> None:
    assert Pace(most=70, seconds=0.5).size == 70
    assert settled(seconds=0.5, per_document_s=1e-6, most=70) == 70


def test_a_batch_that_the_script_bounds_shrinks_all_the_same() -> None:
    assert settled(seconds=0.5, per_document_s=0.1, most=70) == pytest.approx(4, abs=1)


@pytest.mark.parametrize("fixed_s", [0.45, 0.9, 4.0])
def test_a_far_server_does_not_shrink_the_batches(fixed_s: float) -> None:
    found = sizes(seconds=0.5, per_document_s=20e-6, fixed_s=fixed_s)
    assert min(found) >= 500  # the first, before the cost of a batch was known
    assert found[-1] == pytest.approx(min(50_000, fixed_s / 20e-6), rel=0.01)


def test_a_far_server_leaves_a_batch_what_the_script_says() -> None:
    assert settled(seconds=0.5, per_document_s=1e-5, fixed_s=0.9, most=1000) == 1000


def test_slow_documents_make_small_batches_on_a_far_server_too() -> None:
    found = settled(seconds=0.5, per_document_s=0.1, fixed_s=0.9)
    assert found == pytest.approx(9, abs=1)


def test_a_server_that_becomes_far_shrinks_the_batches_for_a_moment() -> None:
    pace = Pace(most=None, seconds=0.5)
    for fixed_s in [0.005] * 20 + [0.9] * 20:
        pace.took(fixed_s + pace.size * 20e-6, id_bytes=22)
    assert pace.size == pytest.approx(0.9 / 20e-6, rel=0.01)


def test_a_server_that_becomes_near_gives_the_batches_their_time_back() -> None:
    pace = Pace(most=None, seconds=0.5)
    for fixed_s in [0.9] * 20 + [0.005] * 20:
        pace.took(fixed_s + pace.size * 20e-6, id_bytes=22)
    assert pace.size == pytest.approx(20_000, rel=0.05)


def test_without_a_time_the_size_stays() -> None:
    assert settled(seconds=0, per_document_s=1.0) == 1000


def test_the_ids_of_a_batch_fit_into_one_document() -> None:
    pace = Pace(most=None, seconds=0.5)
    for _ in range(30):
        pace.took(0.001, id_bytes=1024 * 1024)
    assert pace.size == 8


def test_large_documents_make_small_batches() -> None:
    assert Pace(most=None, seconds=0.5, document_bytes=2**20).size == 64
    assert Pace(most=1000, seconds=0.5, document_bytes=2**20).size == 64
    assert Pace(most=None, seconds=0.5, document_bytes=2**24).size == 4


def test_a_conflict_halves_the_batch() -> None:
    pace = Pace(most=None, seconds=0.5)
    pace.retry()
    assert pace.size == 500


def test_the_rate_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(
        "flask_dualmigrate.mongo.batches.pace.time.monotonic", lambda: now
    )
    recent = Recent(100)
    assert recent.rate(100) is None
    for _ in range(600):  # ten minutes of 1,000 a second, and two of 10
        now += 1
        fast = recent.rate(100 + int(now) * 1000)
    for _ in range(120):
        now += 1
        slow = recent.rate(100 + 600_000 + int(now - 600) * 10)
    assert fast == pytest.approx(1000)
    assert slow == pytest.approx(10)


SOME = ObjectId("0123456789abcdef01234567")
EXCLUDING: dict[str, tuple[dict[str, Any], Any]] = {
    "a field that was missing is set": ({"a": {"$exists": False}}, {"$set": {"a": 1}}),
    "a field that was missing is counted": (
        {"a": {"$exists": False}},
        {"$inc": {"a": 1}},
    ),
    "null becomes a value": ({"a": None}, {"$set": {"a": 0}}),
    "a text becomes another": ({"a": "old"}, {"$set": {"a": "new"}}),
    "an id becomes another": ({"a": ObjectId()}, {"$set": {"a": SOME}}),
    "what is not so becomes so": ({"a": {"$ne": "new"}}, {"$set": {"a": "new"}}),
    "what is there goes": ({"a": {"$exists": True}}, {"$unset": {"a": ""}}),
    "one of several tests": ({"b": 1, "a": None}, {"$set": {"a": 0}}),
    "inside of $and": ({"$and": [{"b": 1}, {"a": None}]}, {"$set": {"a": 0}}),
}
NOT_EXCLUDING: dict[str, tuple[dict[str, Any], Any]] = {
    "no filter": ({}, {"$inc": {"a": 1}}),
    "another field": ({"a": {"$exists": False}}, {"$set": {"b": 1}}),
    "the same value": ({"a": "x"}, {"$set": {"a": "x"}}),
    "null becomes null": ({"a": None}, {"$set": {"a": None}}),
    "an array may hold it": ({"a": "x"}, {"$set": {"a": ["x", "y"]}}),
    "true equals no number": ({"a": 1}, {"$set": {"a": True}}),
    "one and one point nought": ({"a": 1}, {"$set": {"a": 1.0}}),
    "a range": ({"a": {"$lt": 5}}, {"$inc": {"a": 1}}),
    "a dot may reach into an array": ({"a.b": None}, {"$set": {"a.b": 1}}),
    "inside of $or": ({"$or": [{"a": None}, {"b": 1}]}, {"$set": {"a": 0}}),
    "a pipeline": ({"a": None}, ({"$set": {"a": 0}},)),
    "null goes": ({"a": None}, {"$unset": {"a": ""}}),
}


@pytest.mark.parametrize(("query", "update"), EXCLUDING.values(), ids=list(EXCLUDING))
def test_an_update_leaves_its_own_filter(query: dict[str, Any], update: Any) -> None:
    assert excludes_itself(query, update)


@pytest.mark.parametrize(
    ("query", "update"), NOT_EXCLUDING.values(), ids=list(NOT_EXCLUDING)
)
def test_an_update_may_stay_in_its_filter(query: dict[str, Any], update: Any) -> None:
    assert not excludes_itself(query, update)
