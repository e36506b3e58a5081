"""Specifications as MongoDB compares them, and the verdicts that follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from bson.int64 import Int64
from bson.son import SON

from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.indexes import (
    DeclaredIndex,
    DeclaredIndexes,
    Difference,
    FoundIndex,
    Remedy,
    State,
    Verdict,
    compare,
    edited_in_scripts,
    normalise,
    settle_declarations,
)
from flask_dualmigrate.mongo.indexes.stand_ins import original, stand_in
from flask_dualmigrate.revisions import BackendName

A = (("a", 1),)
FRENCH = {
    **{"locale": "fr", "caseLevel": False, "caseFirst": "off", "strength": 3},
    **{"numericOrdering": False, "alternate": "non-ignorable", "maxVariable": "punct"},
    **{"normalization": False, "backwards": False, "version": "57.1"},
}
TEXT = {
    **{"weights": SON([("b", 1), ("a", 5)]), "default_language": "english"},
    **{"language_override": "language", "textIndexVersion": 3},
}


def partial(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {"partialFilterExpression": condition}


SAME: dict[str, Any] = {
    "numbers": ((A, {}), ((("a", 1.0),), {})),
    "ignored": ((A, {}), (A, {"v": 2, "ns": "x.y", "background": True})),
    "off": ((A, {}), (A, {"unique": False, "sparse": False, "hidden": False})),
    "ttl": ((A, {"expireAfterSeconds": 60}), (A, {"expireAfterSeconds": Int64(60)})),
    "collation": ((A, {"collation": {"locale": "fr"}}), (A, {"collation": FRENCH})),
    "simple": ((A, {"collation": {"locale": "simple"}}), (A, {})),
    "fr_CA": (
        (A, {"collation": {"locale": "fr_CA"}}),
        (A, {"collation": {**FRENCH, "locale": "fr_CA", "backwards": True}}),
    ),
    "text": (
        ((("x", 1), ("a", "text"), ("b", "text")), {"weights": {"a": 5}}),
        ((("x", 1), ("_fts", "text"), ("_ftsx", 1)), TEXT),
    ),
    "text shown": (
        ((("b", "text"), ("a", "text")), {"weights": {"a": 5}}),
        ((("a", "text"), ("b", "text")), TEXT),
    ),
    "2dsphere": (
        ((("a", "2dsphere"),), {}),
        ((("a", "2dsphere"),), {"2dsphereIndexVersion": 3}),
    ),
    "2d": (((("a", "2d"),), {}), ((("a", "2d"),), {"bits": 26})),
    "filter order": (
        (A, partial({"x": 1, "y": {"$gt": 2, "$lt": 9}})),
        (A, partial({"y": {"$lt": 9, "$gt": 2}, "x": {"$eq": 1}})),
    ),
    "filter and": (
        (A, partial({"$and": [{"x": 1}, {"y": 2}]})),
        (A, partial({"y": 2, "x": 1})),
    ),
    "filter type": (
        (A, partial({"x": {"$type": "string"}})),
        (A, partial({"x": {"$type": 2}})),
    ),
}

OTHER: dict[str, Any] = {
    "key order": (((("a", 1), ("b", 1)), {}), ((("b", 1), ("a", 1)), {})),
    "way": ((A, {}), ((("a", -1),), {})),
    "unique": ((A, {"unique": True}), (A, {})),
    "ttl": ((A, {"expireAfterSeconds": 60}), (A, {})),
    "ttl of 0": ((A, {"expireAfterSeconds": 0}), (A, {})),
    "strength": (
        (A, {"collation": {"locale": "fr"}}),
        (A, {"collation": {**FRENCH, "strength": 2}}),
    ),
    "filter": ((A, partial({"x": 1})), (A, partial({"x": 2}))),
    "empty filter": ((A, partial({})), (A, {})),
    "weights": (
        ((("a", "text"),), {"weights": {"a": 5}}),
        ((("a", "text"),), {}),
    ),
    "projection": (
        ((("$**", 1),), {"wildcardProjection": {"a": 1}}),
        ((("$**", 1),), {}),
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_two_ways_to_write_one_index_are_one_index(case: str) -> None:
    one, other = SAME[case]

    assert normalise(*one).differing(normalise(*other)) == ()


@pytest.mark.parametrize("case", OTHER)
def test_two_indexes_are_two(case: str) -> None:
    one, other = OTHER[case]

    assert normalise(*one).differing(normalise(*other)) != ()


def test_an_index_takes_over_the_default_collation_of_its_collection() -> None:
    there = normalise(A, {"collation": FRENCH})

    assert normalise(A, {}, collation={"locale": "fr"}).differing(there) == ()
    simple = normalise(A, {"collation": {"locale": "simple"}}, collation=FRENCH)
    assert simple.differing(there) == ("collation",)


def declared(name: str = "ix", key: Any = A, **options: Any) -> DeclaredIndex:
    return DeclaredIndex("item", name, key, options, ("the models",))


def found(
    name: str = "ix", key: Any = A, state: State = State.READY, **options: Any
) -> FoundIndex:
    return FoundIndex(BackendName.MONGO, "item", name, key, options, state)


B = (("b", 1),)
WORDS = (("t", "text"),)
VERDICTS = {
    "ok": ([declared()], [found()], [("ix", "OK", "none")]),
    "missing": ([declared()], [], [("ix", "MISSING", "create")]),
    "undeclared": ([], [found()], [("ix", "UNDECLARED", "drop")]),
    "building": (
        [declared()],
        [found(state=State.BUILDING)],
        [("ix", "BUILDING", "wait")],
    ),
    "building, undeclared": (
        [],
        [found(state=State.BUILDING)],
        [("ix", "BUILDING", "wait")],
    ),
    "other key": ([declared()], [found(key=B)], [("ix", "CONFLICT", "replace")]),
    "unique": ([declared(unique=True)], [found()], [("ix", "CONFLICT", "replace")]),
    "ttl": (
        [declared(expireAfterSeconds=9)],
        [found(expireAfterSeconds=5)],
        [("ix", "CONFLICT", "modify")],
    ),
    "becomes ttl": (
        [declared(expireAfterSeconds=9)],
        [found()],
        [("ix", "CONFLICT", "modify")],
    ),
    "no ttl any more": (
        [declared()],
        [found(expireAfterSeconds=5)],
        [("ix", "CONFLICT", "replace")],
    ),
    "hidden": ([declared()], [found(hidden=True)], [("ix", "CONFLICT", "modify")]),
    "hidden and unique": (
        [declared(unique=True)],
        [found(hidden=True)],
        [("ix", "CONFLICT", "replace")],
    ),
    "twin": ([declared()], [found("other")], [("ix", "CONFLICT", "replace")]),
    "twin with a ttl": (
        [declared()],
        [found("other", expireAfterSeconds=5)],
        [("ix", "CONFLICT", "replace")],
    ),
    "other key, and a twin": (
        [declared()],
        [found(key=B), found("other")],
        [("ix", "CONFLICT", "replace"), ("other", "UNDECLARED", "drop")],
    ),
    "other key, and a twin that nothing can stand in for": (
        [declared(key=WORDS)],
        [found(key=B), found("other", key=WORDS)],
        [("ix", "CONFLICT", "none"), ("other", "UNDECLARED", "drop")],
    ),
    "sparse wildcard": (
        [declared(key=(("$**", 1),), sparse=True)],
        [found(key=B)],
        [("ix", "CONFLICT", "none")],
    ),
    "no twin": (
        [declared()],
        [found("other", sparse=True)],
        [("ix", "MISSING", "create"), ("other", "UNDECLARED", "drop")],
    ),
    "text changed": (
        [declared(key=WORDS, weights={"t": 3})],
        [found(key=WORDS)],
        [("ix", "CONFLICT", "none")],
    ),
    "second text": (
        [declared(key=WORDS)],
        [found("other", key=(("u", "text"),))],
        [("ix", "CONFLICT", "none")],
    ),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_a_verdict_and_what_brings_it_to_what_is_declared(case: str) -> None:
    wanted, there, expected = VERDICTS[case]

    result = compare(wanted, there)

    assert [(i.name, str(i.verdict), str(i.remedy)) for i in result] == expected


def only(*args: Any) -> Difference:
    (difference,) = compare(*args)
    return difference


def test_a_conflict_says_what_is_there_and_what_is_declared() -> None:
    one = only([declared(unique=True)], [found()])
    twin = only([declared()], [found("other")])

    assert one.why == "unique is not set, declared: True"
    assert twin.why == "other is the same index under another name"


def test_what_collmod_changes_is_told() -> None:
    one = only([declared(expireAfterSeconds=0)], [found(hidden=True)])

    assert one.remedy is Remedy.MODIFY
    assert one.changes == {"expireAfterSeconds": 0, "hidden": False}


def test_a_stand_in_left_by_a_rebuild_says_so() -> None:
    filled = found("_rebuild_ix", partialFilterExpression={})

    result = compare([declared()], [found(), filled])

    assert [item.verdict for item in result] == [Verdict.OK, Verdict.UNDECLARED]
    assert "interrupted rebuild of ix" in str(result[1].why)


def group(source: str, *indexes: DeclaredIndex) -> DeclaredIndexes:
    return DeclaredIndexes(
        tuple(
            DeclaredIndex(i.place, i.name, i.key, i.options, (source,)) for i in indexes
        )
    )


def test_who_declares_the_same_index_is_told_together() -> None:
    one = settle_declarations([group("models", declared()), group("r1", declared())])

    assert [index.sources for index in one.indexes] == [("models", "r1")]
    assert one.notes == ()


def test_of_two_definitions_the_first_counts_and_a_note_says_so() -> None:
    both = [group("models", declared()), group("r1", declared(unique=True))]

    settled = settle_declarations(both)

    assert [dict(index.options) for index in settled.indexes] == [{}]
    assert settled.notes == (
        "item.ix: r1 defines it differently from models, which is used",
    )


def test_of_declared_twins_the_first_is_kept() -> None:
    both = [group("models", declared("ix_a")), group("Beanie", declared("a_1"))]

    settled = settle_declarations(both)

    assert [index.name for index in settled.indexes] == ["ix_a"]
    assert "a_1 (Beanie) is ix_a under another name" in settled.notes[0]


@pytest.mark.parametrize(
    ("generated_from", "left"),
    [(declared(), 0), (declared(unique=True), 1)],
    ids=["edited script", "changed model"],
)
def test_a_script_that_was_edited_is_right_and_an_outdated_one_is_not(
    generated_from: DeclaredIndex, left: int
) -> None:
    models = group("models", declared())
    scripts = group("r1", declared(sparse=True))

    kept = edited_in_scripts(models, scripts, lambda: group("r1", generated_from))

    assert len(kept.indexes) == left


def test_scripts_that_agree_with_the_models_are_not_run_again() -> None:
    models = group("models", declared())

    def never() -> DeclaredIndexes:
        raise AssertionError

    assert edited_in_scripts(models, group("r1", declared()), never) is models


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unique": True, "expireAfterSeconds": 9, "hidden": True},
        {"sparse": True, "unique": True},
        partial({"x": {"$gt": 1}}),
        partial({"$and": [{"x": 1}, {"x": 1}]}),
        partial({}),
        {"collation": {"locale": "fr"}},
    ],
    ids=repr,
)
def test_what_stands_in_tells_what_it_stands_in_for(
    options: dict[str, Any],
) -> None:
    spec = {"key": {"a": 1, "b": -1}, "name": "ix", **options}

    substitute = stand_in("item", spec)

    assert substitute["name"] == "_rebuild_ix"
    assert substitute["key"] == spec["key"]
    assert original(substitute, "ix") == spec


@pytest.mark.parametrize(
    "spec",
    [
        {"key": {"t": "text"}, "name": "ix"},
        {"key": {"$**": 1}, "sparse": True, "name": "ix"},
    ],
    ids=["text", "sparse wildcard"],
)
def test_what_nothing_can_stand_in_for_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="nothing was changed"):
        stand_in("item", spec)
