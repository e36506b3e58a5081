"""Backing MongoDB up: as mongodump lays it out, byte for byte, of one moment."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import bson
import pytest
import sqlalchemy as sa
from bson import ObjectId, json_util
from bson.raw_bson import RawBSONDocument
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from flask_dualmigrate import backup_create, downgrade, init
from flask_dualmigrate.backups import BackupStore, layout
from flask_dualmigrate.mongo.backup import dump
from tests.integration.conftest import MakeApp, Tree
from tests.support.backup_runs import documents, manifest_of, metadata, rows_of, run
from tests.support.mongo.members import standalone

Db = Database[Any]
ODD = ["a/b c%ü", "é" * 80, "x.y-z_~", "con\nnl"]


def seed(db: Db) -> None:
    """Make one of each sort of collection."""
    db.create_collection(
        "plain",
        validator={"n": {"$gte": -5}},
        collation={"locale": "de", "strength": 2},
    )
    db.plain.insert_many(
        [
            RawBSONDocument(bson.encode({"_id": 1, "n": 1})),
            {"_id": "1", "n": 1.0, "at": datetime(2020, 1, 1, tzinfo=UTC)},
            {"_id": ObjectId(), "n": bson.Int64(1), "d": bson.Decimal128("1.10")},
            {"_id": None, "n": 2, "r": bson.Regex("a", "i"), "x": bson.MinKey()},
            # No dict could hold that: one field twice.
            RawBSONDocument(_twice()),
        ]
    )
    db.plain.create_index([("n", 1), ("at", -1)], name="two", sparse=True)
    db.plain.create_index(
        "d", partialFilterExpression={"d": {"$type": "decimal"}}, unique=True
    )
    db.plain.create_index("t", expireAfterSeconds=3600)
    db.create_collection("small", capped=True, size=4096, max=10)
    db.small.insert_one({"_id": 1})
    db.create_collection("seen", viewOn="plain", pipeline=[{"$match": {"n": 1}}])
    db.create_collection("series", timeseries={"timeField": "at", "metaField": "m"})
    at = datetime(2020, 1, 1, tzinfo=UTC)
    db.series.insert_many([{"at": at, "m": n, "v": n} for n in range(3)])
    db.series.create_index([("m", 1), ("at", 1)])
    for name in ODD:
        db[name].insert_one({"_id": name})
    db.large.insert_many([{"_id": n, "x": "x" * 15_000_000} for n in range(3)])


def _twice() -> bytes:
    one = bson.encode({"n": 1, "m": 2})
    return one.replace(b"m\0", b"n\0").replace(b"\x10n\0", b"\x10n\0", 1)


def restore(folder: Path, db: Db) -> None:
    """Do what mongorestore --gzip does with a folder, by its file names alone."""
    for path in sorted(folder.glob("*.metadata.json.gz")):
        facts = json_util.loads(gzip.decompress(path.read_bytes()))
        name = facts["collectionName"]
        db.command({"create": name, **facts["options"]})
        stem = path.name.removesuffix(".metadata.json.gz")
        data = path.with_name(f"{stem}.bson.gz")
        buckets = path.with_name(f"{layout.BUCKETS}{stem}.bson.gz")
        into = name
        if facts["type"] == "timeseries":
            data, into = buckets, f"{layout.BUCKETS}{name}"
        if data.exists():
            found = bson.decode_all(
                gzip.decompress(data.read_bytes()),
                bson.CodecOptions(document_class=RawBSONDocument),
            )
            for document in found:  # one by one: a batch may be too large
                db[into].insert_one(document)
        if facts["indexes"]:
            keep = [i for i in facts["indexes"] if i["name"] != "_id_"]
            if keep:
                db.command({"createIndexes": name, "indexes": keep})


def image(db: Db) -> Any:
    """Return the server's checksum of each collection, the options and indexes."""
    infos = {
        info["name"]: (info["type"], info["options"])
        for info in db.list_collections()
        if not info["name"].startswith(("system.", "_migrations"))
    }
    sums = db.command("dbHash")["collections"]
    return (
        infos,
        {name: sums.get(name) for name in infos},
        sums.get("system.buckets.series"),
        {
            name: sorted(str(dict(i)) for i in db[name].list_indexes())
            for name, (kind, _) in infos.items()
            if kind != "view"
        },
    )


