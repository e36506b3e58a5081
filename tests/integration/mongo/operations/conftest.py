"""A server without transactions, for the tests that need one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.conftest import place
from tests.support.mongo.members import standalone


@pytest.fixture(scope="module")
def alone_url() -> Iterator[str]:
    """The URI of a standalone server of the module's own."""
    folder = Path(tempfile.mkdtemp(prefix="dualmigrate-", dir=place()))
    with standalone(folder) as url:
        yield url
    shutil.rmtree(folder)


@pytest.fixture
def alone(alone_url: str) -> Iterator[Database[Any]]:
    """An empty database on it."""
    with MongoClient[Any](alone_url) as client:
        client.drop_database("alone")
        yield client["alone"]
