"""`flask db-migrate index …` without a server: what is asked for, and what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.indexes import BuildProgress
from flask_dualmigrate.verbs import index
from flask_dualmigrate.verbs.index import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
)

from .result_texts.index import ACTION, CONFLICT, FINE, FOUND, STRAY
from .terminal import Terminal
from .trees import MONGO, POSTGRES

Put = Callable[[str, object], list[dict[str, Any]]]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put a function in the place of a verb; return what it is called with."""

    def replace(name: str, answer: object) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def fake(env: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append({"args": args, **kwargs})
            return answer(kwargs) if callable(answer) else answer

        monkeypatch.setattr(index, name, fake)
        return asked

    return replace


def test_a_list_is_of_what_is_asked_for(flask: Terminal, put: Put) -> None:
    asked = put("list_indexes", IndexListResult((FOUND,)))

    assert flask("index", "list", "item") == 0
    assert asked[0]["args"] == ("item",)
    assert "item        ix_a" in flask.out


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_diff_exits_with_3_where_something_is_not_ok(
    options: list[str], flask: Terminal, put: Put
) -> None:
    put("diff_indexes", IndexDiffResult((CONFLICT, STRAY)))

    assert flask("index", "diff", *options) == 3

    if options:
        told = json.loads(flask.out)
        assert told["ok"] is False
        assert told["differences"][0]["verdict"] == "CONFLICT"
        assert told["differences"][0]["found"]["key"] == [["a", 1], ["b", -1]]
    else:
        assert "CONFLICT item.ix_a: unique is True\n" in flask.out
        assert "1 CONFLICT, 1 UNDECLARED\n" in flask.out
        assert flask.out.endswith("run: flask db-migrate index sync\n")


def test_a_diff_that_is_all_ok_exits_with_0(flask: Terminal, put: Put) -> None:
    put("diff_indexes", IndexDiffResult((FINE,)))

    assert flask("index", "diff") == 0
    assert flask.out.endswith("1 OK\nAll indexes are as declared.\n")


def test_a_sync_takes_what_it_is_told(flask: Terminal, put: Put) -> None:
    asked = put("sync_indexes", IndexSyncResult((), ()))

    flask("index", "sync", "item", "--drop-undeclared", "--dry-run", "--yes")
    flask("index", "sync")

    first, second = asked
    assert first["args"] == ("item",)
    assert (first["drop_undeclared"], first["dry_run"]) == (True, True)
    assert first["confirm"] is None
    assert second["args"] == (None,)
    assert (second["drop_undeclared"], second["dry_run"]) == (False, False)
    assert second["confirm"] is not None


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        (IndexSyncResult((), ()), 0, "Nothing to do."),
        (IndexSyncResult((ACTION,), ()), 0, "Done: create item.ix_a (MongoDB)"),
        (IndexSyncResult((), (STRAY,)), 0, "add --drop-undeclared"),
        (IndexSyncResult((), (CONFLICT,)), 3, "CONFLICT item.ix_a: unique is True"),
        (
            IndexSyncResult((ACTION,), (CONFLICT,), dry_run=True),
            0,
            "Would create item.ix_a (MongoDB)\nNothing was changed.",
        ),
        (
            IndexSyncResult((), (CONFLICT,), dry_run=True),
            0,
            "Would leave item.ix_a: unique is True\nNothing was changed.",
        ),
    ],
    ids=["nothing", "done", "undeclared", "left", "dry run", "dry run, left"],
)
def test_a_sync_says_what_it_did_and_what_is_left(
    result: IndexSyncResult, code: int, said: str, flask: Terminal, put: Put
) -> None:
    put("sync_indexes", result)

    assert flask("index", "sync") == code
    assert said in flask.out


def test_a_drop_and_a_rebuild_say_what_they_did(flask: Terminal, put: Put) -> None:
    asked = put("drop_index", IndexDropResult(MONGO, "item", "ix_a"))
    put("rebuild_index", IndexRebuildResult(MONGO, "item", "ix_a", 41))

    assert flask("index", "drop", "item", "ix_a", "--hide", "1.5", "-y") == 0
    assert flask.out == "Dropped item.ix_a on MongoDB.\n"
    assert asked[0]["args"] == ("item", "ix_a")
    assert (asked[0]["hidden_for_s"], asked[0]["confirm"]) == (1.5, None)
    assert flask("index", "rebuild", "item", "ix_a") == 0
    assert flask.out == "Rebuilt item.ix_a on MongoDB (41 ms).\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "  Building item.ix_a: scanning collection: 5 of 1,000 documents\n"),
        (["--quiet"], ""),
    ],
    ids=["shown", "quiet"],
)
def test_a_build_says_on_stderr_how_far_it_is(
    options: list[str], said: str, flask: Terminal, put: Put
) -> None:
    def build(asked: dict[str, Any]) -> IndexRebuildResult:
        for done in (5, 6):  # the second one comes too soon
            asked["on_build"](
                BuildProgress(MONGO, "item", "ix_a", "scanning collection", done, 1000)
            )
        return IndexRebuildResult(MONGO, "item", "ix_a", 41)

    put("rebuild_index", build)

    assert flask("index", "rebuild", "item", "ix_a", *options) == 0
    assert flask.err == said


def test_a_build_is_a_json_line_where_those_are_asked_for(
    flask: Terminal, put: Put
) -> None:
    def build(asked: dict[str, Any]) -> IndexRebuildResult:
        asked["on_build"](BuildProgress(MONGO, "item", "ix_a", "scanning", 5, 1000))
        return IndexRebuildResult(MONGO, "item", "ix_a", 41)

    put("rebuild_index", build)

    assert flask("index", "rebuild", "item", "ix_a", "--log-format", "json") == 0
    told = json.loads(flask.err)
    assert (told["event"], told["backend"], told["collection"]) == (
        *("progress", "mongo", "item"),
    )
    assert (told["documents"], told["total"]) == (5, 1000)
    assert told["message"] == "Building item.ix_a: scanning: 5 of 1,000 documents"


def test_a_drop_needs_a_terminal_or_yes(flask: Terminal, put: Put) -> None:
    def drop(asked: dict[str, Any]) -> IndexDropResult:
        if asked["confirm"] is not None:
            asked["confirm"](["item: index ix_a (a 1)"])
        return IndexDropResult(MONGO, "item", "ix_a")

    put("drop_index", drop)

    assert flask("index", "drop", "item", "ix_a") == 2
    assert "item: index ix_a (a 1)" in flask.err
    assert flask("index", "drop", "item", "ix_a", "--yes") == 0


class Side:
    """A side that has one index of one collection."""

    def __init__(self, name: Any, place: str) -> None:
        self.name = name
        self.place = place

    def require(self, place: str, name: str, *, to_drop: bool) -> str:
        if place != self.place:
            raise UsageError(f"There is no {self.name} {place}")
        return place


class Env:
    def __init__(self, *sides: Side) -> None:
        self.index_sides = sides


def test_an_index_that_both_databases_have_wants_a_backend() -> None:
    env: Any = Env(Side(MONGO, "item"), Side(POSTGRES, "item"))

    with pytest.raises(UsageError, match="--backend"):
        index.rebuild_index(env, "item", "ix")


def test_where_no_database_has_it_the_first_says_why() -> None:
    env: Any = Env(Side(MONGO, "item"), Side(POSTGRES, "items"))

    with pytest.raises(UsageError, match="no mongo nope"):
        index.rebuild_index(env, "nope", "ix")
