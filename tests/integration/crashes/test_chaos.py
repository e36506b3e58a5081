"""Many workers, chance, and both servers struck: each operation runs exactly once."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from flask_dualmigrate import init
from tests.conftest import place
from tests.integration.conftest import Tree
from tests.support.crash.chaos import Chaos
from tests.support.crash.runs import chaos_seed
from tests.support.crash.trees import seed_many, write_long
from tests.support.crash.world import World
from tests.support.mongo.members import ReplicaSet, replica_set
from tests.support.nursery import Nursery

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
    seed = chaos_seed()
    for number in range(seed, seed + rounds):
        print(f"this round: CHAOS_SEED={number}")
        chaos.round(random.Random(number), workers=workers, blows=blows)
        print(chaos, flush=True)


@pytest.mark.slow
def test_a_round_of_six_workers_under_blows_runs_each_operation_once(
    chaos: Chaos, record_property: Record
) -> None:
    rage(chaos, rounds=1, workers=6, blows=12)
    record_property("figures", str(chaos))


@pytest.mark.chaos
def test_25_rounds_of_32_workers_under_blows_run_each_operation_once(
    chaos: Chaos, record_property: Record
) -> None:
    rage(chaos, rounds=25, workers=32, blows=60)
    record_property("figures", str(chaos))
