"""Operations by mongosh: each gives what a run gives, and a run takes it back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.mongo.operations.registry import HANDLERS
from flask_dualmigrate.mongo.run.mongosh_script import MongoshScript
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import AddField, DropField, Insert, Operation
from flask_dualmigrate.revisions import BackendName, Direction, Revision, Step
from tests.support.mongo.cases import CASES, Case
from tests.support.mongo.mongosh_cli import mongosh, run_mongosh
from tests.support.mongo.runs import DOWN, UP, digest_of, image
from tests.support.mongo.seed import seed

__all__ = ["mongosh"]

Db = Database[Any]
Image = dict[str, Any]
NOT_PLAIN = {"convert_field", "run", "transform"}
RENDERED = [case for case in CASES.values() if case.operation.verb not in NOT_PLAIN]


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
        runner.settle((step.revision.id, direction))


def whole_image(db: Db) -> dict[str, Any]:
    """Return what a database holds, the asides and their catalog too."""
    found = image(db, digest_of)
    asides = {"name": {"$regex": "^_aside_"}, "type": "collection"}
    for name in db.list_collection_names(filter=asides):
        indexes = sorted(index["name"] for index in db[name].list_indexes())
        is_catalog = name == "_aside_catalog"
        found[name] = (indexes, _entries(db) if is_catalog else digest_of(db[name]))
    return found


def _entries(db: Db) -> list[dict[str, Any]]:
    """Return the catalog of the asides, without when they were made."""
    entries = list(db["_aside_catalog"].find().sort("_id"))
    for entry in entries:
        assert entry.pop("created_at")
    return entries


class Pair:
    """Two databases that began alike: one is run normally, one by mongosh."""

    def __init__(
        self, client: MongoClient[Any], uri: str, program: Path, folder: Path
    ) -> None:
        name = f"test_{uuid4().hex}"
        self.normal = client.get_database(f"{name}_normal")
        self.shell = client.get_database(f"{name}_shell")
        self._uri = urlsplit(uri)._replace(path=f"/{self.shell.name}").geturl()
        self._program, self._folder = program, folder

    def run(self, direction: Direction) -> tuple[Image, Image]:
        """Run both ways; return what (normal, mongosh) has then."""
        path = self._folder / f"{direction}.js"
        path.write_text(script(self.shell, direction))
        done = run_mongosh(self._program, self._uri, path)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        run_normally(self.normal, direction)
        return self.images()

    def images(self) -> tuple[Image, Image]:
        return whole_image(self.normal), whole_image(self.shell)


@pytest.fixture
def pair(
    mongosh: Path,
    mongo_server: MongoClient[Any],
    mongo_server_uri: str,
    tmp_path: Path,
) -> Iterator[Pair]:
    pair = Pair(mongo_server, mongo_server_uri, mongosh, tmp_path)
    yield pair
    for db in (pair.normal, pair.shell):
        mongo_server.drop_database(db.name)


def only(found: Image, case: Case) -> Image:
    names = (prefix_of(case) + ".", f"_aside_{prefix_of(case)}_")
    return {name: found[name] for name in found if name.startswith(names)}


def differing(left: Image, right: Image) -> list[str]:
    """Return the cases whose collections and asides are not the same."""
    return [case.id for case in RENDERED if only(left, case) != only(right, case)]


UNCHANGED = ["create_collection that is there"]


@pytest.mark.parametrize("empty", [False, True], ids=["small", "empty"])
def test_each_operation_gives_what_a_run_gives_and_a_run_takes_it_back(
    pair: Pair, empty: bool
) -> None:
    for db in (pair.normal, pair.shell):
        seeded(db, empty=empty)
    before = whole_image(pair.normal)

    normal, shell = pair.run(UP)
    assert differing(normal, shell) == []
    assert shell["_aside_catalog"] == normal["_aside_catalog"]
    same = [case.id for case in RENDERED if case.id not in differing(before, shell)]
    assert same == UNCHANGED or empty

    for db in (pair.normal, pair.shell):
        run_normally(db, DOWN)
    normal, shell = pair.images()
    assert differing(normal, shell) == []
    assert shell["_aside_catalog"] == normal["_aside_catalog"]


def test_a_downgrade_by_mongosh_gives_what_a_run_gives(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [case for case in RENDERED if case.id not in PUT_BACK]
    monkeypatch.setattr(f"{__name__}.RENDERED", plain)
    for db in (pair.normal, pair.shell):
        seeded(db, empty=False)
        run_normally(db, UP)
    pair.shell["_migrations"].insert_many(
        {"_id": step.revision.id, "status": "applied"} for step in steps(UP)
    )
    normal, shell = pair.run(DOWN)
    assert differing(normal, shell) == []
    assert shell["_aside_catalog"] == normal["_aside_catalog"]


PUT_BACK = ["drop_field", "drop_field embedded", "drop_collection"]


@pytest.mark.parametrize("case", [CASES[name] for name in PUT_BACK], ids=str)
def test_a_downgrade_that_puts_back_what_was_kept_is_refused(
    mongo_db: Db, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.RENDERED", [case])
    with pytest.raises(UsageError, match="puts back what the upgrade kept aside"):
        script(mongo_db, DOWN)


def test_an_array_above_a_field_is_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(Revision("r1", message="array"), UP, (BackendName.MONGO,))
    drop = DropField("t", "lines.price", keep=False)
    monkeypatch.setattr(f"{__name__}.steps", lambda direction: [step])
    monkeypatch.setattr(f"{__name__}.operations", lambda step: [drop])
    pair.shell.t.insert_one({"_id": 1, "lines": [{"price": 1}]})
    with pytest.raises(AssertionError, match="A document of t has an array at lines"):
        pair.run(UP)


def test_values_of_every_type_arrive_as_they_are(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = tuple({"_id": n, "v": v} for n, v in enumerate(EVERY_TYPE))
    step = Step(Revision("r1", message="types"), UP, (BackendName.MONGO,))
    inserts = [Insert("types", documents), AddField("types", "w", default=EVERY_TYPE)]
    monkeypatch.setattr(f"{__name__}.steps", lambda direction: [step])
    monkeypatch.setattr(f"{__name__}.operations", lambda step: inserts)
    normal, shell = pair.run(UP)
    assert shell == normal


EVERY_TYPE: list[Any] = [
    *(1, 2**31 - 1, Int64(1), Int64(2**60), 1.0, 1.5, -0.0, 1e300, float("inf")),
    *('é \u2028 "q" ${x} `y`', "", True, None, [], {}, {"a": [1, {"b.c": 2.0}]}),
    *(Decimal128("1.50"), ObjectId("0123456789abcdef01234567"), MinKey(), MaxKey()),
    *(b"\x00\xff", Binary(b"\x01", 128), Binary.from_uuid(UUID(int=7))),
    *(datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), DatetimeMS(-(2**50))),
    *(Timestamp(5, 1), Regex("a/b", "ix"), Code("f()"), Code("f()", {"x": 1})),
    *(DBRef("item", 1), {"$set": {"__proto__": 1, "a b": 2}}),
]


def test_every_operation_is_written_or_refused() -> None:
    rendered = {type(case.operation).verb for case in RENDERED}
    assert {operation.verb for operation in HANDLERS} == NOT_PLAIN | rendered
