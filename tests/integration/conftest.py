"""An app of two databases, and a tree whose scripts a test writes itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import DualMigrate, init, upgrade
from flask_dualmigrate.backups import BackupStore
from tests.support.bad_servers import live_fixture, mongo_fixture, postgres_fixture
from tests.support.trees import Tree

__all__ = ["NOWHERE", "SEEDED", "MakeApp", "MakeModels", "Tree"]
__all__ += ["live_fixture", "mongo_fixture", "postgres_fixture"]  # once for a session

# Beanie wants a newer PyMongo than we do: where ours is the oldest, there is none.
collect_ignore = (
    []
    if importlib.util.find_spec("beanie")
    else ["mongo/indexes/test_beanie_indexes.py"]
)

MakeApp = Callable[..., Flask]
MakeModels = Callable[..., Flask]
NOWHERE = "mongodb://127.0.0.1:9/nowhere?serverSelectionTimeoutMS=30000"


@pytest.fixture
def make_app(postgres_url: str, mongo_url: str, tmp_path: Path) -> Iterator[MakeApp]:
    """Return a function that makes an app; its engines and clients are closed."""
    made: list[tuple[Flask, SQLAlchemy | None, PyMongo]] = []

    def make(
        *,
        db: SQLAlchemy | None = None,
        active: str = "both",
        urls: dict[str, str] | None = None,
        config: dict[str, Any] | None = None,
        mongo_options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Flask:
        app = Flask("an_app", root_path=str(tmp_path))
        urls = {"postgres": postgres_url, "mongo": mongo_url, **(urls or {})}
        app.config["DUALMIGRATE_BACKUP"] = "never"
        app.config.update(config or {})
        app.config["SQLALCHEMY_DATABASE_URI"] = urls["postgres"]
        app.config["MONGO_URI"] = urls["mongo"]
        db, mongo = db or SQLAlchemy(), PyMongo()
        made.append((app, db, mongo))
        if "sqlalchemy" not in app.extensions:
            db.init_app(app)
        mongo.init_app(app, **mongo_options or {})
        settings.setdefault("directory", str(tmp_path / "migrations"))
        DualMigrate(app, db, mongo, active=active, **settings)
        return app

    yield make
    for app, db, mongo in made:
        with app.app_context():
            if db is not None:
                for engine in db.engines.values():
                    engine.dispose()
        assert mongo.cx is not None
        mongo.cx.close()


@pytest.fixture
def app(make_app: MakeApp) -> Iterator[Flask]:
    """An app on both databases, its context pushed, its tree made and empty."""
    app = make_app()
    with app.app_context():
        init()
        yield app


@pytest.fixture
def tree(app: Flask, tmp_path: Path) -> Tree:
    """The tree of `app`; `init()` lists in revisions.lock what was added."""
    return Tree(tmp_path / "migrations")


@pytest.fixture
def two(make_app: MakeApp, tmp_path: Path) -> Tree:
    """A tree of two revisions, not applied."""
    with make_app().app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1", postgres='op.create_table("t", sa.Column("a", sa.Integer))')
        tree.add("r2", mongo='op.create_collection("c")')
        init()
    return tree


@pytest.fixture
def engine(postgres_url: str) -> Iterator[sa.Engine]:
    """An engine of the test's own, to look at what was done."""
    engine = sa.create_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def mongo_db(
    mongo_url: str, mongo_server: MongoClient[dict[str, Any]]
) -> Database[dict[str, Any]]:
    """A database of the test's own, to look at what was done.

    The client is the session's: to make one takes as long as a small test.
    """
    return mongo_server.get_database(urlsplit(mongo_url).path.removeprefix("/"))


@pytest.fixture
def numbers(tree: Tree, mongo_db: Database[Any]) -> Tree:
    """One revision applied, and 2,500 documents with `n` = 0."""
    tree.add("r1", mongo='op.create_collection("numbers")')
    init()
    upgrade()
    mongo_db.numbers.insert_many([{"_id": i, "n": 0} for i in range(2500)])
    return tree


@pytest.fixture
def with_models(make_app: MakeApp) -> Iterator[MakeModels]:
    """Return a function that pushes an app on MongoDB whose items have some indexes."""
    contexts = []

    def make(*arguments: Any, documents: Any = (), **settings: Any) -> Flask:
        db = SQLAlchemy()
        columns = ("a", "b", "t")
        sa.Table(
            "items",
            db.metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            *(sa.Column(name, sa.Text, nullable=False) for name in columns),
            *arguments,
        )
        app = make_app(
            db=db,
            active="mongo",
            collections={"items": "item"},
            documents=documents,
            **settings,
        )
        contexts.append(app.app_context())
        contexts[-1].push()
        init()
        return app

    yield make
    for context in reversed(contexts):
        context.pop()


SEEDED = """
op.create_table("items", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.Text))
op.create_table("logs", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture
def backups(tmp_path: Path) -> BackupStore:
    """Where the runs of `shop` put their backups."""
    return BackupStore(tmp_path / "backups")


@pytest.fixture
def shop(make_app: MakeApp, tmp_path: Path, backups: BackupStore) -> Iterator[Flask]:
    """An app that backs up; r1 is applied, and its tables are empty."""
    app = make_app(
        config={
            "DUALMIGRATE_BACKUP": "touched",
            "DUALMIGRATE_BACKUP_DIR": str(backups.root),
        }
    )
    with app.app_context():
        init()
        Tree(tmp_path / "migrations").add(
            "r1", postgres=SEEDED, mongo='op.create_collection("item")'
        )
        init()
        upgrade()
        yield app


@pytest.fixture
def shop_tree(shop: Flask, tmp_path: Path) -> Tree:
    """The tree of `shop`, for its next revisions."""
    tree = Tree(tmp_path / "migrations")
    tree.ids.append("r1")
    return tree


@pytest.fixture
def filled(shop: Flask, engine: sa.Engine, mongo_db: Database[Any]) -> None:
    """Nine rows in items, and seven documents in item."""
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO items SELECT n, 'n' || n FROM generate_series(1, 9) n")
        )
    mongo_db.item.insert_many([{"_id": n, "name": f"n{n}"} for n in range(7)])
    mongo_db.item.create_index("name", unique=True)
