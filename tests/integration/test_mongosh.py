"""Scripts for mongosh give what a normal run gives, and a normal run can follow them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.mongo.mongosh import MongoshScript
from flask_dualmigrate.mongo.runner import OperationRunner
from flask_dualmigrate.ops import Operation, Run, Transform
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
    """Two databases that began alike: one run normally, one by mongosh."""

    normal: Db
    shell: Db
    run_script: Callable[[Direction], None]


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

    run_script(UP)
    run_normally(dbs[0], UP)
    yield Pair(dbs[0], dbs[1], run_script)
    for db in dbs:
        mongo_server.drop_database(db.name)


def only(found: dict[str, Any], case: Case) -> dict[str, Any]:
    names = (prefix_of(case) + ".", f"_aside_{prefix_of(case)}_")
    return {name: found[name] for name in found if name.startswith(names)}


@pytest.mark.parametrize("case", RENDERED, ids=str)
def test_an_upgrade_by_mongosh_gives_what_a_normal_one_gives(
    pair: Pair, case: Case
) -> None:
    shell, normal = whole_image(pair.shell), whole_image(pair.normal)
    assert only(shell, case) == only(normal, case)


def test_catalog(pair: Pair) -> None:
    shell, normal = whole_image(pair.shell), whole_image(pair.normal)
    assert shell["_aside_catalog"] == normal["_aside_catalog"]


def test_down(pair: Pair) -> None:
    run_normally(pair.normal, DOWN)
    pair.run_script(DOWN)
    shell, normal = whole_image(pair.shell), whole_image(pair.normal)
    assert shell == normal
