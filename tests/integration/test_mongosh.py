"""Operations by mongosh: each gives what a normal run gives, up and down."""

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

from flask_dualmigrate.mongo.handlers import HANDLERS
from flask_dualmigrate.mongo.mongosh import MongoshScript
from flask_dualmigrate.mongo.mongosh.bodies import BODIES
from flask_dualmigrate.mongo.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Insert,
    Operation,
    RenameCollection,
    RenameField,
    Run,
    SetValidator,
    Transform,
    Update,
)
from flask_dualmigrate.revision import BackendName, Direction, Revision, Step

from .mongo_cases import CASES, Case
from .mongo_runs import DOWN, UP, digest_of, image
from .mongo_seed import seed
from .mongosh_cli import mongosh, run_mongosh

__all__ = ["mongosh"]

Db = Database[Any]
Image = dict[str, Any]
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
def test_each_operation_gives_what_a_normal_run_gives_up_and_down(
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

    normal, shell = pair.run(DOWN)
    assert differing(normal, shell) == []
    assert shell["_aside_catalog"] == normal["_aside_catalog"]


SIZE = 10_000
NEW = tuple({"_id": f"new {n}", "price": -n, "n": -n} for n in range(1, 2501))
LARGE = (
    DropCollection("spare"),
    CreateCollection("made", {"capped": True, "size": 4096}),
    DropIndex("big", "ix_name"),
    AddField("big", "status", default="new", batch_size=SIZE),
    DropField("big", "note", batch_size=SIZE),
    RenameField("big", "name", "title", batch_size=SIZE),
    CopyField("big", "n", "m", batch_size=SIZE),
    ConvertField("big", "price", to="int", batch_size=SIZE),
    Update(
        "big",
        {"n": {"$lt": 50_000}},
        {"$inc": {"n": 1}},
        undo={"$inc": {"n": -1}},
        batch_size=SIZE,
    ),
    Delete("big", {"n": {"$gte": 90_000}}, batch_size=SIZE),
    CreateIndex("big", (("price", 1),), "ux_price", {"unique": True}),
    Insert("big", NEW),
    SetValidator("big", {"n": {"$lt": 100_000}}),
    RenameCollection("big", "large"),
)
LARGE_BACK = (
    RenameCollection("large", "big"),
    SetValidator("big", None),
    Delete("big", {"n": {"$lt": 0}}, batch_size=SIZE),
    DropIndex("big", "ux_price"),
    ConvertField("big", "price", to="string", batch_size=SIZE),
    DropField("big", "m", batch_size=SIZE),
    RenameField("big", "title", "name", batch_size=SIZE),
    AddField("big", "note", batch_size=SIZE),
    DropField("big", "status", batch_size=SIZE),
    CreateIndex("big", (("name", 1),), "ix_name"),
    DropCollection("made"),
    CreateCollection("spare"),
)


@pytest.mark.large
def test_a_large_collection_is_what_a_normal_run_makes_of_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(Revision("r1", message="large"), UP, (BackendName.MONGO,))

    def large_operations(step: Step) -> Sequence[Operation]:
        return LARGE if step.direction is UP else LARGE_BACK

    monkeypatch.setattr(
        f"{__name__}.steps",
        lambda direction: [dataclasses.replace(step, direction=direction)],
    )
    monkeypatch.setattr(f"{__name__}.operations", large_operations)
    pair.normal.big.insert_many(
        {"_id": n, "name": f"n{n}", "price": str(n), "n": n, "note": [n, None]}
        for n in range(100_000)
    )
    for db, name in (
        (pair.normal, "spare"),
        (pair.shell, "spare"),
        (pair.shell, "big"),
    ):
        out = {"$out": {"db": db.name, "coll": name}}
        pair.normal.big.aggregate([out])
    for db in (pair.normal, pair.shell):
        db.big.create_index("name", name="ix_name")
    for direction in (UP, DOWN):
        normal, shell = pair.run(direction)
        assert shell == normal


def test_a_downgrade_leaves_alone_what_the_upgrade_left_alone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(Revision("r1", message="keep"), UP, (BackendName.MONGO,))
    there = {
        UP: ConvertField("item", "price", to="int", on_error="keep"),
        DOWN: ConvertField("item", "price", to="string"),
    }
    monkeypatch.setattr(
        f"{__name__}.steps",
        lambda direction: [dataclasses.replace(step, direction=direction)],
    )
    monkeypatch.setattr(f"{__name__}.operations", lambda step: [there[step.direction]])
    values = ["5", "abc", 1.5, ObjectId("0123456789abcdef01234567"), None, "7"]
    for db in (pair.normal, pair.shell):
        db.item.insert_many({"_id": n, "price": v} for n, v in enumerate(values))
    normal, shell = pair.run(UP)
    assert shell == normal
    assert pair.shell.item.find_one({"_id": 0}) == {"_id": 0, "price": 5}
    pair.shell.item.insert_one({"_id": 9, "price": 9})
    pair.normal.item.insert_one({"_id": 9, "price": 9})
    normal, shell = pair.run(DOWN)
    assert shell == normal
    assert [each["price"] for each in pair.shell.item.find().sort("_id")] == [
        *values,
        "9",
    ]


def test_a_downgrade_gives_no_default_to_what_lacked_the_field_before(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(Revision("r1", message="drop"), UP, (BackendName.MONGO,))
    there = {
        UP: [DropField(name, "a.note", batch_size=1) for name in ("t", "u")],
        DOWN: [
            AddField("u", "a.note", using={"$literal": "new"}, batch_size=1),
            AddField("t", "a.note", default="new", batch_size=1),
        ],
    }
    monkeypatch.setattr(
        f"{__name__}.steps",
        lambda direction: [dataclasses.replace(step, direction=direction)],
    )
    monkeypatch.setattr(f"{__name__}.operations", lambda step: there[step.direction])
    former = [{"_id": 1, "a": {"note": None}}, {"_id": 2}, {"_id": 3, "a": {}}]
    targets = [db[name] for db in (pair.normal, pair.shell) for name in ("t", "u")]
    for target in targets:
        target.insert_many(former)
    normal, shell = pair.run(UP)
    assert shell == normal
    assert pair.shell["_aside_r1_t.a.note"].count_documents({}) == 3
    for target in targets:
        target.insert_one({"_id": 0})
    normal, shell = pair.run(DOWN)
    assert shell == normal
    added = {"_id": 0, "a": {"note": "new"}}
    for target in targets:
        assert list(target.find().sort("_id")) == [added, *former]


def test_a_dropped_view_is_kept_aside_and_brought_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(Revision("r1", message="view"), UP, (BackendName.MONGO,))
    there = {UP: DropCollection("v"), DOWN: CreateCollection("v")}
    monkeypatch.setattr(
        f"{__name__}.steps",
        lambda direction: [dataclasses.replace(step, direction=direction)],
    )
    monkeypatch.setattr(f"{__name__}.operations", lambda step: [there[step.direction]])
    for db in (pair.normal, pair.shell):
        db.create_collection("v", viewOn="u", pipeline=[{"$match": {"a": 1}}])
    before = whole_image(pair.shell)
    normal, shell = pair.run(UP)
    assert shell == normal
    assert "v" not in shell
    assert shell["_aside_catalog"][1][0]["holds"] == "view"
    normal, shell = pair.run(DOWN)
    assert shell == normal
    assert shell["v"] == before["v"]


def test_an_array_above_a_field_is_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(Revision("r1", message="array"), UP, (BackendName.MONGO,))
    drop = DropField("t", "lines.price", keep=False)
    monkeypatch.setattr(f"{__name__}.steps", lambda direction: [step])
    monkeypatch.setattr(f"{__name__}.operations", lambda step: [drop])
    pair.shell.t.insert_one({"_id": 1, "lines": [{"price": 1}]})
    with pytest.raises(AssertionError, match="1 documents of t have an array at lines"):
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


def test_every_operation_of_the_server_is_rendered() -> None:
    assert set(BODIES) == {*HANDLERS} - {Run, Transform}
    assert {type(case.operation) for case in RENDERED} == set(BODIES)
