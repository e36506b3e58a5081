"""`--mongosh` as a command: its guard, its lock, its journal, and what follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import check, current, downgrade, init, upgrade
from flask_dualmigrate.results import RunResult
from flask_dualmigrate.revisions import BackendName
from tests.integration.conftest import NOWHERE, MakeApp, Tree
from tests.support.mongo.mongosh_cli import mongosh, run_mongosh
from tests.support.mongo.runs import image

__all__ = ["mongosh"]

Db = Database[Any]
RunScript = Callable[[str], CompletedProcess[str]]


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


@pytest.fixture
def three(tree: Tree) -> Tree:
    tree.add(
        "r1",
        mongo='op.create_collection("item")\n'
        'op.insert("item", [{"_id": n, "n": n, "x": str(n)} for n in range(2500)])',
        mongo_down='op.drop_collection("item")',
    )
    tree.add(
        "r2",
        mongo='op.update("item", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})\n'
        'op.drop_field("item", "x")',
        mongo_down='op.add_field("item", "x")\n'
        'op.update("item", {}, {"$inc": {"n": -1}}, undo={"$inc": {"n": 1}})',
    )
    tree.add(
        "r3",
        mongo='op.rename_collection("item", "article")\n'
        'op.create_index("article", "n", name="ix_n", unique=True)',
        mongo_down='op.drop_index("article", "ix_n")\n'
        'op.rename_collection("article", "item")',
        mongo_more="def verify(db):\n    assert db.article.count_documents({})\n",
    )
    init()
    return tree


@pytest.fixture
def offline(three: Tree, make_app: MakeApp) -> Iterator[Flask]:
    """The same tree, in an app that cannot reach its servers."""
    app = make_app(urls={"mongo": NOWHERE}, active="mongo")
    with app.app_context():
        yield app


@pytest.fixture
def run(mongosh: Path, mongo_url: str, tmp_path: Path) -> RunScript:
    def run_it(script: str) -> CompletedProcess[str]:
        path = tmp_path / f"{uuid4().hex}.js"
        path.write_text(script)
        return run_mongosh(mongosh, mongo_url, path)

    return run_it


@pytest.fixture
def normal(
    three: Tree, make_app: MakeApp, mongo_url: str, mongo_server: MongoClient[Any]
) -> Iterator[Db]:
    """A database that a normal upgrade of the same tree brings to its head."""
    parts = urlsplit(mongo_url)
    url = parts._replace(path=f"{parts.path}_n").geturl()
    app = make_app(urls={"mongo": url}, active="mongo")
    with app.app_context():
        upgrade()
    name = f"{parts.path}_n".strip("/")
    yield mongo_server.get_database(name)
    mongo_server.drop_database(name)


def printed(app: Flask, *words: str) -> str:
    said = cli(app, *words)
    assert said.exit_code == 0, said.output
    text: str = said.stdout
    return text


def ran(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def journal(db: Db) -> list[dict[str, Any]]:
    """Return the entries of `_migrations`, without who, where and when."""
    found = list(db["_migrations"].find().sort("_id"))
    for entry in found:
        for part in (entry, *entry["history"]):
            for name in ("by", "host", "started_at", "finished_at"):
                assert part.pop(name) is not None, name
            part.pop("duration_ms")  # a script does not measure it
        entry.pop("token", None)  # a script for mongosh has none
        assert entry.pop("applied_at")
        # Alone, a side waits for nobody in the end.
        assert entry["awaits_partner"] is False
    return found


def test_the_journal_and_the_documents_are_those_of_a_normal_upgrade(
    offline: Flask, run: RunScript, mongo_db: Db, normal: Db
) -> None:
    ran(run(printed(offline, "upgrade", "--mongosh", "base:head")))
    assert journal(mongo_db) == journal(normal)
    assert image(mongo_db) == image(normal)


def test_a_normal_upgrade_has_nothing_left_to_do_and_a_downgrade_takes_it_back(
    offline: Flask, run: RunScript, app: Flask, mongo_db: Db
) -> None:
    ran(run(printed(offline, "upgrade", "--mongosh", "base:r1")))
    before = image(mongo_db)
    ran(run(printed(offline, "upgrade", "--mongosh", "r1:head")))
    with app.app_context():
        assert current(backend="mongo").at_head
        assert check(backend="mongo").ok
        done = upgrade(backend="mongo")
        assert isinstance(done, RunResult)
        assert done.steps == ()
        downgrade(revision="r1", backend="mongo")
    assert image(mongo_db) == before


def test_mongosh_takes_back_what_a_normal_upgrade_did(
    offline: Flask, run: RunScript, app: Flask, mongo_db: Db
) -> None:
    with app.app_context():
        upgrade(revision="r2", backend="mongo")
        before = image(mongo_db)
        upgrade(backend="mongo")
        # Without a range the state is read from the database.
        script = printed(app, "downgrade", "--mongosh", "r2", "--backend", "mongo")
    ran(run(script))
    assert image(mongo_db) == before
    entries = {e["_id"]: e["status"] for e in mongo_db["_migrations"].find()}
    assert entries == {"r1": "applied", "r2": "applied", "r3": "rolled_back"}


def test_it_refuses_a_database_in_another_state(
    offline: Flask, run: RunScript, app: Flask, mongo_db: Db
) -> None:
    with app.app_context():
        upgrade(revision="r1", backend="mongo")
    before = image(mongo_db)
    done = run(printed(offline, "upgrade", "--mongosh", "r2:head"))
    assert done.returncode != 0
    told = "This script is for a database with the revisions [r1, r2], none of them"
    assert told in done.stdout + done.stderr
    assert image(mongo_db) == before
    lock = mongo_db["_migrations_lock"].find_one()
    assert lock is not None
    assert lock["owner"] is None


def test_it_refuses_while_another_holds_the_lock(
    offline: Flask, run: RunScript, mongo_db: Db
) -> None:
    mongo_db["_migrations_lock"].insert_one(
        {"_id": "lock", "token": 4, "owner": "o", "user": "ann", "host": "h", "pid": 7}
        | {"expires_at": datetime(2999, 1, 1, tzinfo=UTC)}
    )
    done = run(printed(offline, "upgrade", "--mongosh", "base:head"))
    assert done.returncode != 0
    assert "Another migration holds the lock" in done.stdout + done.stderr
    assert image(mongo_db) == {}


def test_a_script_that_stops_keeps_the_lock_so_that_no_run_starts_on_it(
    offline: Flask, run: RunScript, app: Flask, mongo_db: Db
) -> None:
    script = printed(offline, "upgrade", "--mongosh", "base:head")
    mongo_db["_aside_r2_item.x"].insert_one({"_id": 3})  # r2 copies to there
    done = run(script)
    assert done.returncode != 0
    assert "_aside_r2_item.x" in done.stdout + done.stderr
    assert mongo_db.item.count_documents({"x": {"$exists": True}}) == 2500
    entries = {e["_id"]: e["status"] for e in mongo_db["_migrations"].find()}
    assert entries == {"r1": "applied"}
    app.config["DUALMIGRATE_LOCK_TIMEOUT_S"] = 0
    with app.app_context():
        said = cli(app, "upgrade", "--backend", "mongo", "--yes")
        assert said.exit_code == 5, said.output
    again = run(script)
    assert "Another migration holds the lock" in again.stdout + again.stderr
    # By hand: what was in the way goes, and the rest of the script follows.
    mongo_db["_aside_r2_item.x"].drop()
    rest = script[script.index("// -- 1: drop field item.x") :]
    ran(run(rest))
    with app.app_context():
        assert current(backend="mongo").at_head
        nothing = upgrade(backend="mongo")
        assert isinstance(nothing, RunResult)
        assert nothing.steps == ()


def test_the_lock_of_a_script_that_stopped_can_be_freed(
    offline: Flask, run: RunScript, app: Flask, mongo_db: Db
) -> None:
    script = printed(offline, "upgrade", "--mongosh", "base:r1")
    run(script.replace("// -- 1:", 'throw new Error("stopped");\n// -- 1:'))
    with app.app_context():
        said = cli(app, "unlock", "--force", "--yes", "--backend", "mongo")
    assert said.exit_code == 0, said.output
    lock = mongo_db["_migrations_lock"].find_one()
    assert lock is not None
    assert lock["owner"] is None


def test_the_next_upgrade_brings_the_other_side_level(
    offline: Flask, run: RunScript, app: Flask
) -> None:
    ran(run(printed(offline, "upgrade", "--mongosh", "base:r2")))
    with app.app_context():
        done = upgrade()
        assert isinstance(done, RunResult)
        sides = {step.revision: step.backends for step in done.steps}
        assert current().at_head
    mongo, postgres = BackendName.MONGO, BackendName.POSTGRES
    assert sides == {"r1": (postgres,), "r2": (postgres,), "r3": (mongo, postgres)}


NO_FORM = "Step 1 of revision r4 ({}) cannot be written as plain statements: "


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("op.run(print)", f"{NO_FORM.format('run')}it is a Python function"),
        (
            'op.transform("item", lambda doc: doc)',
            f"{NO_FORM.format('transform')}it calls a Python function",
        ),
        (
            'op.convert_field("item", "x", to="int")',
            f"{NO_FORM.format('convert_field')}it has to count first",
        ),
        (
            'op.update("item", {}, {"$set": {"v": {"b": 1, "1": 2}}})',
            f"{NO_FORM.format('update')}A document with the fields b, 1",
        ),
        ('op.todo("write it")', "Revision r4 has a todo left: write it"),
    ],
    ids=["run", "transform", "convert_field", "reordered", "todo"],
)
def test_what_has_no_plain_form_is_refused_before_anything_is_printed(
    offline: Flask, three: Tree, code: str, text: str
) -> None:
    three.add("r4", mongo=f'op.create_collection("made")\n{code}')
    init()
    said = cli(offline, "upgrade", "--mongosh", "base:head")
    assert said.exit_code == 2
    assert said.stdout == ""
    assert text in said.stderr


def test_an_edited_script_is_refused_where_the_database_is_read(
    three: Tree, app: Flask
) -> None:
    upgrade(revision="r1", backend="mongo")
    path = three.path("mongo", "r1")
    path.write_text(path.read_text().replace("2500", "2501"))
    said = cli(app, "upgrade", "--mongosh", "--backend", "mongo")
    assert said.exit_code == 3
    assert said.stdout == ""
