"""kill -9 beside an app that writes: nothing of the app's is lost, or doubled."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import psycopg
import pytest
from flask import Flask

from flask_dualmigrate import init
from tests.integration.conftest import Tree
from tests.support.crash.beside import DOWN, UP, Start, SweepBeside
from tests.support.crash.beside_tree import seed_beside, write_beside
from tests.support.crash.runs import chaos_seed
from tests.support.crash.world import World
from tests.support.nursery import Nursery

Record = Callable[[str, object], None]

UNDO = ("repair", "r1", "--undo", "--yes")
IN_IT = "mongo.operation.done#8"
STARTS = {
    "upgrade": Start(UP),
    "upgrade that fails": Start(UP, fails=True),
    "repair --undo": Start(UNDO, before=(UP,), killed_at=IN_IT),
    "downgrade": Start(DOWN, before=(UP,)),
    "downgrade that fails": Start(DOWN, before=(UP,), fails=True),
    "repair --undo of a downgrade": Start(UNDO, before=(UP, DOWN), killed_at=IN_IT),
    "upgrade of MongoDB alone": Start((*UP, "--backend", "mongo")),
    "upgrade by itself": Start((), fails=True),
}


@pytest.fixture
def world(
    postgres_server: psycopg.Connection, postgres_url: str, mongo_url: str
) -> Iterator[World]:
    made = World(postgres_server, postgres_url, mongo_url)
    seed_beside(made.mongo, made.engine)
    yield made
    made.close()


@pytest.fixture
def beside(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    world: World,
    app: Flask,
    tree: Tree,
) -> SweepBeside:
    """A sweep of one of the commands above."""
    write_beside(tree)
    init()
    return SweepBeside(nursery, world, tree.root, STARTS[request.param])


@pytest.mark.slow
@pytest.mark.parametrize("beside", STARTS, indirect=True)
def test_a_kill_beside_a_writer_loses_and_doubles_nothing(
    beside: SweepBeside, record_property: Record
) -> None:
    number = chaos_seed()
    beside.visit(random.Random(number).choice(beside.groups)[-1], number)
    record_property("figures", str(beside.figures))
    assert beside.figures.written > 15


@pytest.mark.chaos
@pytest.mark.parametrize("beside", STARTS, indirect=True)
def test_each_kill_beside_a_writer_loses_and_doubles_nothing(
    beside: SweepBeside, record_property: Record
) -> None:
    number = chaos_seed()
    for group in beside.groups:
        beside.visit(group[-1], number)
    record_property("figures", str(beside.figures))
    assert beside.figures.visits == len(beside.groups) > 20