def test_a_restored_database_is_the_same_byte_for_byte(
    shop: Flask, mongo_db: Db, backups: BackupStore
) -> None:
    seed(mongo_db)
    made = backup_create(backend="mongo").backup
    folder = backups.root / made.name / "mongo" / mongo_db.name
    other = mongo_db.client[f"{mongo_db.name}_other"]
    try:
        restore(folder, other)
        assert image(other) == image(mongo_db)
        assert list(other["seen"].find()) == list(mongo_db["seen"].find())
        assert list(other["series"].find({}, {"_id": 0})) == list(
            mongo_db["series"].find({}, {"_id": 0})
        )
    finally:
        mongo_db.client.drop_database(other)


def test_the_metadata_is_what_mongodump_writes(
    shop: Flask, mongo_db: Db, backups: BackupStore
) -> None:
    seed(mongo_db)
    made = backup_create(backend="mongo").backup
    found = metadata(backups, made.name, mongo_db.name, "small")
    (info,) = mongo_db.list_collections(filter={"name": "small"})
    assert found == {
        "options": {"capped": True, "size": 4096, "max": 10},
        "indexes": [{"v": 2, "key": {"_id": 1}, "name": "_id_"}],
        "uuid": bytes(info["info"]["uuid"]).hex(),
        "collectionName": "small",
        "type": "collection",
    }


def test_the_lock_and_what_is_the_servers_own_are_not_in_it(
    shop: Flask, mongo_db: Db, backups: BackupStore
) -> None:
    seed(mongo_db)
    made = backup_create(backend="mongo").backup
    names = {
        path.name for path in (backups.root / made.name).rglob("*.metadata.json.gz")
    }
    assert "_migrations.metadata.json.gz" in names
    assert not [n for n in names if n.startswith(("system.", "_migrations_lock"))]


TOUCHES = [
    ('op.drop_field("item", "note")', "item"),
    ('op.rename_collection("item", "good")', "item"),
    ('op.drop_collection("other")', "other"),
    ('op.create_index("item", [("n", 1)], name="ix")', "item"),
    ('op.insert("item", [{"_id": 99}])', "item"),
    ('op.create_collection("fresh")', None),
    ('op.add_field("nothing", "x", default=1)', None),
    ("op.run(print, idempotent=True)", "all"),
]


@pytest.mark.parametrize(("script", "touched"), TOUCHES, ids=[t[0] for t in TOUCHES])
def test_a_plan_touches_these_collections(
    script: str,
    touched: str | None,
    shop_tree: Tree,
    filled: None,
    mongo_db: Db,
    backups: BackupStore,
) -> None:
    mongo_db.other.insert_one({"_id": 1})
    shop_tree.add("r2", mongo=script)
    name = run(backend="mongo").backup
    if touched is None:
        assert name is None
        return
    manifest = manifest_of(backups, name)
    assert manifest.mongo is not None
    if touched == "all":
        assert manifest.mongo.collections is None
        assert documents(backups, manifest.name, mongo_db.name, "other")
        return
    assert [
        c.name
        for c in manifest.mongo.collections or ()
        if c.existed and not c.name.startswith("_")
    ] == [touched]


def test_a_downgrade_backs_up_the_asides_that_it_takes_from(
    shop_tree: Tree, filled: None, mongo_db: Db, backups: BackupStore
) -> None:
    mongo_db.item.update_many({}, {"$set": {"note": 1}})
    shop_tree.add(
        "r2",
        mongo='op.drop_field("item", "note")',
        mongo_down='op.add_field("item", "note")',
    )
    run()
    (aside,) = mongo_db.list_collection_names(filter={"name": {"$regex": "^_aside_r2"}})
    manifest = manifest_of(backups, run(downgrade).backup)
    assert manifest.mongo is not None
    counts = {c.name: c.documents for c in manifest.mongo.collections or ()}
    assert counts[aside] == 7
    assert "_aside_catalog" in counts


