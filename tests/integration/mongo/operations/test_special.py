"""Collections that are no ordinary ones: each operation works, or says why it does not.

One that is refused leaves nothing: no write, no record, no aside. One that works is
undone, and taken back by a downgrade, byte for byte.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import gridfs
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, ops
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.expressions.ranges import ids_in
from flask_dualmigrate.mongo.operations.registry import HANDLERS
from flask_dualmigrate.mongo.run.runner import OperationRunner
from tests.integration.conftest import Tree
from tests.support.mongo.runs import (
    DOWN,
    REVISION,
    UP,
    complete,
    image,
    our_asides,
    revert,
    run,
)

Db = Database[Any]
Doc = dict[str, Any]
COUNT = 5


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of collection. options: as `create` takes them."""

    id: str
    name: str = "c"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return self.id

    def seed(self, db: Db) -> None:
        documents = [
            {"_id": n, "at": datetime(2026, 1, 1, n), "m": {"x": n}, **_fields(n)}
            for n in range(COUNT)
        ]
        if self.id == "GridFS":
            _store_files(db)
            return
        if "viewOn" in self.options:
            db.base.insert_many(documents)
        db.create_collection(self.name, **self.options)
        if "viewOn" not in self.options:
            db[self.name].create_index("b", name="ix_b")
            db[self.name].insert_many(documents)


def _fields(number: int) -> Doc:
    return {"a": str(number), "b": number}


def _store_files(db: Db) -> None:
    """Two files of three chunks, 255 KiB each but the last ones."""
    db["fs.chunks"].create_index("b", name="ix_b")
    for number in range(2):
        content = bytes([number]) * 600_000
        gridfs.GridFSBucket(db).upload_from_stream(f"file {number}", content)
    for number, chunk in enumerate(db["fs.chunks"].find({}, {"_id": 1}).sort("n")):
        db["fs.chunks"].update_one({"_id": chunk["_id"]}, {"$set": _fields(number)})


LAX = {"locale": "en", "strength": 2}
CLUSTERED = {"key": {"_id": 1}, "unique": True, "name": "pk"}
KINDS = (
    Kind("capped", options={"capped": True, "size": 65_536}),
    Kind("time series", options={"timeseries": {"timeField": "at", "metaField": "m"}}),
    Kind("view", options={"viewOn": "base", "pipeline": [{"$match": {}}]}),
    Kind("GridFS", name="fs.chunks"),
    Kind("clustered", options={"clusteredIndex": CLUSTERED}),
    Kind("collation", options={"collation": LAX}),
)


def increase(doc: Doc) -> Doc:
    return {**doc, "b": doc["b"] + 10}


def fill_log(db: Db) -> None:
    db.log.insert_one({"_id": 1, "count": 1})


def drop_log(db: Db) -> None:
    db.log.drop()


_SMALL: dict[str, Any] = {"batch_size": 2}


def pairs(kind: Kind) -> dict[str, tuple[ops.Operation, ops.Operation | None]]:
    """Return each operation on a collection of a kind, and its way back."""
    name, small = kind.name, _SMALL
    new: Doc = {"_id": "new", "at": datetime(2026, 2, 1), "m": {"x": 9}, "b": 99}
    up, down = {"$inc": {"b": 10}}, {"$inc": {"b": -10}}
    return {
        "create_collection": (
            ops.CreateCollection("made", kind.options),
            ops.DropCollection("made", keep=kind.id != "time series"),
        ),
        "drop_collection": (
            ops.DropCollection(name),
            ops.CreateCollection(name, kind.options),
        ),
        "rename_collection": (
            ops.RenameCollection(name, "d"),
            ops.RenameCollection("d", name),
        ),
        "set_validator": (
            ops.SetValidator(name, {"b": {"$gte": 0}}),
            ops.SetValidator(name, None),
        ),
        "add_field": (
            ops.AddField(name, "z", default=1, **small),
            ops.DropField(name, "z"),
        ),
        "drop_field": (
            ops.DropField(name, "a", **small),
            ops.AddField(name, "a", **small),
        ),
        "rename_field": (
            ops.RenameField(name, "a", "z"),
            ops.RenameField(name, "z", "a"),
        ),
        "copy_field": (
            ops.CopyField(name, "a", "z", **small),
            ops.DropField(name, "z"),
        ),
        "convert_field": (
            ops.ConvertField(name, "a", to="int", **small),
            ops.ConvertField(name, "a", to="string"),
        ),
        "create_index": (
            ops.CreateIndex(name, (("a", 1),), "ix_a"),
            ops.DropIndex(name, "ix_a"),
        ),
        "drop_index": (
            ops.DropIndex(name, "ix_b"),
            ops.CreateIndex(name, (("b", 1),), "ix_b"),
        ),
        "update": (
            ops.Update(name, {"b": {"$gte": 1}}, up, undo=down, **small),
            ops.Update(name, {"b": {"$gte": 11}}, down),
        ),
        "transform": (ops.Transform(name, increase, keep=True, **small), None),
        "insert": (ops.Insert(name, (new,)), ops.Delete(name, {"_id": "new"})),
        "delete": (ops.Delete(name, {"b": {"$gte": 2}}, **small), ops.Insert(name, ())),
        "run": (ops.Run(fill_log, undo=drop_log), ops.Run(drop_log)),
    }


