"""Documents of all BSON types on the ways that an app takes them, byte for byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import (
    PartialFailure,
    backup_create,
    downgrade,
    init,
    restore,
    upgrade,
)
from flask_dualmigrate.backups import BackupStore
from flask_dualmigrate.mongo.batches.raw_collection import insert_exactly
from flask_dualmigrate.mongo.server.views import exact_view
from tests.integration.conftest import MakeApp, Tree
from tests.support.mongo.bson_values import Documents
from tests.support.mongo.runs import image
from tests.support.nursery import KILLED, Command, Nursery

Db = Database[Any]

CHANGES = {
    "add": ('op.add_field("c", "new", default=1)', 'op.drop_field("c", "new")'),
    "drop": ('op.drop_field("c", "v")', 'op.add_field("c", "v")'),
    "rename": ('op.rename_field("c", "v", "z")', 'op.rename_field("c", "z", "v")'),
    "delete": ('op.delete("c", {})', 'op.insert("c", [])'),
}
FAILS = "def fails(db):\n    raise ValueError('no')\n"
POINTS = (
    *("mongo.operation.begun", "mongo.operation.applied", "mongo.operation.done"),
    *(
        "mongo.steps.begin.before",
        "mongo.steps.save.after",
        "mongo.journal.finish.after",
    ),
)


@dataclasses.dataclass
class Journey:
    """An app on MongoDB alone, whose second revision is written for each way."""

    db: Db
    tree: Tree
    nursery: Nursery
    killed: Command
    backup: str = ""
    kills: int = 0

    def write(self, name: str, *, more: str = "") -> None:
        up, down = CHANGES[name]
        self.tree.ids = ["r1"]
        self.tree.add("r2", mongo=up + more, mongo_down=down, mongo_more=FAILS)
        init()

    def fail(self, name: str) -> None:
        self.write(name, more="\nop.run(fails, idempotent=True, undo=lambda db: None)")
        with pytest.raises(PartialFailure):
            upgrade()

    def go_down(self, name: str) -> None:
        self.write(name)
        try:
            upgrade()
        except PartialFailure:
            return  # refused, as a field that stands twice in a document is
        downgrade(revision="r1")

    def kill(self, name: str, at: str) -> None:
        self.write(name)
        command = dataclasses.replace(self.killed, crash_at=f"{at}#1")
        code = self.nursery.wait(self.nursery.start(command), timeout_s=60)
        assert code in (KILLED, 1), code  # killed there, or refused before
        self.kills += code == KILLED
        downgrade(revision="r1")

    def bring_back(self, name: str) -> None:
        self.write(name)
        self.db["c"].delete_many({"_id": {"$type": "number"}})
        restore(self.backup, backend="mongo")


@pytest.fixture
def journey(
    make_app: MakeApp,
    tree: Tree,
    backups: BackupStore,
    nursery: Nursery,
    mongo_db: Db,
    postgres_url: str,
    mongo_url: str,
    tmp_path: Path,
) -> Iterator[Journey]:
    app: Flask = make_app(
        active="mongo",
        config={
            "DUALMIGRATE_BACKUP_DIR": str(backups.root),
            "DUALMIGRATE_ALLOW_DESTRUCTIVE": True,
        },
    )
    command = Command(
        ("upgrade", "--yes"),
        str(tree.root),
        postgres_url,
        mongo_url,
        str(tmp_path / "said"),
        active="mongo",
    )
    with app.app_context():
        init()
        tree.add("r1", mongo='op.create_collection("c")')
        init()
        upgrade()
        yield Journey(mongo_db, tree, nursery, command)


def travel(journey: Journey, seed: int, *, ways: int) -> None:
    """Take random documents along random ways, which all end where they began."""
    random = Random(seed)
    documents = Documents(random, ("v", "u", "q"), readable=False).some(20)
    insert_exactly(exact_view(journey.db)["c"], documents, bypass=True)
    before = image(journey.db)
    journey.backup = backup_create(backend="mongo").backup.name
    told = [f"seed {seed}"]
    for _ in range(ways):
        name = random.choice([*CHANGES])
        way = random.choice(["fail", "go_down", "kill", "bring_back"])
        told.append(f"{way} {name}")
        if way == "kill":
            journey.kill(name, random.choice(POINTS))
        else:
            getattr(journey, way)(name)
        assert image(journey.db) == before, told


@pytest.mark.parametrize("seed", range(4))
def test_documents_end_where_they_began_whatever_way_they_take(
    journey: Journey, seed: int
) -> None:
    travel(journey, seed, ways=6)


@pytest.mark.chaos
@pytest.mark.parametrize("number", range(40))
def test_documents_end_where_they_began_on_many_ways(
    journey: Journey, number: int
) -> None:
    seed = Random().randrange(10**6)
    print(f"seed {seed}")
    travel(journey, seed, ways=12)
    print(f"{journey.kills} kills")
