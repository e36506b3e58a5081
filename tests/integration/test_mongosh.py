"""Operations by mongosh: each gives what a normal run gives, up and down."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.mongo.handlers import HANDLERS
from flask_dualmigrate.mongo.mongosh import MongoshScript
from flask_dualmigrate.mongo.mongosh.bodies import BODIES
from flask_dualmigrate.mongo.runner import OperationRunner
from flask_dualmigrate.ops import Operation, Run, Todo, Transform
from flask_dualmigrate.revision import BackendName, Direction, Revision, Step

from .mongo_cases import CASES, Case, seed
from .mongo_runs import DOWN, UP, image
from .mongosh_cli import mongosh, run_mongosh

__all__ = ["mongosh"]

Db = Database[Any]
RENDERED = [
    case for case in CASES.values() if not isinstance(case.operation, Run | Transform)
]


def prefix_of(case: Case) -> str:
    return re.sub(r"\W+", "_", case.id)


def prefixed(case: Case, operation: Operation) -> Operation:
    """Return an operation on collections of its case's own."""
    changes = {
        name: f"{prefix_of(case)}.{getattr(operation, name)}"
        for name in ("collection", "new_name")
        if hasattr(operation, name)
        and (name == "collection" or operation.verb == "rename_collection")
    }
    return dataclasses.replace(operation, **changes)


def seeded(db: Db, *, empty: bool) -> None:
    """Give each case its own copies of the seeded collections."""
    other = db.client.get_database(f"{db.name}_seed")
    seed(other)
    for case in RENDERED:
        for name in ("item", "log"):
            target = f"{prefix_of(case)}.{name}"
            db.create_collection(target)
            for spec in other[name].list_indexes():
                index = {k: v for k, v in spec.items() if k != "v"}
                if index["name"] != "_id_":
                    db.command({"createIndexes": target, "indexes": [index]})
            if not empty:
                into = {"$merge": {"into": {"db": db.name, "coll": target}}}
                other[name].aggregate([{"$match": {"_id": {"$ne": None}}}, into])
    db.client.drop_database(other.name)


def steps(direction: Direction) -> list[Step]:
    cases = RENDERED if direction is UP else RENDERED[::-1]
    return [
        Step(
            Revision(prefix_of(case), message=case.id),
            direction,
            (BackendName.MONGO,),
        )
        for case in cases
    ]


def operations(step: Step) -> Sequence[Operation]:
    (case,) = [each for each in RENDERED if prefix_of(each) == step.revision.id]
    if step.direction is UP:
        return [prefixed(case, case.operation)]
    return [prefixed(case, case.reverse)] if case.reverse is not None else []


def script(db: Db, direction: Direction) -> str:
    applied = [] if direction is UP else [step.revision.id for step in steps(UP)]
    with db.client.start_session() as session:
        return MongoshScript(
            OperationRunner(db),
            session,
            operations_of=operations,
            checksum_of=lambda step: f"sum of {step.revision.id}",
            verified=lambda step: False,
        ).text(steps(direction), applied, database=db.name)


def run_normally(db: Db, direction: Direction) -> None:
    runner = OperationRunner(db)
    for step in steps(direction):
        runner.run(step.revision.id, direction, operations(step))
        runner.settle(step.revision.id, direction)


def whole_image(db: Db) -> dict[str, Any]:
    """Return what a database holds, the asides and their catalog too."""
    found = image(db)
    for name in db.list_collection_names(filter={"name": {"$regex": "^_aside_"}}):
        documents = list(db[name].find().sort("_id"))
        for document in documents if name == "_aside_catalog" else []:
            assert document.pop("created_at")
        found[name] = (
            sorted(index["name"] for index in db[name].list_indexes()),
            documents,
        )
    return found


@dataclasses.dataclass
class Pair:
    """What two databases hold that began alike: one run normally, one by mongosh.

    seeded: before both; up, down: (normal, mongosh) after the upgrade, and after both.
    """

    seeded: dict[str, Any]
    up: tuple[dict[str, Any], dict[str, Any]]
    down: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module", params=["small", "empty"])
def pair(
    request: pytest.FixtureRequest,
    mongosh: Path,
    mongo_server: MongoClient[Any],
    mongo_server_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    name = f"test_mongosh_{request.param}"
    dbs = [mongo_server.get_database(f"{name}_{kind}") for kind in ("normal", "shell")]
    for db in dbs:
        seeded(db, empty=request.param == "empty")

    def run_script(direction: Direction) -> None:
        path = tmp_path_factory.mktemp("scripts") / f"{direction}.js"
        path.write_text(script(dbs[1], direction))
        uri = urlsplit(mongo_server_uri)._replace(path=f"/{dbs[1].name}").geturl()
        done = run_mongosh(mongosh, uri, path)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def images() -> tuple[dict[str, Any], dict[str, Any]]:
        return whole_image(dbs[0]), whole_image(dbs[1])

    before, _ = images()
    run_script(UP)
    run_normally(dbs[0], UP)
    up = images()
    run_script(DOWN)
    run_normally(dbs[0], DOWN)
    yield Pair(before, up, images())
    for db in dbs:
        mongo_server.drop_database(db.name)


def only(found: dict[str, Any], case: Case) -> dict[str, Any]:
    names = (prefix_of(case) + ".", f"_aside_{prefix_of(case)}_")
    return {name: found[name] for name in found if name.startswith(names)}


@pytest.mark.parametrize("case", RENDERED, ids=str)
def test_an_upgrade_by_mongosh_gives_what_a_normal_one_gives(
    pair: Pair, case: Case
) -> None:
    normal, shell = pair.up
    assert only(shell, case) == only(normal, case)


@pytest.mark.parametrize("case", RENDERED, ids=str)
def test_a_downgrade_by_mongosh_gives_what_a_normal_one_gives(
    pair: Pair, case: Case
) -> None:
    normal, shell = pair.down
    assert only(shell, case) == only(normal, case)


@pytest.mark.parametrize("case", RENDERED, ids=str)
def test_the_operations_did_something(pair: Pair, case: Case) -> None:
    if case.id == "create_collection that is there" or not any(
        documents for _, _, documents in only(pair.seeded, case).values()
    ):
        pytest.skip("nothing is there to be changed")
    _, shell = pair.up
    assert only(shell, case) != only(pair.seeded, case)


def test_the_catalog_of_asides_is_that_of_a_normal_run(pair: Pair) -> None:
    for normal, shell in (pair.up, pair.down):
        assert shell["_aside_catalog"] == normal["_aside_catalog"]
        assert shell["_aside_catalog"][1]


def test_every_operation_of_the_server_is_rendered() -> None:
    python = {Run, Todo, Transform}
    assert set(BODIES) == {*HANDLERS} - python
    assert {type(case.operation) for case in RENDERED} == set(BODIES)