VERBS = list(pairs(KINDS[0]))
WRITES = (
    *("add_field", "drop_field", "rename_field", "copy_field", "convert_field"),
    *("update", "transform", "insert", "delete"),
)
REFUSED: dict[tuple[str, str], str] = {
    **{
        ("capped", verb): "c is a capped collection, which MongoDB does not let "
        "transactions write to"
        for verb in WRITES
    },
    **{
        ("time series", verb): "c is a time-series collection, which MongoDB does not "
        "let transactions write to"
        for verb in WRITES
    },
    **{
        ("view", verb): "c is a view: documents cannot be changed through it"
        for verb in WRITES
    },
    ("time series", "drop_collection"): "c is a time-series collection, which MongoDB "
    "cannot rename, so it cannot be kept aside",
    ("time series", "rename_collection"): "c is a time-series collection, which "
    "MongoDB cannot rename",
    ("time series", "set_validator"): "c is a time-series collection, which has no "
    "validator",
    ("view", "rename_collection"): "c is a view, which MongoDB cannot rename",
    ("view", "set_validator"): "c is a view, which has no validator",
    ("view", "create_index"): "c is a view, which has no indexes",
    ("view", "drop_index"): "c is a view, which has no indexes",
}
ALL = [(kind, verb) for kind in KINDS for verb in VERBS]
WORKING = [(kind, verb) for kind, verb in ALL if (kind.id, verb) not in REFUSED]
REFUSING = [(kind, verb) for kind, verb in ALL if (kind.id, verb) in REFUSED]


def refused(db: Db, operation: ops.Operation) -> OperationError:
    """Run what is refused, and see that it leaves nothing."""
    before = image(db)
    with pytest.raises(OperationError) as caught:
        run(db, operation)
    assert image(db) == before
    assert OperationRunner(db).records(REVISION, UP) == ()
    assert our_asides(db) == []
    assert db["_aside_catalog"].find_one() is None
    return caught.value


def test_the_table_has_every_operation() -> None:
    language = {operation.verb for operation in HANDLERS}
    assert set(VERBS) == language - {"todo"}


@pytest.mark.parametrize(("kind", "verb"), WORKING, ids=str)
def test_what_works_is_undone_byte_for_byte(
    mongo_db: Db, kind: Kind, verb: str
) -> None:
    kind.seed(mongo_db)
    before = image(mongo_db)
    operation, _ = pairs(kind)[verb]
    run(mongo_db, operation)
    assert image(mongo_db) != before
    assert revert(mongo_db, operation).stuck is None
    assert image(mongo_db) == before


@pytest.mark.parametrize(
    ("kind", "verb"), [pair for pair in WORKING if pair[1] != "transform"], ids=str
)
def test_what_works_is_taken_back_by_a_downgrade(
    mongo_db: Db, kind: Kind, verb: str
) -> None:
    kind.seed(mongo_db)
    before = image(mongo_db)
    operation, back = pairs(kind)[verb]
    assert back is not None
    complete(mongo_db, operation)
    complete(mongo_db, back, direction=DOWN)
    assert image(mongo_db) == before


