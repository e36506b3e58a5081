"""A PostgreSQL and a MongoDB of two pairs: who tells it, and who pairs them anew."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import IntegrityError, UsageError, init, repair, upgrade
from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.results import PairResult
from flask_dualmigrate.revisions import BackendName
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import stamps

Db = Database[Any]
TOLD = "The two databases do not belong together"


@pytest.fixture
def strangers(tree: Tree, app: Flask, mongo_db: Db) -> Flask:
    """Both at head, and of two pairs."""
    tree.add("r1", mongo='op.create_collection("c")')
    init()
    upgrade()
    other = {"$set": {"pair_id": "other"}}
    mongo_db["_migrations_meta"].update_one({"_id": "pair"}, other)
    return app


def ids(engine: sa.Engine, db: Db) -> set[str]:
    """Return the ids that the two databases hold."""
    query = "SELECT value FROM dualmigrate_meta WHERE key = 'pair_id'"
    with engine.connect() as connection:
        of_postgres = connection.execute(sa.text(query)).scalar_one()
    found = db["_migrations_meta"].find_one({"_id": "pair"})
    assert found is not None
    return {of_postgres, found["pair_id"]}


@pytest.mark.parametrize(
    "words",
    [
        *("check", "status", "current", "repair", "verify", "upgrade", "downgrade"),
        *("stamp r1", "backup create", "upgrade --dry-run"),
    ],
)
def test_each_command_that_looks_at_both_tells_it_with_exit_code_3(
    words: str, strangers: Flask
) -> None:
    args = ["db-migrate", *words.split()]
    done = strangers.test_cli_runner().invoke(args=args)

    assert done.exit_code == 3
    assert TOLD in done.output
    assert "Up to date" not in done.output
    assert "(head)" not in done.output


@pytest.mark.parametrize("command", ["status", "current"])
def test_a_program_is_told_it_too(command: str, strangers: Flask) -> None:
    args = ["db-migrate", command, "--json"]
    told = json.loads(strangers.test_cli_runner().invoke(args=args).stdout)

    assert (told["ok"], told["paired"]) == (False, False)


@pytest.mark.parametrize("auto_upgrade", [True, "check"])
def test_an_app_does_not_start_on_them(
    auto_upgrade: Any, strangers: Flask, make_app: MakeApp
) -> None:
    with pytest.raises(IntegrityError, match=TOLD):
        make_app(auto_upgrade=auto_upgrade)


def test_an_app_on_them_is_not_ready(strangers: Flask) -> None:
    extension = strangers.extensions["dualmigrate"]
    readiness = extension.probe.ask()
    assert (readiness.ready, readiness.paired) == (False, False)


def test_they_are_paired_anew_by_a_command_of_its_own(
    strangers: Flask, engine: sa.Engine, mongo_db: Db
) -> None:
    before = ids(engine, mongo_db)
    assert len(before) == 2

    result = repair(pair=True)

    assert isinstance(result, PairResult)
    assert ids(engine, mongo_db) == {result.pair_id}
    assert result.pair_id not in before
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    upgrade()


def test_a_person_is_asked_and_told_which_databases_they_are(
    strangers: Flask, engine: sa.Engine, mongo_db: Db
) -> None:
    done = strangers.test_cli_runner().invoke(args=["db-migrate", "repair", "--pair"])

    assert done.exit_code == 2
    assert f"MongoDB: database {mongo_db.name} on 127.0.0.1:" in done.stderr
    assert f"PostgreSQL: database {engine.url.database} on " in done.stderr
    assert "at r1" in done.stderr
    assert len(ids(engine, mongo_db)) == 2


def test_what_is_no_two_pairs_is_not_paired_anew(
    strangers: Flask, make_app: MakeApp
) -> None:
    repair(pair=True)
    with pytest.raises(IntegrityError, match="there is nothing to pair"):
        repair(pair=True)
    with pytest.raises(UsageError, match="takes no revision"):
        repair(revision="r1", pair=True)
    alone = make_app(active="mongo")
    with alone.app_context(), pytest.raises(UsageError, match="needs both databases"):
        repair(pair=True)


def test_what_is_half_done_with_the_former_partner_is_ended_first(
    strangers: Flask, mongo_db: Db
) -> None:
    open_ = {"$set": {"awaits_partner": True}}
    mongo_db["_migrations"].update_one({"_id": "r1"}, open_)

    with pytest.raises(IntegrityError, match=r"half done.*--backend mongo"):
        repair(pair=True)

    upgrade(backend="mongo")
    repair(pair=True)


def test_a_run_that_has_lost_its_lock_pairs_nothing(
    strangers: Flask, mongo_db: Db
) -> None:
    mongo = environment_of().backends[BackendName.MONGO]
    with mongo.lock(timeout_s=1, on_wait=lambda holder: None):
        holder = mongo.holder()
        assert holder is not None
        MongoLock(mongo_db, lease_s=30).free(holder)
        with pytest.raises(LockLost):
            mongo.set_pair_id("mine", anew=True)

    found = mongo_db["_migrations_meta"].find_one({"_id": "pair"})
    assert found is not None
    assert found["pair_id"] == "other"
