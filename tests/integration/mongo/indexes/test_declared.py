"""What is declared for MongoDB by scripts and models, and who may see it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from bson import CodecOptions, Int64
from bson.binary import UuidRepresentation
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient

from flask_dualmigrate import (
    index_diff,
    index_list,
    index_rebuild,
    index_sync,
    init,
    upgrade,
)
from flask_dualmigrate.embedded.wheels import mongod_program
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.indexes import DeclaredIndex, DeclaredIndexes, Verdict
from flask_dualmigrate.mongo.indexes.indexes import MongoIndexes
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import CreateIndex
from tests.integration.conftest import MakeApp, Tree
from tests.support.mongo.index_apps import Db, MakeModels, apply_script, ix_a, verdicts
from tests.support.mongo.runs import REVISION, UP


def test_a_script_that_was_edited_is_what_is_declared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a())
    tree = Tree(Path(environment_of().config.directory))
    columns = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text)'
    tree.add(
        "r0",
        postgres=f'op.create_table("items", {columns})\n'
        'op.create_index("ix_a", "items", ["a"])',
        mongo='op.create_index("item", "a", name="ix_a", sparse=True)',
    )
    init()
    upgrade()

    (difference,) = index_diff().differences

    assert difference.verdict is Verdict.OK
    assert difference.declared is not None
    assert difference.declared.sources == ("revision r0",)


def test_a_model_that_changed_since_is_what_is_declared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a(unique=True))
    apply_script('op.create_index("item", "a", name="ix_a")')

    (difference,) = index_diff().differences

    assert difference.verdict is Verdict.CONFLICT
    assert difference.why == "unique is not set, declared: True"


FILTERS: dict[str, Any] = {
    "a date without a zone": {"at": {"$gt": datetime(2024, 1, 1)}},
    "microseconds": {"at": {"$gt": datetime(2024, 1, 1, microsecond=123456)}},
    "another zone": {
        "at": {"$gt": datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5)))}
    },
    "a UUID": {"owner": UUID(int=5)},
    "a number of 64 bits": {"n": {"$gte": Int64(1)}},
}


@pytest.mark.parametrize("filter_", FILTERS.values(), ids=FILTERS)
def test_an_index_is_as_declared_right_after_its_operation(
    mongo_db: Db, filter_: dict[str, Any]
) -> None:
    stored = CodecOptions[dict[str, Any]](
        uuid_representation=UuidRepresentation.STANDARD
    )
    app_db = mongo_db.with_options(codec_options=stored)
    options = {"partialFilterExpression": filter_}
    OperationRunner(mongo_db, app_db=app_db).run(
        REVISION, UP, [CreateIndex("t", (("k", 1),), "ix", options)]
    )
    declared = DeclaredIndexes((DeclaredIndex("t", "ix", (("k", 1),), options),))
    side = MongoIndexes(app_db, lambda: declared, require_lock=lambda: None)

    (difference,), _ = side.diff(None)
    assert (difference.verdict, difference.why) == (Verdict.OK, None)

    mongo_db.t.drop_index("ix")
    (missing,), _ = side.diff(None)
    side.fix(missing, lambda *told: None)
    (difference,), _ = side.diff(None)
    assert difference.verdict is Verdict.OK


@pytest.fixture
def uri_of(folder: Path) -> Iterator[Callable[..., str]]:
    """Return the URI of a standalone server for a user with just these roles."""
    data, port = folder / "data", 32_000 + os.getpid() % 700
    data.mkdir()
    where = ("--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket")
    program = [str(mongod_program(folder)), "--dbpath", str(data), *where, "--auth"]
    server = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    with MongoClient[dict[str, Any]]("127.0.0.1", port) as client:
        client.admin.command("createUser", "root", pwd="x", roles=["root"])
    root = f"mongodb://root:x@127.0.0.1:{port}/"

    def make(*names: str) -> str:
        roles = [{"role": name, "db": "app"} for name in names]
        with MongoClient[dict[str, Any]](root) as client:
            client.app.item.create_index("a", name="ix")
            client.admin.command("createUser", "user", pwd="x", roles=roles)
        return f"mongodb://user:x@127.0.0.1:{port}/app?authSource=admin"

    yield make
    server.terminate()
    server.wait()


def test_a_user_who_may_not_see_uses_gets_the_rest(
    uri_of: Callable[..., str], make_app: MakeApp
) -> None:
    app = make_app(db=SQLAlchemy(), active="mongo", urls={"mongo": uri_of("read")})
    with app.app_context():
        result = index_list()
        (difference,) = index_diff().differences

    assert [(index.name, index.uses) for index in result.indexes] == [
        ("_id_", None),
        ("ix", None),
    ]
    assert result.indexes[1].size_bytes
    assert "may not see how often" in result.notes[0]
    assert difference.verdict is Verdict.UNDECLARED


def test_a_standalone_server_and_the_roles_that_are_named_are_enough(
    uri_of: Callable[..., str], with_models: MakeModels
) -> None:
    uri = uri_of("readWrite", "dbAdmin")
    with_models(sa.Index("ix_b", "b"), urls={"mongo": uri})

    index_rebuild("item", "ix")
    assert index_sync(drop_undeclared=True).ok

    assert verdicts(index_diff()) == {"ix_b": "OK"}
