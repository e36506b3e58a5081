"""Beanie documents in Mongo scripts; what docs/async-and-beanie.md says of them.

The app's migrations are in beanie_runner.py, and know nothing of ours.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bson import ObjectId
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.ops import MongoOperations, Run
from tests.integration.conftest import Tree

pytest.importorskip("beanie")

Db = Database[Any]
DOCS = Path(__file__).parents[4] / "docs" / "async-and-beanie.md"
FILL = """
async def fill(db):
    await db.t.insert_one({"_id": 1})

op.run(fill, idempotent=True)
"""
SEED = """
from tests.support.mongo.beanie_runner import User, seed_users

op.beanie([User])

async def run(db):
    await seed_users()

op.run(run, idempotent=True)
"""


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


def documented(beginning: str) -> str:
    """Return a block of the documentation, its app being the one of these tests."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    (block,) = [found for found in blocks if found.startswith(beginning)]
    runner = "tests.support.mongo.beanie_runner"
    return re.sub(r"app\.(beanie_migrations|models)", runner, block)


def test_a_migration_of_a_beanie_runner_is_called_unchanged(
    tree: Tree, app: Flask, mongo_db: Db
) -> None:
    wrapper = documented("from app.beanie_migrations import create_indexes")
    tree.add("r1", mongo_more=wrapper)
    init()
    planned = cli(app, "upgrade", "--dry-run")
    assert "run 001 Create initial indexes() (idempotent" in planned.stdout
    said = cli(app, "upgrade")
    assert said.exit_code == 0, said.output
    assert mongo_db.users.index_information()["ux_name"]["unique"]


def test_a_whole_registry_is_called_in_the_order_of_its_versions(
    tree: Tree, app: Flask, mongo_db: Db
) -> None:
    tree.add("r1", mongo_more=documented("from functools import partial"))
    init()
    planned = cli(app, "upgrade", "--dry-run").stdout
    assert planned.index("Create initial indexes") < planned.index("Insert the first")
    upgrade()
    assert mongo_db.users.distinct("name") == ["ada", "bob"]


SIDE_BY_SIDE = """
class OldUser(Document):
    name: str
    class Settings:
        name = "users"

class Tag(BaseModel):
    n: str

class NewUser(Document):
    title: str
    tags: list[Tag] = []
    class Settings:
        name = "users"

async def rename(db):
    for old in await OldUser.find_all().to_list():
        await NewUser(id=old.id, title=old.name, tags=[Tag(n="a")]).save()

"""


def test_the_old_model_and_the_new_one_stand_side_by_side_in_a_script(
    tree: Tree, mongo_db: Db
) -> None:
    mongo_db.users.insert_one({"_id": ObjectId(), "name": "ada"})
    tree.add(
        "r1",
        mongo="op.beanie([OldUser, NewUser])\nop.run(rename, idempotent=True)",
        mongo_more=SIDE_BY_SIDE,
    )
    path = tree.path("mongo", "r1")
    imports = "from beanie import Document\nfrom pydantic import BaseModel\n"
    head, mark, rest = path.read_text().partition("revision =")
    future = "from __future__ import annotations\n"
    path.write_text(f"{head}{future}{imports}{mark}{rest}")
    init()
    upgrade()
    (found,) = mongo_db.users.find({}, {"_id": False})
    assert (found["title"], found["tags"]) == ("ada", [{"n": "a"}])


def test_beanie_builds_no_index_by_itself(tree: Tree, mongo_db: Db) -> None:
    mongo_db.users.create_index("old", name="ix_old")
    tree.add("r1", mongo=SEED)
    init()
    upgrade()
    assert set(mongo_db.users.index_information()) == {"_id_", "ix_old"}


def test_beanie_is_no_operation() -> None:
    class Model:
        pass

    op = MongoOperations()
    op.beanie([Model])
    op.run(len)
    op.beanie(["app.models.Other"])
    op.run(len)
    first, second = (vars(operation) for operation in op.operations)
    assert first["models"] == (Model,)
    assert second["models"] == (Model, "app.models.Other")


def test_the_documents_of_a_run_are_no_part_of_what_it_does() -> None:
    assert Run(len, models=(dict,)).fingerprint() == Run(len).fingerprint()


def test_documents_may_be_named_by_their_paths(tree: Tree, mongo_db: Db) -> None:
    path = "'tests.support.mongo.beanie_runner.User'"
    tree.add("r1", mongo=SEED.replace("[User]", f"[{path}]"))
    init()
    upgrade()
    assert mongo_db.users.count_documents({}) == 2


def test_without_beanie_nothing_is_touched_and_the_error_says_what_to_install(
    tree: Tree,
    app: Flask,
    engine: sa.Engine,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree.add("r1", mongo='op.create_collection("before")')
    tree.add("r2", mongo=f"op.beanie(['app.models.User'])\n{FILL}")
    init()
    monkeypatch.setitem(sys.modules, "beanie", None)
    said = cli(app, "upgrade")
    assert said.exit_code == 2
    assert 'pip install "Flask-DualMigrate[beanie]"' in said.output
    assert mongo_db.list_collection_names() == []
    assert sa.inspect(engine).get_table_names() == []


def test_a_script_that_imports_a_missing_beanie_says_what_to_install(
    tree: Tree, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.add("r1", mongo_more="import beanie")
    monkeypatch.setitem(sys.modules, "beanie", None)
    said = cli(app, "upgrade")
    assert said.exit_code == 2
    assert 'pip install "Flask-DualMigrate[beanie]"' in said.output


@pytest.mark.parametrize(
    ("models", "what"),
    [
        ("[dict]", "op.beanie() takes Beanie documents, not <class 'dict'>"),
        ("['no.such.Model']", "op.beanie() cannot import 'no.such.Model'"),
        ("['Model']", "op.beanie() cannot import 'Model'"),
        ("[]", "op.beanie() needs at least one document"),
        ("[3]", "op.beanie() takes classes, not 3"),
        ("dict", "op.beanie() takes a list of documents, not <class 'dict'>"),
    ],
)
def test_what_is_no_beanie_document_is_refused_before_anything_is_touched(
    tree: Tree, app: Flask, mongo_db: Db, models: str, what: str
) -> None:
    tree.add("r1", mongo=f"op.beanie({models})\n{FILL}")
    init()
    said = cli(app, "upgrade")
    assert said.exit_code in (1, 2)
    assert what in said.output
    assert mongo_db.list_collection_names() == []
