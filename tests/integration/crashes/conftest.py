"""Both databases of a test, seeded, as one thing."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.crash.trees import seed
from tests.support.crash.world import World


@pytest.fixture
def world(
    postgres_server: psycopg.Connection, postgres_url: str, mongo_url: str
) -> Iterator[World]:
    """Both databases, with what the trees of the sweeps work on."""
    made = World(postgres_server, postgres_url, mongo_url)
    seed(made.mongo)
    yield made
    made.close()