def test_both_databases_are_backed_up_at_one_moment_each_while_others_write(
    shop: Flask, mongo_db: Db, engine: sa.Engine, backups: BackupStore
) -> None:
    with engine.begin() as connection:
        for name in ("left", "right"):
            connection.exec_driver_sql(
                f'CREATE TABLE "{name}" AS SELECT n AS id, 100 AS amount '
                "FROM generate_series(1, 20000) n"
            )
    for name in ("left", "right"):
        mongo_db[name].insert_many([{"_id": n, "amount": 100} for n in range(20000)])
    stop, moved = threading.Event(), count()

    def move_rows() -> None:
        while not stop.is_set():
            with engine.begin() as connection:
                connection.exec_driver_sql('UPDATE "left" SET amount = amount - 1')
                connection.exec_driver_sql('UPDATE "right" SET amount = amount + 1')
            next(moved)

    def move_documents() -> None:
        with MongoClient[Any](_url(mongo_db)) as client:
            db = client[mongo_db.name]
            n = 0
            while not stop.is_set():
                n += 7919
                one = {"_id": {"$in": [n % 20000, (n + 5000) % 20000]}}
                with client.start_session() as session, session.start_transaction():
                    db.left.update_many(one, {"$inc": {"amount": -1}}, session=session)
                    db.right.update_many(one, {"$inc": {"amount": 1}}, session=session)
                next(moved)

    threads = [
        threading.Thread(target=each, daemon=True)
        for each in (move_rows, move_documents)
    ]
    for thread in threads:
        thread.start()
    try:
        name = backup_create().backup.name
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert next(moved) > 2
    total = sum(
        document["amount"]
        for side in ("left", "right")
        for document in documents(backups, name, mongo_db.name, side)
    )
    assert total == 2 * 20000 * 100
    lines = rows_of(backups, name, "--data-only", "--table=left", "--table=right")
    amounts = [
        int(line.split("\t")[1])
        for line in lines.splitlines()
        if line.count("\t") == 1 and line[0].isdigit()
    ]
    assert len(amounts) == 40000
    assert sum(amounts) == 2 * 20000 * 100


def _url(db: Db) -> str:
    host, port = db.client.address or ("", 0)
    return f"mongodb://{host}:{port}/?directConnection=true"


@pytest.fixture(scope="module")
def alone_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="dualmigrate-"))
    with standalone(folder) as url:
        yield url
    shutil.rmtree(folder)


def test_a_standalone_server_is_backed_up_without_a_snapshot(
    alone_url: str, make_app: MakeApp, backups: BackupStore
) -> None:
    url = f"{alone_url.rstrip('/')}/alone" if alone_url.count("/") < 3 else alone_url
    config = {
        "DUALMIGRATE_BACKUP": "touched",
        "DUALMIGRATE_BACKUP_DIR": str(backups.root),
    }
    app = make_app(active="mongo", urls={"mongo": url}, config=config)
    with app.app_context():
        init()
        made = backup_create().backup
    manifest = manifest_of(backups, made.name)
    assert manifest.mongo is not None
    assert manifest.mongo.cluster_time is None


def test_a_snapshot_has_the_cluster_time_of_its_moment(
    shop: Flask, filled: None, backups: BackupStore
) -> None:
    manifest = manifest_of(backups, backup_create().backup.name)
    assert manifest.mongo is not None
    assert manifest.mongo.cluster_time is not None
    assert manifest.mongo.cluster_time[0] > 1_600_000_000


@pytest.mark.parametrize(
    ("rows", "wide"),
    [
        (10, 10),
        (20_000, 100),
        pytest.param(1_000_000, 200, marks=pytest.mark.large),
    ],
    ids=["small", "medium", "large"],
)
def test_a_backup_is_whole_at_each_size(
    rows: int,
    wide: int,
    shop_tree: Tree,
    engine: sa.Engine,
    mongo_db: Db,
    backups: BackupStore,
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO items SELECT n, repeat('x', {wide}) "
            f"FROM generate_series(1, {rows}) n"
        )
    for start in range(0, rows, 50_000):
        numbers = range(start, min(rows, start + 50_000))
        mongo_db.item.insert_many([{"_id": n, "x": "x" * wide} for n in numbers])
    shop_tree.add(
        "r2",
        postgres='op.create_index("ix", "items", ["name"])',
        mongo='op.create_index("item", [("x", 1)], name="ix")',
    )
    manifest = manifest_of(backups, run().backup)
    assert manifest.postgres is not None
    assert manifest.mongo is not None
    tables = {t.name: t.rows for t in manifest.postgres.tables or ()}
    found = {c.name: c.documents for c in manifest.mongo.collections or ()}
    assert (tables["items"], found["item"]) == (rows, rows)


def test_a_past_that_the_server_keeps_no_more_is_told() -> None:
    told = dump._of_snapshot(OperationFailure("too old", 239))
    assert "minSnapshotHistoryWindowInSeconds" in str(told)
