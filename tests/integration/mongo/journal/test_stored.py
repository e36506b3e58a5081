"""Journals that an earlier version left when it was killed are still understood.

Each file in `stored` is a database as that version left it: what was run, the crash
point, and the collections. It wrote one record per step, each in a transaction of its
own, and a revision's records were removed before the next one began.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from flask_dualmigrate import DualMigrate, downgrade, init, upgrade

STORED = sorted((Path(__file__).parent / "stored").glob("*.json"))
REVISION = "a1b2c3d4e5f6"

_HEAD = f"""
revision = "{REVISION}"
down_revision = None
branch_labels = None
depends_on = None
"""
_SCRIPTS = {
    "mongo": '''"""count and name the items

Revision ID: a1b2c3d4e5f6
Revises:
"""

revision = "a1b2c3d4e5f6"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(op):
    op.create_index("item", [("n", 1)], name="ix_item_n")
    op.update("item", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})
    op.drop_field("item", "old")
    op.rename_collection("item", "items")


def downgrade(op):
    op.rename_collection("items", "item")
    op.add_field("item", "old")
    op.update("item", {}, {"$inc": {"n": -1}}, undo={"$inc": {"n": 1}})
    op.drop_index("item", "ix_item_n")
''',
    "postgres": _HEAD
    + "\n\ndef upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n",
}


@pytest.fixture
def app(mongo_url: str, tmp_path: Path) -> Iterator[Flask]:
    app, mongo = Flask("shop"), PyMongo()
    app.config["DUALMIGRATE_BACKUP"] = "never"
    mongo.init_app(app, mongo_url)
    DualMigrate(app, SQLAlchemy(), mongo, str(tmp_path / "m"), active="mongo")
    with app.app_context():
        init()
        for side, source in _SCRIPTS.items():
            path = tmp_path / "m" / side / "versions" / f"{REVISION}_count.py"
            path.write_text(source, encoding="utf-8")
        init()
        yield app
    assert mongo.cx is not None
    mongo.cx.close()


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def killed(request: pytest.FixtureRequest, mongo_db: Database[Any]) -> str:
    """Load a database as it was left; return what was killed: upgrade or downgrade."""
    stored = json_util.loads(request.param.read_text(encoding="utf-8"))
    for name, collection in stored["collections"].items():
        mongo_db.create_collection(name)
        if collection["documents"]:
            mongo_db[name].insert_many(collection["documents"])
        for index in collection["indexes"]:
            mongo_db.command("createIndexes", name, indexes=[index])
    # Its lease has ended; waiting for that takes 30 s.
    free = {"$set": {"owner": None, "expires_at": None}}
    mongo_db["_migrations_lock"].update_one({"_id": "lock"}, free)
    return str(stored["killed"])


def _items(db: Database[Any]) -> dict[str, Any]:
    """Return the app's collections: their documents and the names of their indexes."""
    return {
        name: (
            list(db[name].find(sort=[("_id", 1)])),
            sorted(db[name].index_information()),
        )
        for name in db.list_collection_names()
        if not name.startswith("_")
    }


BEFORE = {"item": ([{"_id": i, "n": i, "old": f"o{i}"} for i in range(5)], ["_id_"])}
AFTER = {
    "items": ([{"_id": i, "n": i + 1} for i in range(5)], ["_id_", "ix_item_n"]),
}


def _left(db: Database[Any]) -> int:
    """Return how many records of steps and of batches are left."""
    steps = db["_migrations_steps"].count_documents({"_id": {"$ne": "fence"}})
    return steps + db["_migrations_touched"].count_documents({})


def test_a_stored_journal_is_carried_on(
    app: Flask, mongo_db: Database[Any], killed: str
) -> None:
    if killed == "upgrade":
        upgrade()
        assert _items(mongo_db) == AFTER
    downgrade(revision="base")
    assert _items(mongo_db) == BEFORE
    assert _left(mongo_db) == 0
    upgrade()
    assert _items(mongo_db) == AFTER
    assert _left(mongo_db) == 0


def test_a_stored_journal_is_undone(
    app: Flask, mongo_db: Database[Any], killed: str
) -> None:
    was_up = killed == "upgrade"
    downgrade(revision="base") if was_up else upgrade()
    assert _items(mongo_db) == (BEFORE if was_up else AFTER)
    upgrade() if was_up else downgrade(revision="base")
    assert _items(mongo_db) == (AFTER if was_up else BEFORE)
    assert _left(mongo_db) == 0
