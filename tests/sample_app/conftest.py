"""The sample app on a database of either kind: at head, and empty for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg import sql
from pymongo import MongoClient
from sqlalchemy import delete, make_url

from sample_app import create_app, db, mongo
from sample_app.config import COLLECTIONS
from sample_app.entities import Item, ItemType, Location, User
from sample_app.repositories import Repositories

# Port 1 answers nobody: whoever connects there fails, at once or after a long wait.
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
    "MONGO_URI": "mongodb://127.0.0.1:1/nowhere",
}

MakeApp = Callable[..., Flask]


@pytest.fixture(scope="session")
def shared_postgres_url(
    postgres_server_url: str, postgres_server: psycopg.Connection
) -> Iterator[str]:
    """The URL of a database for all tests of the session."""
    name = f"sample_app_{uuid4().hex}"
    database = sql.Identifier(name)
    postgres_server.execute(sql.SQL("CREATE DATABASE {}").format(database))
    url = make_url(postgres_server_url).set(database=name)
    yield url.render_as_string(hide_password=False)
    postgres_server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@pytest.fixture(scope="session")
def shared_mongo_url(
    mongo_server_uri: str, mongo_server: MongoClient[dict[str, Any]]
) -> Iterator[str]:
    """The URI of a database for all tests of the session."""
    name = f"sample_app_{uuid4().hex}"
    yield urlsplit(mongo_server_uri)._replace(path=f"/{name}").geturl()
    mongo_server.drop_database(name)


@pytest.fixture(scope="session", params=["postgres", "mongo"])
def migrated(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The app on a database at head, which all tests of the session share."""
    with app_maker() as make:
        if request.param == "postgres":
            url = request.getfixturevalue("shared_postgres_url")
            yield make("postgres", DATABASE_URL=url)
        else:
            url = request.getfixturevalue("shared_mongo_url")
            yield make("mongo", MONGO_URI=url)


@pytest.fixture
def app(migrated: Flask) -> Iterator[Flask]:
    """The app, nothing in its database yet; the other database is nowhere."""
    with migrated.app_context():
        clear(migrated)
        yield migrated


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """A function (db_type, **urls) that makes the app as a process would."""
    with app_maker() as make:
        yield make


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody who sends requests to the app."""
    return app.test_client()


@pytest.fixture
def stored(app: Flask) -> Repositories:
    """The app's repositories, nothing in them yet."""
    repositories = app.extensions["sample_app"]
    assert isinstance(repositories, Repositories)
    return repositories


@pytest.fixture
def ada(stored: Repositories) -> User:
    """A user."""
    user = User("Ada", "ada@example.org")
    stored.catalog.add_user(user)
    return user


@pytest.fixture
def tool(stored: Repositories) -> ItemType:
    """A type of items."""
    item_type = ItemType("Tool")
    stored.catalog.add_type(item_type)
    return item_type


@pytest.fixture
def shelf(stored: Repositories) -> Location:
    """A place where nothing is yet."""
    location = Location("2", "214", "shelf 3")
    stored.catalog.add_location(location)
    return location


@pytest.fixture
def hammer(stored: Repositories, tool: ItemType) -> Item:
    """An item with a serial number, nowhere yet."""
    item = Item("Hammer", tool.id, serial_number="H-1")
    stored.items.add(item)
    return item


@pytest.fixture
def saw(stored: Repositories, tool: ItemType, hammer: Item) -> Item:
    """An item added after the hammer, without a serial number."""
    item = Item("Saw", tool.id)
    stored.items.add(item)
    return item


@contextmanager
def app_maker() -> Iterator[MakeApp]:
    """Give a function that makes the app in an environment; close what it made."""
    made: list[tuple[Flask, MongoClient[dict[str, Any]] | None]] = []

    def make(db_type: str, *, auto_upgrade: bool = True, **urls: str) -> Flask:
        mongo.cx = mongo.db = None
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**NOWHERE, **urls, "DB_TYPE": db_type}.items():
                environment.setenv(name, value)
            app = create_app(auto_upgrade=auto_upgrade)
            made.append((app, mongo.cx))
        return app

    yield make
    for app, client in made:
        if "sqlalchemy" in app.extensions:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
        if client is not None:
            client.close()


def clear(app: Flask) -> None:
    """Delete all that tests have stored; what the migrations keep stays."""
    tables = db.metadatas[None].tables
    if "sqlalchemy" in app.extensions:
        for table in reversed(db.metadatas[None].sorted_tables):
            db.session.execute(delete(table))
        db.session.commit()
        return
    with MongoClient[dict[str, Any]](app.config["MONGO_URI"]) as client:
        for name in tables:
            collection = COLLECTIONS.get(name, name)
            client.get_default_database()[collection].delete_many({})