@pytest.mark.parametrize(("kind", "verb"), REFUSING, ids=str)
def test_what_does_not_work_is_refused_before_anything_is_written(
    mongo_db: Db, kind: Kind, verb: str
) -> None:
    kind.seed(mongo_db)
    operation, _ = pairs(kind)[verb]
    error = refused(mongo_db, operation)
    assert error.what == REFUSED[kind.id, verb]
    assert error.hint or verb == "set_validator"
    run(mongo_db, ops.CreateCollection("after"))  # nothing is in the way


def test_a_refused_operation_undoes_its_revision_and_blocks_nothing(
    tree: Tree, app: Flask, mongo_db: Db
) -> None:
    mongo_db.create_collection("c", capped=True, size=4096)
    tree.add("r1", mongo='op.create_collection("new")\nop.drop_field("c", "a")')
    init()
    runner = app.test_cli_runner()
    said = runner.invoke(args=["db-migrate", "upgrade"])
    assert said.exit_code == 1
    assert "c is a capped collection, which MongoDB does not let" in said.output
    assert "new" not in mongo_db.list_collection_names()
    path = tree.path("mongo", "r1")
    path.write_text(path.read_text().replace('op.drop_field("c", "a")', ""))
    assert runner.invoke(args=["db-migrate", "upgrade"]).exit_code == 0


# Indexes of every sort, where a kind takes some and not others.

BY_ID = {kind.id: kind for kind in KINDS}
SORTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": ((("b", -1),), {}),
    "on the time": ((("at", 1),), {}),
    "on the meta field": ((("m.x", 1),), {}),
    "hidden": ((("b", 1), ("a", 1)), {"hidden": True}),
    "partial": ((("a", 1),), {"partialFilterExpression": {"b": {"$gt": 1}}}),
    "unique": ((("a", 1),), {"unique": True}),
    "TTL": ((("at", 1),), {"expireAfterSeconds": 10**8}),
    "sparse": ((("a", 1),), {"sparse": True}),
    "sparse on the meta field": ((("m.x", 1),), {"sparse": True}),
    "text": ((("a", "text"),), {}),
    "hashed": ((("a", "hashed"),), {}),
    "hashed on the meta field": ((("m.x", "hashed"),), {}),
    "wildcard": ((("$**", 1),), {}),
    "2d": ((("place", "2d"),), {}),
    "2dsphere": ((("place", "2dsphere"),), {}),
    "text of simple collation": ((("a", "text"),), {"collation": {"locale": "simple"}}),
}
SERIES = "The index ix of c cannot be built: a time-series collection takes no "
LAX_ONE = "The index ix of c cannot be built: the collection has a collation, and a "
INDEX_REFUSED = {
    ("capped", "TTL"): "The index ix of c cannot be built: a capped collection takes "
    "no TTL index before MongoDB 7.1",
    ("time series", "TTL"): f"{SERIES}TTL index before MongoDB 7.0",
    ("time series", "unique"): f"{SERIES}unique index",
    ("time series", "sparse"): f"{SERIES}sparse index on measurements",
    ("time series", "text"): f"{SERIES}text index",
    ("time series", "hashed"): f"{SERIES}hashed index on measurements",
    ("time series", "wildcard"): f"{SERIES}wildcard index on measurements",
    ("time series", "2d"): f"{SERIES}2d index on measurements",
    ("time series", "text of simple collation"): f"{SERIES}text index",
    ("collation", "text"): f"{LAX_ONE}text index allows none",
    ("collation", "2d"): f"{LAX_ONE}2d index allows none",
}
INDEXED = [
    (kind, sort) for kind in ("capped", "time series", "collation") for sort in SORTS
]


