"""The pytest plugin: servers, scratch databases, and the app that is proved.

It stands beside `flask_dualmigrate`, whose import takes a while: pytest loads plugins
at each start, and nothing of the package is imported before a test asks for it. The
ready tests are in `pytest_dualmigrate.tests`; docs/testing.md shows how to use both.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from .servers import Servers

_OVERRIDE = """\
The ready tests of Flask-DualMigrate need your app. In conftest.py:

    @pytest.fixture
    def dualmigrate_app(dualmigrate_postgres_url, dualmigrate_mongo_url):
        return create_app(
            {
                "SQLALCHEMY_DATABASE_URI": dualmigrate_postgres_url,
                "MONGO_URI": dualmigrate_mongo_url,
            }
        )
"""


@pytest.fixture(scope="session")
def dualmigrate_servers() -> Iterator[Servers]:
    """PostgreSQL and MongoDB for this session, each started when it is asked for.

    DATABASE_URL and MONGO_URI, where set, name the servers; nothing is started then.
    The workers of pytest-xdist share theirs.
    """
    from .servers import Servers

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
    folder = Path(tempfile.gettempdir()) / f"dualmigrate-{run[:12]}"
    servers = Servers(folder)
    yield servers
    if servers.stop():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def dualmigrate_postgres_url(dualmigrate_servers: Servers) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, which is dropped after the test."""
    with dualmigrate_servers.postgres_database() as url:
        yield url


@pytest.fixture
def dualmigrate_mongo_url(dualmigrate_servers: Servers) -> Iterator[str]:
    """The URI of an empty database, which is dropped after the test."""
    with dualmigrate_servers.mongo_database() as url:
        yield url


@pytest.fixture
def dualmigrate_app() -> Flask:
    """The app whose migrations are tested: to be overridden, in a conftest.py."""
    pytest.fail(_OVERRIDE, pytrace=False)


@pytest.fixture
def dualmigrate_options() -> dict[str, Any]:
    """Arguments for `flask_dualmigrate.prove` in test_up_down_up: to be overridden.

    {"data": True}: on rows and documents of edge values. {"since": "ab12cd34ef56"}: the
    revisions above that one. {"strict": True}: each has to have a way down.
    """
    return {}


@pytest.fixture
def dualmigrate_context(dualmigrate_app: Flask) -> Iterator[Flask]:
    """The app, its context pushed; its connections are closed after the test."""
    from .servers import disconnect

    with dualmigrate_app.app_context():
        yield dualmigrate_app
        disconnect(dualmigrate_app)
