"""A server without transactions: what can be done twice runs, the rest is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.errors import DatabaseUnavailable
from flask_dualmigrate.mongo.operations.registry import why_not_standalone
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import Operation
from tests.integration.conftest import MakeApp, Tree
from tests.support.mongo.cases import CASES, Case
from tests.support.mongo.killed import revert_killed, run_killed, strides
from tests.support.mongo.runs import REVISION, UP, clear, image
from tests.support.mongo.seed import seed

Db = Database[Any]

ALLOWED = {
    id_: case
    for id_, case in CASES.items()
    if why_not_standalone(case.operation) is None
}
REFUSED = {
    "$inc": 'op.update("item", {}, {"$inc": {"n": 1}})',
    "pipeline": 'op.update("item", {}, [{"$set": {"n": {"$add": ["$n", 1]}}}])',
    "keep": 'op.update("item", {}, {"$set": {"n": 1}}, keep=True)',
    "undo": 'op.update("item", {}, {"$set": {"n": 1}}, undo={"$inc": {"n": -1}})',
    "transform": 'op.transform("item", dict)',
    "copy over": 'op.copy_field("item", "n", "m", overwrite=True)',
    "run in one": "op.run(print, transactional=True)",
}
ACCEPTED = {
    "$set": 'op.update("item", {}, {"$set": {"done": 1}})',
    "marked": (
        'op.update("item", {"done": {"$exists": False}}, '
        '{"$set": {"done": 1}, "$inc": {"n": 1}})'
    ),
    "add_field": 'op.add_field("item", "done", default=1)',
}


def runner_on(db: Db) -> OperationRunner:
    return OperationRunner(db, transactions=False)


@pytest.fixture
def app(make_app: MakeApp, alone_url: str, alone: Db) -> Iterator[Flask]:
    app = make_app(urls={"mongo": alone_url}, active="mongo")
    with app.app_context():
        init()
        yield app


@pytest.mark.parametrize("mongo", REFUSED.values(), ids=list(REFUSED))
def test_what_does_harm_when_done_twice_is_refused_before_anything_is_written(
    app: Flask, tree: Tree, alone: Db, mongo: str
) -> None:
    alone.item.insert_one({"n": 1})
    tree.add("r1", mongo=mongo)
    init()
    with pytest.raises(DatabaseUnavailable, match="standalone server"):
        upgrade()
    assert alone.list_collection_names() == ["item"]


@pytest.mark.parametrize("mongo", ACCEPTED.values(), ids=list(ACCEPTED))
def test_what_can_be_done_twice_is_upgraded(
    app: Flask, tree: Tree, alone: Db, mongo: str
) -> None:
    alone.item.insert_many([{"n": n} for n in range(20)])
    tree.add("r1", mongo=mongo)
    init()
    upgrade()
    assert alone.item.count_documents({"done": 1}) == 20


@pytest.mark.parametrize("case", ALLOWED.values(), ids=list(ALLOWED))
def test_an_operation_works_and_is_undone(alone: Db, case: Case) -> None:
    seed(alone)
    before = image(alone)
    runner_on(alone).run(REVISION, UP, [case.operation])
    case.check(alone)
    assert runner_on(alone).revert(REVISION, UP, [case.operation]).stuck is None
    assert image(alone) == before


def applied(db: Db, operation: Operation) -> dict[str, Any]:
    clear(db)
    seed(db)
    runner_on(db).run(REVISION, UP, [operation])
    return image(db)


@pytest.mark.slow
@strides
@pytest.mark.parametrize(
    ("first", "case"), list(enumerate(ALLOWED.values())), ids=list(ALLOWED)
)
def test_a_killed_run_is_carried_on_and_undone(
    alone: Db, alone_url: str, first: int, case: Case, stride: int
) -> None:
    expected = applied(alone, case.operation)
    for commands in count(first % stride, stride):
        clear(alone)
        seed(alone)
        before = image(alone)
        killed = run_killed(alone_url, case.id, commands)
        runner_on(alone).run(REVISION, UP, [case.operation])
        assert image(alone) == expected, f"killed at command {commands}"
        revert_killed(alone_url, case.id, commands)
        runner_on(alone).revert(REVISION, UP, [case.operation])
        assert image(alone) == before, f"undoing killed at command {commands}"
        if not killed:
            break
