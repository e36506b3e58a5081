"""Servers that refuse what administers a server, as shared and managed ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, current_app
from pymongo.database import Database

from flask_dualmigrate import (
    DatabaseUnavailable,
    asides,
    check,
    downgrade,
    index_list,
    init,
    status,
    upgrade,
)
from tests.integration.conftest import MakeApp, Tree
from tests.support.mongo.proxies import Wire, wired

ADMINISTRATIVE = (
    "killSessions",
    "replSetGetStatus",
    "replSetGetConfig",
    "connectionStatus",
    "getCmdLineOpts",
    "getParameter",
    "collStats",
    "buildInfo",
    "count",
    "explain",
    "$currentOp",
    "$indexStats",
    "$collStats",
    "endSessions",
)
"""All that is sent beside the commands that read and write collections and indexes."""

NEEDED = (
    *("hello", "find", "getMore", "aggregate", "insert", "update", "delete"),
    *("findAndModify", "commitTransaction", "abortTransaction", "create"),
    *("listCollections", "listIndexes", "createIndexes", "dropIndexes", "drop"),
    *("renameCollection", "killCursors", "ismaster"),
)

CODES = {"Atlas": 8000, "not found": 59, "no right": 13, "not supported": 115}
"""Codes that managed servers refuse a command with."""


@pytest.fixture
def wire(mongo_url: str) -> Iterator[tuple[str, Wire]]:
    with wired(mongo_url) as (uri, made):
        yield uri, made


@pytest.fixture
def far(wire: tuple[str, Wire], make_app: MakeApp, tmp_path: Any) -> Iterator[Tree]:
    """A tree of two revisions, in an app that goes through the wire."""
    app: Flask = make_app(
        active="mongo", urls={"mongo": wire[0]}, config={"DUALMIGRATE_BACKUP": "all"}
    )
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add(
            "r1",
            mongo='op.add_field("t", "a", default=1)\n'
            'op.create_index("t", [("a", 1)], name="ix_a")',
            mongo_down='op.drop_index("t", "ix_a")\nop.drop_field("t", "a")',
        )
        tree.add(
            "r2",
            mongo='op.update("t", {}, {"$inc": {"a": 1}}, keep=True)\n'
            'op.transform("t", lambda doc: {**doc, "b": 1}, keep=True)\n'
            'op.rename_collection("t", "u")',
            mongo_down='op.rename_collection("u", "t")\nop.drop_field("t", "b")',
        )
        init()
        yield tree


def there_and_back(tree: Tree, db: Database[Any]) -> None:
    """Go up by two runs, look, come down, and go up once more."""
    db.t.insert_many([{"_id": number} for number in range(50)])
    upgrade(dry_run=True)
    upgrade(revision="r1")
    upgrade(revision="r2")
    assert db.u.count_documents({"a": 2, "b": 1}) == 50
    assert check().ok
    status()
    asides()
    index_list()
    downgrade(revision="r1")
    assert db.t.count_documents({"b": {"$exists": False}}) == 50
    upgrade(revision="r2")
    assert db.u.count_documents({"b": 1}) == 50


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_a_run_does_without_all_of_them(
    far: Tree, wire: tuple[str, Wire], mongo_db: Database[Any], code: int
) -> None:
    wire[1].deny(code, *ADMINISTRATIVE)
    there_and_back(far, mongo_db)


def test_a_run_does_without_each_of_them(
    far: Tree, wire: tuple[str, Wire], mongo_db: Database[Any]
) -> None:
    current_app.config["DUALMIGRATE_BACKUP"] = "never"
    for command in ADMINISTRATIVE:
        wire[1].deny(8000, command)
        upgrade(revision="r1")
        upgrade()
        assert check().ok
        downgrade(revision="base")


def test_only_these_are_sent_beside_what_reads_and_writes(
    far: Tree, wire: tuple[str, Wire], mongo_db: Database[Any]
) -> None:
    there_and_back(far, mongo_db)
    assert wire[1].seen.keys() <= {*ADMINISTRATIVE, *NEEDED}


def _expressions(name: str, command: Any) -> bool:
    return "$expr" in repr(command.get("filter", command.get("query")))


def _pipelines(name: str, command: Any) -> bool:
    return name == "findAndModify" and isinstance(command.get("update"), list)


def _transactions(name: str, command: Any) -> bool:
    return name == "update" and "startTransaction" not in command


def _partial(name: str, command: Any) -> bool:
    return name == "createIndexes" and "partialFilterExpression" in repr(command)


LACKING = {
    "filters by $expr": _expressions,
    "updates by a pipeline": _pipelines,
    "transactions of several collections": _transactions,
    "indexes with partialFilterExpression, as ix_b of t": _partial,
}


@pytest.mark.parametrize(("what", "lacks"), LACKING.items(), ids=list(LACKING))
def test_what_a_server_lacks_is_told_before_anything_is_written(
    far: Tree,
    wire: tuple[str, Wire],
    mongo_db: Database[Any],
    what: str,
    lacks: Callable[[str, Any], bool],
) -> None:
    mongo_db.t.insert_one({"_id": 1})
    far.add(
        "r3",
        mongo='op.create_index("t", [("b", 1)], name="ix_b", '
        'partialFilterExpression={"b": {"$type": "string"}})',
    )
    init()

    def refuse(name: str, command: Any) -> tuple[int, str] | None:
        return (303, "not supported here") if lacks(name, command) else None

    wire[1].refuse = refuse
    with pytest.raises(DatabaseUnavailable) as caught:
        upgrade()
    assert f"lacks what migrations need, {what}" in str(caught.value)
    assert "not supported here. Nothing was changed." in str(caught.value)
    assert mongo_db.list_collection_names() == ["t"]
    assert [*mongo_db.t.find()] == [{"_id": 1}]
