"""The history of the sample app: each revision there and back, data in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from bson import ObjectId
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import check, downgrade, lint, status, upgrade
from flask_dualmigrate.results import PlanResult
from flask_dualmigrate.revisions import BackendName
from sample_app import db
from sample_app.config import FIELDS, MIGRATIONS
from sample_app.repositories import Repositories
from sample_app.repositories.mongo.documents import CODEC_OPTIONS
from tests.support.snapshots import mongo_snapshot, postgres_snapshot

from . import seeds
from .conftest import MakeApp
from .seeds import Values

Indexes = dict[tuple[str, str], tuple[list[tuple[str, int]], bool]]


def revisions() -> list[tuple[str, str]]:
    """Return the id and the slug of each revision, the first one first."""
    lines = (MIGRATIONS / "revisions.lock").read_text(encoding="utf-8").splitlines()
    listed = [line.split() for line in lines if not line.startswith("#")]
    following = {parent: (id, file_name) for id, parent, file_name in listed}
    found, parent = [], "-"
    while parent in following:
        parent, file_name = following[parent]
        slug = file_name.removesuffix(".py").partition(f"{parent}_")[2]
        found.append((parent, slug))
    assert len(found) == len(listed)
    return found


REVISIONS = revisions()
BASE, HEAD = 0, len(REVISIONS)
POSITIONS = [
    pytest.param(position, id=slug)
    for position, (_, slug) in enumerate(REVISIONS, start=1)
]


class History:
    """Both databases of an app, at any position of its history."""

    def __init__(self, engine: sa.Engine, mongo_db: Database[Values]) -> None:
        self.engine = engine
        self.mongo_db = mongo_db

    def up_to(self, position: int) -> None:
        if position > BASE:
            upgrade(revision=REVISIONS[position - 1][0])

    def down_to(self, position: int) -> None:
        downgrade(revision=REVISIONS[position - 1][0] if position > BASE else "base")

    def seed(self, position: int) -> None:
        """Store what the app had stored there; nothing, before the first revision."""
        if position > BASE:
            seeds.seed_postgres(self.engine, position)
            seeds.seed_mongo(self.mongo_db, position)

    def rows(self) -> dict[str, list[Values]]:
        """Return table -> rows, of the tables in which there are some."""
        metadata = sa.MetaData()
        metadata.reflect(self.engine)
        with self.engine.connect() as connection:
            return {
                table.name: in_order(dict(row) for row in found)
                for table in metadata.sorted_tables
                if not table.name.startswith(("alembic_", "dualmigrate_"))
                and (found := connection.execute(table.select()).mappings().all())
            }

    def documents(self) -> dict[str, list[Values]]:
        """Return collection -> documents, of the collections in which there are some.

        An `_id` that MongoDB has given is left out.
        """
        return {
            name: in_order(without_object_id(document) for document in found)
            for name in mongo_snapshot(self.mongo_db)
            if (found := list(self.mongo_db.get_collection(name, CODEC_OPTIONS).find()))
        }

    def snapshot(self) -> dict[str, Any]:
        """Return all that is in both databases."""
        return {
            "postgres": postgres_snapshot(self.engine),
            "mongo": mongo_snapshot(self.mongo_db),
        }


@pytest.fixture
def history_app(
    make_app: MakeApp,
    postgres_url: str,
    mongo_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Flask]:
    """The app on two empty databases, nothing applied."""
    urls = {"DATABASE_URL": postgres_url, "MONGO_URI": mongo_url}
    app = make_app("both", auto_upgrade=False, **urls)
    monkeypatch.setenv("DB_TYPE", "both")
    with app.app_context():
        yield app


@pytest.fixture
def history(history_app: Flask, mongo_url: str) -> Iterator[History]:
    """Where the history begins: nothing applied, nothing stored."""
    with MongoClient[Values](mongo_url) as client:
        yield History(db.engine, client.get_default_database())


@pytest.mark.parametrize("position", POSITIONS)
def test_up_down_and_up_again_gives_the_same_on_both_sides(
    history: History, position: int
) -> None:
    history.up_to(position - 1)
    history.seed(position - 1)
    before = history.snapshot()
    history.up_to(position)
    after = history.snapshot()

    history.down_to(position - 1)
    assert history.snapshot() == before
    history.up_to(position)
    assert history.snapshot() == after


@pytest.mark.parametrize("position", POSITIONS)
def test_what_the_app_stored_at_a_revision_comes_back_to_it_after_an_upgrade(
    history: History, position: int
) -> None:
    history.up_to(position)
    history.seed(position)
    before = history.snapshot()
    history.up_to(HEAD)

    history.down_to(position)
    assert history.snapshot() == before


@pytest.mark.parametrize("position", POSITIONS)
def test_what_is_stored_after_a_revision_is_taken_down_to_what_was_before_it(
    history: History, position: int
) -> None:
    history.up_to(position)
    history.seed(position)

    history.down_to(position - 1)

    before = position - 1
    rows = seeds.rows_at(before) if before > BASE else {}
    documents = seeds.documents_at(before) if before > BASE else {}
    assert history.rows() == {name: in_order(rows[name]) for name in rows}
    assert history.documents() == {
        name: in_order(documents[name]) for name in documents
    }


@pytest.mark.parametrize("position", POSITIONS)
def test_what_was_stored_at_a_revision_reads_alike_from_both_databases_at_head(
    history: History,
    make_app: MakeApp,
    postgres_url: str,
    mongo_url: str,
    position: int,
) -> None:
    history.up_to(position)
    history.seed(position)
    history.up_to(HEAD)

    on_postgres = contents(make_app("postgres", DATABASE_URL=postgres_url))
    on_mongo = contents(make_app("mongo", MONGO_URI=mongo_url))
    assert on_postgres == on_mongo
    items = sorted(seeds.items_from(position), key=lambda item: item.id)
    assert on_postgres["items"] == list(map(repr, items))


def test_all_items_are_found_by_their_text_at_head(
    history: History, make_app: MakeApp, postgres_url: str, mongo_url: str
) -> None:
    history.up_to(1)
    history.seed(1)
    history.up_to(HEAD)

    texts = {item.id: item.search_text for item in seeds.ITEMS}
    rows = db.session.execute(sa.text("SELECT id, search_text FROM items"))
    documents = history.mongo_db["item"].find()
    assert {row.id: row.search_text for row in rows} == texts
    assert {item["_id"]: item["search_text"] for item in documents} == texts


def test_a_dry_run_tells_of_the_backfill_what_it_can_without_rows(
    history: History,
) -> None:
    plan = upgrade(dry_run=True)

    assert isinstance(plan, PlanResult)
    assert [planned.revision for planned in plan.revisions] == [
        id for id, _ in REVISIONS
    ]
    sides = {side.backend: side.lines for side in plan.revisions[-1].sides}
    first, *_, last = sides[BackendName.POSTGRES]
    assert first.startswith("ALTER TABLE items ADD COLUMN search_text")
    assert last.startswith("-- the rest cannot be shown without a connection")
    assert sides[BackendName.MONGO] == ("transform item with add_search_text()",)
    assert history.snapshot() == {"postgres": {}, "mongo": {}}


def test_the_models_equal_the_migrated_database(history: History) -> None:
    history.up_to(HEAD)

    assert check().findings == ()


def test_each_index_has_its_counterpart_on_the_other_side(history: History) -> None:
    history.up_to(HEAD)

    assert mongo_indexes(history.mongo_db) == postgres_indexes(history.engine)


def test_each_table_has_its_collection(history: History) -> None:
    history.up_to(HEAD)

    tables = postgres_snapshot(history.engine)
    assert set(mongo_snapshot(history.mongo_db)) == set(
        map(seeds.collection_of, tables)
    )


def test_down_to_base_leaves_nothing_of_the_app(history: History) -> None:
    history.up_to(HEAD)
    history.seed(HEAD)

    history.down_to(BASE)

    assert history.snapshot() == {"postgres": {}, "mongo": {}}
    assert status().pending == HEAD


def in_order(found: Iterable[Values]) -> list[Values]:
    """Return rows or documents sorted by what identifies them."""
    names = ("id", "_id", "user_id", "item_id")
    return sorted(found, key=lambda values: [str(values.get(name)) for name in names])


def without_object_id(document: Values) -> Values:
    """Return a document without the `_id` that the app has not given."""
    given = not isinstance(document["_id"], ObjectId)
    return {name: document[name] for name in document if given or name != "_id"}


def contents(app: Flask) -> dict[str, list[str]]:
    """Return all that the app reads, as texts: 1.5 and 1.50 are not alike."""
    stored = app.extensions["sample_app"]
    assert isinstance(stored, Repositories)
    with app.app_context():
        found: dict[str, list[Any]] = {
            "users": stored.catalog.users(),
            "types": stored.catalog.types(),
            "locations": stored.catalog.locations(),
            "items": sorted(stored.items.find().entries, key=lambda item: item.id),
            "logs": stored.logs.find().entries,
        }
        for user in found["users"]:
            found[f"favorites of {user.id}"] = stored.links.favorites(user.id)
        for item in found["items"]:
            found[f"movements of {item.id}"] = stored.items.movements(item.id)
            found[f"related to {item.id}"] = stored.links.related(item.id)
    return {name: list(map(repr, entities)) for name, entities in found.items()}


def postgres_indexes(engine: sa.Engine) -> Indexes:
    """Return (collection, name) -> (keys, unique) as they should be in MongoDB.

    A primary key that is the `id` alone is `_id` there, with an index of its own kind.
    """
    inspector = sa.inspect(engine)
    found: Indexes = {}
    for table in postgres_snapshot(engine):
        collection = seeds.collection_of(table)
        for index in inspector.get_indexes(table):
            sorting = index.get("column_sorting", {})
            keys = [
                (
                    field_of(table, str(name)),
                    -1 if "desc" in sorting.get(str(name), ()) else 1,
                )
                for name in index["column_names"]
            ]
            found[collection, str(index["name"])] = (keys, bool(index["unique"]))
        primary = inspector.get_pk_constraint(table)
        if primary["constrained_columns"] != ["id"]:
            keys = [
                (field_of(table, name), 1) for name in primary["constrained_columns"]
            ]
            found[collection, str(primary["name"])] = (keys, True)
    return found


def mongo_indexes(mongo_db: Database[Values]) -> Indexes:
    """Return (collection, name) -> (keys, unique), without those of `_id`."""
    return {
        (collection, name): (index["key"], index.get("unique", False))
        for collection in mongo_snapshot(mongo_db)
        for name, index in mongo_db[collection].index_information().items()
        if name != "_id_"
    }


def field_of(table: str, column: str) -> str:
    """Return the name of a column's field."""
    return FIELDS.get(f"{table}.{column}", "_id" if column == "id" else column)


def test_lint_finds_nothing_that_a_comment_does_not_allow(history: History) -> None:
    assert lint().findings == ()
