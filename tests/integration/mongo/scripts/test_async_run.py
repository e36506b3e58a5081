"""Async functions and Beanie documents in Mongo scripts, from `upgrade`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.monitoring import (
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyListener,
    TopologyOpenedEvent,
)

from flask_dualmigrate import DualMigrate, OperationError, init, upgrade
from flask_dualmigrate.ops import Run
from tests.integration.conftest import NOWHERE, Tree
from tests.support.mongo.runs import image, revert, run

Db = Database[Any]
FILL = """
async def fill(db):
    await db.t.insert_one({"_id": 1, "in": db.name})

op.run(fill, idempotent=True)
"""


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module `seen`, for a script of a test to leave things in."""
    module = ModuleType("seen")
    monkeypatch.setitem(sys.modules, "seen", module)
    return module


def test_upgrade_runs_an_async_function(tree: Tree, app: Flask, mongo_db: Db) -> None:
    tree.add("r1", mongo=FILL)
    init()
    said = cli(app, "upgrade")
    assert said.exit_code == 0, said.output
    assert mongo_db.t.find_one() == {"_id": 1, "in": mongo_db.name}


def test_its_client_is_made_with_what_the_apps_was_made_with(
    postgres_url: str, mongo_url: str, mongo_db: Db, tmp_path: Path
) -> None:
    """Another URI than MONGO_URI, a user, and options that no URI can say."""
    mongo_db.command("createUser", "u", pwd="p@ss", roles=["dbAdmin", "readWrite"])
    app = Flask("an_app", root_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = postgres_url
    app.config["MONGO_URI"] = NOWHERE
    db, mongo = SQLAlchemy(), PyMongo()
    db.init_app(app)
    credentials = {"username": "u", "password": "p@ss", "authSource": mongo_db.name}
    mongo.init_app(app, mongo_url, appname="shop", tz_aware=True, **credentials)
    DualMigrate(app, db, mongo, directory=str(tmp_path / "migrations"))
    with app.app_context():
        init()
        Tree(tmp_path / "migrations").add(
            "r1",
            mongo="""
            async def look(db):
                status = await db.command("connectionStatus")
                await db.seen.insert_one({
                    "user": status["authInfo"]["authenticatedUsers"][0]["user"],
                    "app": db.client.options.pool_options.appname,
                    "aware": db.codec_options.tz_aware,
                    "nodes": sorted(map(list, db.client.nodes)),
                })
            op.run(look)
            """,
        )
        init()
        upgrade()
        assert mongo.cx is not None
        nodes = sorted(map(list, mongo.cx.nodes))
        mongo.cx.close()
        db.engine.dispose()
    assert mongo_db.seen.find_one({}, {"_id": False}) == {
        "user": "u",
        "app": "shop",
        "aware": True,
        "nodes": nodes,
    }


class Clients(TopologyListener):
    """Counts the clients that a client's listener saw; those like it share it."""

    def __init__(self) -> None:
        self.made = self.closed_ones = 0

    def opened(self, event: TopologyOpenedEvent) -> None:
        self.made += 1

    def description_changed(self, event: TopologyDescriptionChangedEvent) -> None:
        pass

    def closed(self, event: TopologyClosedEvent) -> None:
        self.closed_ones += 1


@pytest.mark.parametrize("fails", [False, True], ids=["done", "raised"])
def test_its_client_is_closed_afterwards(mongo_url: str, fails: bool) -> None:
    async def works(db: AsyncDatabase[Any]) -> None:
        await db.command("ping")
        if fails:
            raise ValueError("later")

    clients = Clients()
    with MongoClient[Any](mongo_url, event_listeners=[clients]) as client:
        with suppress(OperationError):
            run(client.get_default_database(), Run(works))
        assert (clients.made, clients.closed_ones) == (2, 1)


def test_upgrade_under_a_running_event_loop(tree: Tree, mongo_db: Db) -> None:
    tree.add("r1", mongo=FILL)
    init()

    async def main() -> None:
        upgrade()

    asyncio.run(main())
    assert mongo_db.t.count_documents({}) == 1


@pytest.mark.parametrize("loop", [False, True], ids=["no loop", "a running loop"])
def test_the_current_app_is_there(
    tree: Tree, app: Flask, seen: ModuleType, loop: bool
) -> None:
    tree.add(
        "r1",
        mongo="""
        import flask, seen
        async def look(db):
            seen.app = flask.current_app.name
        op.run(look)
        """,
    )
    init()

    async def main() -> None:
        upgrade()

    if loop:
        asyncio.run(main())
    else:
        upgrade()
    assert seen.app == app.name


def test_an_exception_under_a_running_loop_is_told_like_any_other(
    mongo_db: Db,
) -> None:
    async def fails(db: AsyncDatabase[Any]) -> None:
        raise ValueError("later")

    async def main() -> None:
        run(mongo_db, Run(fails))

    with pytest.raises(OperationError, match=r"run\(fails\) raised ValueError: later"):
        asyncio.run(main())


def test_an_async_undo_takes_it_back(tree: Tree, app: Flask, mongo_db: Db) -> None:
    tree.add(
        "r1",
        mongo="""
        async def fill(db):
            await db.t.insert_one({"_id": 1})
        async def empty(db):
            await db.t.drop()
        op.run(fill, undo=empty)
        """,
        postgres="1 / 0",
    )
    init()
    said = cli(app, "upgrade")
    assert said.exit_code == 1
    assert "It was undone" in said.output
    assert "t" not in mongo_db.list_collection_names()


def test_an_idempotent_async_function_is_called_again_after_a_crash(
    mongo_db: Db,
) -> None:
    calls: list[int] = []

    async def crashes_once(db: AsyncDatabase[Any]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(mongo_db, Run(crashes_once, idempotent=True))
    run(mongo_db, Run(crashes_once, idempotent=True))
    assert len(calls) == 2


class Fill:
    """An object whose call is async."""

    async def __call__(self, db: AsyncDatabase[Any]) -> None:
        await db.t.insert_one({"_id": 1})


def test_an_object_may_be_the_async_function(mongo_db: Db) -> None:
    run(mongo_db, Run(Fill()))
    assert mongo_db.t.count_documents({}) == 1


def test_a_coroutine_that_nobody_awaits_is_an_error(mongo_db: Db) -> None:
    async def fill(db: Any) -> None:
        await db.t.insert_one({"_id": 1})

    operation = Run(lambda db: fill(db), name="fill", undo=lambda db: None)
    with pytest.raises(OperationError, match=r"run\(fill\) returned a coroutine"):
        run(mongo_db, operation)
    assert revert(mongo_db, operation).undone == (0,)
    assert image(mongo_db) == {}


def test_an_async_function_in_a_transaction_is_refused_before_anything_is_touched(
    tree: Tree, app: Flask, engine: sa.Engine, mongo_db: Db
) -> None:
    tree.add("r1", mongo='op.create_collection("before")')
    tree.add(
        "r2",
        mongo="""
        async def fill(db, session):
            pass
        op.run(fill, transactional=True)
        """,
    )
    init()
    said = cli(app, "upgrade")
    assert said.exit_code == 1
    assert (
        "run(fill) is async, which transactional=True does not support" in said.output
    )
    assert mongo_db.list_collection_names() == []
    assert sa.inspect(engine).get_table_names() == []
