"""Both databases as one thing: put back in no time, and compared in whole."""

from __future__ import annotations

import dataclasses
from typing import Any

import psycopg
import sqlalchemy as sa
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from psycopg import sql
from pymongo import MongoClient
from pymongo.database import Database
from sqlalchemy import make_url

from flask_dualmigrate.mongo.lock.lock import MongoLock
from tests.support.snapshots import mongo_snapshot, postgres_snapshot

_OF_A_RUN = ("created_at", "purged_at", "purged_by")
_RAW = CodecOptions(document_class=RawBSONDocument)


@dataclasses.dataclass(frozen=True)
class Content:
    """What a collection is made of, to be made again."""

    options: dict[str, Any]
    indexes: list[dict[str, Any]]
    documents: list[RawBSONDocument]


class World:
    """The two databases of one test."""

    def __init__(
        self, server: psycopg.Connection, postgres_url: str, mongo_url: str
    ) -> None:
        self.postgres_url, self.mongo_url = postgres_url, mongo_url
        self._server = server
        self._name = make_url(postgres_url).database or ""
        self.engine = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
        self._client: MongoClient[dict[str, Any]] = MongoClient(mongo_url)
        self.mongo: Database[dict[str, Any]] = self._client.get_default_database()
        self._kept: dict[str, Content] = {}

    def close(self) -> None:
        self._drop(f"{self._name}_kept")
        self._client.close()

    def keep(self) -> None:
        """Remember the databases as they are; `put_back` goes by that."""
        self._drop(f"{self._name}_kept")
        self._copy(self._name, f"{self._name}_kept")
        self._kept = _contents(self.mongo)

    def put_back(self) -> None:
        self._drop(self._name)
        self._copy(f"{self._name}_kept", self._name)
        there = _contents(self.mongo)
        for name in there.keys() - self._kept.keys():
            self.mongo.drop_collection(name)
        for name, content in self._kept.items():
            if there.get(name) != content:
                _put(self.mongo, name, content)

    def has_changed(self, collection: str, _id: str) -> bool:
        """Return whether a document is not as it was kept."""
        kept = {doc["_id"]: doc for doc in self._kept[collection].documents}
        found = self.mongo.get_collection(collection, codec_options=_RAW)
        return found.find_one({"_id": _id}) != kept[_id]

    def holds(self) -> dict[str, Any]:
        """Return all that two runs with the same result have in common."""
        return {
            "mongo": mongo_snapshot(self.mongo),
            "postgres": postgres_snapshot(self.engine),
            "asides": _asides(self.mongo),
            "journals": self._journals(),
        }

    def _journals(self) -> dict[str, Any]:
        mongo, entries = self.mongo, self.mongo["_migrations"].find()
        with self.engine.connect() as connection:
            versions, rows = _rows(connection)
        return {
            "versions": versions,
            "postgres": rows,
            "mongo": {entry["_id"]: _essence(entry) for entry in entries.sort("_id")},
            "steps": [str(doc["_id"]) for doc in mongo["_migrations_steps"].find()],
            "touched": mongo["_migrations_touched"].count_documents({}),
            "held": MongoLock(mongo, lease_s=1.0).is_held(),
            "names": sorted(
                name for name in mongo.list_collection_names() if name.startswith("_")
            ),
        }

    def _copy(self, name: str, to: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        identifiers = sql.Identifier(to), sql.Identifier(name)
        self._server.execute(statement.format(*identifiers))

    def _drop(self, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._server.execute(statement.format(sql.Identifier(name)))


def first_difference(
    left: dict[str, Any], right: dict[str, Any], place: str = ""
) -> str | None:
    """Say where two results of `holds` differ, None if they do not."""
    for key in sorted({*left, *right}, key=str):
        one, other, where = left.get(key), right.get(key), f"{place}/{key}"
        if isinstance(one, dict) and isinstance(other, dict):
            found = first_difference(one, other, where)
            if found:
                return found
        elif one != other:
            return f"{where}: {one!r} is not {other!r}"
    return None


def _contents(db: Database[Any]) -> dict[str, Content]:
    return {
        info["name"]: Content(
            info["options"],
            sorted(
                (dict(spec) for spec in db[info["name"]].list_indexes()),
                key=lambda spec: str(spec["name"]),
            ),
            list(db.get_collection(info["name"], codec_options=_RAW).find()),
        )
        for info in db.list_collections()
    }


def _put(db: Database[Any], name: str, content: Content) -> None:
    db.drop_collection(name)
    db.create_collection(name, **content.options)
    specs = [spec for spec in content.indexes if spec["name"] != "_id_"]
    if specs:
        db.command({"createIndexes": name, "indexes": specs})
    if content.documents:
        db.get_collection(name, codec_options=_RAW).insert_many(content.documents)


def _asides(db: Database[Any]) -> dict[str, Any]:
    """Return what is kept aside, and the catalog of it without its times."""
    names = db.list_collection_names(filter={"name": {"$regex": "^_aside_"}})
    found: dict[str, Any] = {
        name: sorted(map(str, db[name].find()))
        for name in names
        if name != "_aside_catalog"
    }
    for entry in db["_aside_catalog"].find():
        found[f"catalog {entry['_id']}"] = {
            key: value for key, value in entry.items() if key not in _OF_A_RUN
        }
    return found


def _essence(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry of `_migrations` says, without who, where and when.

    An attempt that ended well is in its history once, whatever went before it.
    """
    names = ("status", "direction", "awaits_partner", "partial", "checksum", "stamped")
    done = [
        (attempt["direction"], attempt["status"])
        for attempt in entry.get("history", ())
        if attempt["status"] in ("applied", "rolled_back") and not attempt["error"]
    ]
    return {name: entry.get(name) for name in names} | {"history": done}


def _rows(connection: sa.Connection) -> tuple[list[Any], list[Any]]:
    """Return the version rows, and the attempts that went well."""
    found = connection.exec_driver_sql("SELECT to_regclass('alembic_version')")
    if found.scalar() is None:
        return [], []
    versions = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    rows = connection.exec_driver_sql(
        "SELECT revision, direction, status FROM dualmigrate_journal"
        " WHERE status <> 'failed' ORDER BY id"
    )
    return list(map(tuple, versions)), list(map(tuple, rows))
