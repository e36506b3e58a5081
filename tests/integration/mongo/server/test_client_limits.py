"""Time limits of the app's client that are shorter than the work of a migration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate import PartialFailure, init, upgrade
from tests.integration.conftest import MakeApp, Tree
from tests.support.mongo.proxies import Wire, wired

LIMITS = {"socketTimeoutMS": {"socketTimeoutMS": 400}, "timeoutMS": {"timeoutMS": 400}}
SLOW = ("createIndexes", "collMod", "renameCollection", "drop")


@pytest.fixture(params=LIMITS.values(), ids=list(LIMITS))
def hurried(
    request: pytest.FixtureRequest, make_app: MakeApp, mongo_url: str, tmp_path: Path
) -> Iterator[tuple[Tree, Wire]]:
    """An app whose client waits 0.4 s for an answer."""
    with wired(mongo_url) as (uri, wire):
        app = make_app(
            active="mongo", urls={"mongo": uri}, mongo_options=dict(request.param)
        )
        with app.app_context():
            init()
            yield Tree(tmp_path / "migrations"), wire


def test_work_that_takes_longer_than_the_client_waits_is_sent_once(
    hurried: tuple[Tree, Wire], mongo_db: Database[Any]
) -> None:
    tree, wire = hurried
    mongo_db.t.insert_many([{"_id": number} for number in range(20)])
    mongo_db.gone.insert_one({})
    tree.add(
        "r1",
        mongo="""
            op.add_field("t", "a", default=1)
            op.create_index("t", [("a", 1)], name="ix_a")
            op.set_validator("t", {"a": 1})
            op.rename_collection("t", "u")
            op.drop_collection("gone", keep=False)
            op.run(lambda db: db.u.create_index("b", name="ix_b"), name="b")
        """,
        mongo_more="def verify(db):\n    db.command('collMod', 'u')\n",
    )
    init()
    wire.slow = dict.fromkeys(SLOW, 0.5)
    upgrade()
    assert {"ix_a", "ix_b"} <= mongo_db.u.index_information().keys()
    assert "gone" not in mongo_db.list_collection_names()
    assert {name: wire.seen[name] for name in SLOW[1:3]} == {
        "collMod": 2,
        "renameCollection": 1,
    }


def test_the_limit_of_a_script_holds_all_the_same(
    hurried: tuple[Tree, Wire], mongo_db: Database[Any]
) -> None:
    tree, wire = hurried
    mongo_db.t.insert_one({})
    tree.add("r1", mongo='op.set_validator("t", {"a": 1})', mongo_more="max_time_s = 1")
    init()
    wire.slow = {"collMod": 3.0}
    with pytest.raises(PartialFailure, match="longer than max_time_s, 1 s"):
        upgrade()


def test_a_pool_of_one_connection_keeps_the_lock_during_a_long_command(
    make_app: MakeApp, mongo_url: str, mongo_db: Database[Any], tmp_path: Path
) -> None:
    with wired(mongo_url) as (uri, wire):
        app = make_app(
            active="mongo",
            urls={"mongo": uri},
            mongo_options={"maxPoolSize": 1},
            config={"DUALMIGRATE_LOCK_LEASE_S": 3},
        )
        mongo_db.t.insert_one({"a": 1})
        with app.app_context():
            init()
            tree = Tree(tmp_path / "migrations")
            tree.add(
                "r1",
                mongo='op.set_validator("t", {"a": 1})\n'
                'op.add_field("t", "b", default=1)',
            )
            init()
            wire.slow = {"collMod": 4.0}
            upgrade()
    assert mongo_db.t.count_documents({"b": 1}) == 1
