"""A dry run says of an index what the run meets: refused by both, or by none."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.expressions.index_keys import is_parallel
from flask_dualmigrate.mongo.forecast.duplicates import duplicates
from flask_dualmigrate.mongo.server.views import exact_view
from flask_dualmigrate.ops import CreateIndex, DropIndex, Operation, RenameCollection
from tests.integration.verbs.test_dry_run import foretell, last_write
from tests.support.mongo.runs import run

Db = Database[Any]


def index(*keys: tuple[str, Any], name: str = "ix", **options: Any) -> CreateIndex:
    return CreateIndex("t", keys, name, options)


A = index(("a", 1))
MANY = [{"_id": n, "a": n, "b": n, "p": [0, n % 90]} for n in range(520)]
"""More than a dry run tries without a reason."""

SAME_KEY = "The index ix2 of t cannot be built: ix has the same key"
TAKEN = "t already has an index ix with a different definition: "

REFUSED: dict[str, tuple[dict[str, Any], list[Operation], str]] = {
    "the same name with unique": ({}, [A, index(("a", 1), unique=True)], TAKEN),
    "the same name with a TTL": (
        {},
        [index(("a", 1), expireAfterSeconds=5), index(("a", 1), expireAfterSeconds=9)],
        TAKEN,
    ),
    "the same name with a filter": (
        {},
        [A, index(("a", 1), partialFilterExpression={"a": 1})],
        TAKEN,
    ),
    "the same key under a second name": (
        {},
        [A, index(("a", 1.0), name="ix2")],
        SAME_KEY,
    ),
    "two arrays": (
        {"a": [1], "b": [2]},
        [index(("a", 1), ("b", 1))],
        "cannot index parallel arrays [b] [a] (the document with _id 'odd')",
    ),
    "two arrays in an array": (
        {"l": [{"a": [1], "b": []}]},
        [index(("l.a", 1), ("l.b", 1))],
        "cannot index parallel arrays [b] [a]",
    ),
    "no geometry": (
        {"p": {"type": "Point", "coordinates": [999, 0]}},
        [index(("p", "2dsphere"))],
        "Can't extract geo keys",
    ),
    "a language that is none": (
        {"s": "x", "language": "klingon"},
        [index(("s", "text"))],
        "language override unsupported: klingon",
    ),
    "a language in a field of the app's": (
        {"s": "x", "lang": "klingon"},
        [index(("s", "text"), language_override="lang")],
        "language override unsupported: klingon",
    ),
    "an array under a hashed field": (
        {"a": [1]},
        [index(("a", "hashed"))],
        "hashed indexes do not currently support array values",
    ),
}


@pytest.mark.parametrize(("odd", "plan", "why"), REFUSED.values(), ids=REFUSED)
def test_what_the_run_refuses_is_foreseen(
    mongo_db: Db, odd: dict[str, Any], plan: list[Operation], why: str
) -> None:
    mongo_db.t.insert_many([*MANY, {"_id": "odd", **odd}])
    written = last_write(mongo_db)
    told = foretell(mongo_db, *plan)
    assert last_write(mongo_db, written) == written
    assert [len(each.problems) for each in told] == [0] * (len(plan) - 1) + [1]
    assert why in told[-1].problems[0]
    with pytest.raises(OperationError):
        run(mongo_db, *plan)


TAKEN_WELL: dict[str, tuple[dict[str, Any], list[Operation]]] = {
    "the same again": ({}, [A, A]),
    "another after the drop": ({}, [A, DropIndex("t", "ix"), index(("b", 1))]),
    "the key after the drop of its twin": (
        {},
        [A, DropIndex("t", "ix"), index(("a", 1), name="ix2")],
    ),
    "the name in the collection that was renamed": (
        {},
        [A, RenameCollection("t", "u"), index(("b", 1))],
    ),
    "one array of documents": (
        {"l": [{"a": 1, "b": 2}, {"a": 3}]},
        [index(("l.a", 1), ("l.b", 1))],
    ),
    "geometries": (
        {"p": {"type": "LineString", "coordinates": [[170, 80], [-170, -80]]}},
        [index(("p", "2dsphere"))],
    ),
    "a language": ({"s": "x", "language": "german"}, [index(("s", "text"))]),
    "odd ones outside of the filter": (
        {"a": [1], "b": [2], "c": 1},
        [index(("a", 1), ("b", 1), partialFilterExpression={"c": 2})],
    ),
}


@pytest.mark.parametrize(("odd", "plan"), TAKEN_WELL.values(), ids=TAKEN_WELL)
def test_what_the_run_takes_is_no_problem(
    mongo_db: Db, odd: dict[str, Any], plan: list[Operation]
) -> None:
    mongo_db.t.insert_many([*MANY, {"_id": "odd", **odd}])
    assert [each.problems for each in foretell(mongo_db, *plan)] == [()] * len(plan)
    run(mongo_db, *plan)


class Documents:
    """Makes documents of few values, so that keys meet."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        what = self.random.random()
        if depth < 3 and what < 0.3:
            names = self.random.sample("abc", self.random.randint(0, 3))
            return {name: self.value(depth + 1) for name in names}
        if depth < 3 and what < 0.6:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]
        return self.random.choice([1, 2, 1.0, None, "x"])

    def some(self) -> list[dict[str, Any]]:
        return [
            {"_id": number, **{name: self.value() for name in "abc"}}
            for number in range(self.random.randint(1, 3))
        ]


FIELDS = ("a", "b", "a.b", "a.c", "a.b.c", "b.c", "b.a.c", "c")


def test_keys_are_those_of_the_index_itself(mongo_db: Db) -> None:
    seed = random.randrange(10**6)
    made, view, seen = Documents(seed), exact_view(mongo_db), set()
    for number in range(80):
        place = f"t{number}"
        documents = made.some()
        mongo_db[place].insert_many(documents)
        fields = made.random.sample(FIELDS, made.random.choice([1, 2, 2, 3]))
        options = {"unique": True, "sparse": made.random.random() < 0.3}
        keys = tuple((field, 1) for field in fields)
        built = CreateIndex(place, keys, "ux", options)
        found = duplicates(view, place, built)
        assert found is not None
        told = 11000 if found["total"] else None
        if mongo_db[place].count_documents({"$expr": is_parallel(fields)}):
            told = 171
        code = refused_by(mongo_db, built)
        assert told == code, f"seed {seed}: {fields}, {options}, {documents}"
        seen.add(code)
    assert {None, 11000} <= seen, f"seed {seed}"


def refused_by(db: Db, built: CreateIndex) -> int | None:
    """Return the code with which the server refuses an index, if it does."""
    try:
        db[built.collection].create_index([*built.keys], **built.options)
    except OperationFailure as error:
        return error.code
    return None


BY_COLLATION = {"locale": "en", "strength": 2}


@pytest.mark.parametrize("of_collection", [False, True], ids=["index", "collection"])
def test_a_double_key_by_a_collation_is_told_by_its_value(
    mongo_db: Db, *, of_collection: bool
) -> None:
    own: dict[str, Any] = {"collation": BY_COLLATION}
    mongo_db.create_collection("t", **(own if of_collection else {}))
    options: dict[str, Any] = {} if of_collection else own
    mongo_db.t.insert_many([{"_id": 1, "e": "Bob"}, {"_id": 2, "e": "bob"}])
    with pytest.raises(OperationError, match=r"\{'e': '[Bb]ob'\} \(_id 1 and 2\)"):
        run(mongo_db, index(("e", 1), unique=True, **options))
