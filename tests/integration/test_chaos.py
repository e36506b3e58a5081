"""Many workers, chance, and both servers struck: each operation runs exactly once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init

from ..conftest import place
from .chaos import Chaos
from .conftest import Tree
from .crash_process import Command, Nursery
from .crash_trees import CHAOS_DOCUMENTS, seed_many, write_long
from .crash_world import World
from .mongo_members import ReplicaSet, replica_set, until
from .snapshots import mongo_snapshot

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    folder = Path(tempfile.mkdtemp(prefix="dualmigrate-", dir=place()))
    with replica_set(folder) as found:
        yield found
    shutil.rmtree(folder)


@pytest.fixture
def chaos(
    nursery: Nursery,
    members: ReplicaSet,
    postgres_server: psycopg.Connection,
    postgres_url: str,
    app: Flask,
    tree: Tree,
) -> Iterator[Chaos]:
    write_long(tree)
    init()
    world = World(postgres_server, postgres_url, members.uri("chaos"))
    seed_many(world.mongo)
    yield Chaos(nursery, world, members, tree.root)
    world.mongo.client.drop_database("chaos")
    world.close()


def rage(chaos: Chaos, *, rounds: int, workers: int, blows: int) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or time.time())
    for number in range(seed, seed + rounds):
        print(f"to repeat this round: CHAOS_SEED={number}")
        chaos.round(random.Random(number), workers=workers, blows=blows)
        print(chaos, flush=True)


@pytest.mark.slow
def test_three_rounds_of_six_workers_under_blows_run_each_operation_once(
    chaos: Chaos, record_property: Record
) -> None:
    rage(chaos, rounds=3, workers=6, blows=12)
    record_property("figures", str(chaos))


@pytest.mark.chaos
def test_25_rounds_of_32_workers_under_blows_run_each_operation_once(
    chaos: Chaos, record_property: Record
) -> None:
    rage(chaos, rounds=25, workers=32, blows=60)
    record_property("figures", str(chaos))


def wake_too_late(
    nursery: Nursery, tree: Tree, db: Database[Any], url: str, *, after: int
) -> None:
    """Stop a run when it has written so many documents; let another do it all."""
    said = tree.root.parent / "said"

    def start() -> int:
        command = Command(
            ("upgrade", "--yes"),
            str(tree.root),
            "postgresql+psycopg://127.0.0.1:9/nowhere",
            url,
            str(said),
            config={"DUALMIGRATE_LOCK_LEASE_S": 1.0},
            active="mongo",
        )
        return nursery.start(command)

    db.client.drop_database(db.name)
    seed_many(db)
    late = start()
    until(lambda: db.item.count_documents({"grown": 1}) >= after)
    os.kill(late, signal.SIGSTOP)
    other = start()
    assert nursery.wait(other, timeout_s=60) == 0, said.read_text()
    assert db.item.count_documents({"grown": 1, "old": None}) == CHAOS_DOCUMENTS
    before = mongo_snapshot(db, ours=True)
    os.kill(late, signal.SIGCONT)
    assert nursery.wait(late, timeout_s=60) == 5, said.read_text()
    assert mongo_snapshot(db, ours=True) == before


@pytest.mark.slow
def test_a_worker_that_wakes_after_its_lease_is_gone_writes_nothing(
    nursery: Nursery,
    app: Flask,
    tree: Tree,
    mongo_db: Database[Any],
    mongo_url: str,
) -> None:
    write_long(tree)
    init()
    for after in (25, 500, 1200):
        wake_too_late(nursery, tree, mongo_db, mongo_url, after=after)