@pytest.mark.parametrize(("kind", "sort"), INDEXED, ids=str)
def test_an_index_is_built_and_dropped_or_refused(
    mongo_db: Db, kind: str, sort: str
) -> None:
    BY_ID[kind].seed(mongo_db)
    keys, options = SORTS[sort]
    operation = ops.CreateIndex("c", keys, "ix", options)
    if (kind, sort) in INDEX_REFUSED:
        assert refused(mongo_db, operation).what == INDEX_REFUSED[kind, sort]
        return
    before = image(mongo_db)
    complete(mongo_db, operation)
    assert "ix" in mongo_db.c.index_information()
    complete(mongo_db, ops.DropIndex("c", "ix"), direction=DOWN)
    assert image(mongo_db) == before


def test_a_clustered_index_cannot_be_dropped(mongo_db: Db) -> None:
    BY_ID["clustered"].seed(mongo_db)
    error = refused(mongo_db, ops.DropIndex("c", "pk"))
    assert error.what == "pk is the clustered index of c, which cannot be dropped"


def test_a_time_series_is_dropped_for_good_where_that_is_said(mongo_db: Db) -> None:
    BY_ID["time series"].seed(mongo_db)
    complete(mongo_db, ops.DropCollection("c", keep=False))
    assert mongo_db.list_collection_names(filter={"name": {"$regex": "c$"}}) == []


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        pytest.param({}, int, id="ordinary"),
        pytest.param({"clusteredIndex": CLUSTERED}, int, id="clustered"),
        pytest.param(
            {"clusteredIndex": CLUSTERED, "collation": LAX}, str, id="clustered texts"
        ),
    ],
)
def test_a_walk_reads_each_batch_from_where_it_stands(
    mongo_db: Db, options: Doc, kind: type
) -> None:
    count, batch_size = 1000, 20
    mongo_db.create_collection("c", **options)
    mongo_db.c.insert_many([{"_id": kind(number)} for number in range(count)])
    mongo_db.command("profile", 2)
    run(
        mongo_db,
        ops.Update("c", {}, {"$inc": {"n": 1}}, undo={}, batch_size=batch_size),
    )
    mongo_db.command("profile", 0)
    query = {"ns": f"{mongo_db.name}.c", "docsExamined": {"$exists": True}}
    examined = sum(op["docsExamined"] for op in mongo_db["system.profile"].find(query))
    assert examined < 8 * count  # 26 * count, if each batch begins at the beginning


@pytest.mark.parametrize("options", [{}, {"clusteredIndex": CLUSTERED}], ids=str)
@pytest.mark.parametrize(
    "ids",
    [
        [Int64(2**53 + 1), float(2**53), -0.0, Decimal128("1.5"), float("-inf")],
        [1, float("nan"), Decimal128("Infinity")],
        [datetime(2025, 1, 1), datetime(1960, 1, 1), datetime(1, 1, 1)],
        [b"b", Binary(b"a", 4), b"aa", Binary(b"a", 2), b"", b"\xff" * 300],
        [ObjectId(b"\xff" * 12), ObjectId(b"a" * 12), ObjectId(bytes(12))],
        ["b", "A", "é", "z", ""],
        [None, False, {"a": 1}, 2, "a"],
    ],
    ids=["numbers", "NaN", "dates", "binaries", "object ids", "texts", "mixed"],
)
def test_all_documents_of_a_list_are_found(
    mongo_db: Db, options: Doc, ids: list[Any]
) -> None:
    mongo_db.create_collection("c", **options, collation=LAX)
    mongo_db.c.insert_many([{"_id": each} for each in ids])
    assert mongo_db.c.count_documents(ids_in(ids)) == len(ids)


# GridFS: an ordinary collection of large documents.


def test_the_batches_of_large_documents_go_by_their_size(mongo_db: Db) -> None:
    content = bytes(40 * 255 * 1024)
    gridfs.GridFSBucket(mongo_db).upload_from_stream("large", content)
    run(mongo_db, ops.Delete("fs.chunks", {}))
    (record,) = OperationRunner(mongo_db).records(REVISION, UP)
    assert (record.documents, record.batches > 1) == (40, True)
    revert(mongo_db, ops.Delete("fs.chunks", {}))
    stored = gridfs.GridFSBucket(mongo_db).open_download_stream_by_name("large")
    assert stored.read() == content
