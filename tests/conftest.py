"""Real servers for the tests: one pair for all workers, a fresh database for each test.

``DATABASE_URL`` and ``MONGO_URI``, where set, name the servers to use; the databases of
the tests are made on them. Otherwise the embedded ones are started by the first test
that asks, in a folder that the session makes and deletes.
"""

from __future__ import annotations

import compileall
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import psycopg
import pytest
from psycopg import sql
from pymongo import MongoClient
from sqlalchemy import make_url

from flask_dualmigrate.embedded import EmbeddedServers
from flask_dualmigrate.embedded.config import with_driver
from tests import WRITES_NO_BYTECODE
from tests.support.nursery import Nursery

_session_servers = pytest.StashKey[EmbeddedServers]()
_folder = pytest.StashKey[Path]()

# What a crash of the server would lose here is nobody's data.
_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")

_PACKAGES = ("flask_dualmigrate", "pytest_dualmigrate", "sample_app", "tests/support")
"""What the programs that tests start import: pytest's own bytecode is not for them."""

_ROOM_BYTES = 8 * 1024**3

_GC_THRESHOLDS = (50_000, 10, 10)
"""Rounds are rare: most of what they look through is modules, which stay."""


def place() -> str:
    """Return where the servers' data is to be: in memory, where there is room for it.

    Each small write waits for the disk otherwise, which takes most of the time.
    """
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return "/tmp"
    if os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return "/tmp"  # a copy of mongod is to run there
    room = min(shutil.disk_usage(memory).free, psutil.virtual_memory().available)
    return str(memory) if room >= _ROOM_BYTES else "/tmp"


def pytest_configure(config: pytest.Config) -> None:
    # The controller is a user too, so that the servers stay when a worker leaves.
    if hasattr(config, "workerinput"):
        folder = Path(config.workerinput["servers_folder"])
    else:
        # Not below pytest's own folders: their names are too long for a unix socket.
        folder = Path(tempfile.mkdtemp(prefix="dualmigrate-tests-", dir=place()))
        # A session that runs out of time ends as with Ctrl-C, servers and all.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for package in _PACKAGES:
            compileall.compile_dir(config.rootpath / package, quiet=1)
    config.stash[_folder] = folder
    config.stash[_session_servers] = EmbeddedServers(folder).__enter__()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["servers_folder"] = str(node.config.stash[_folder])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Let each worker begin with its share of the slow tests: none is to end alone."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    total = len(items)
    items.clear()
    for number in range(workers):
        share = slow[number::workers]
        # As many tests, one after the other, as xdist gives to a worker at first.
        size = (total - len(items)) // (workers - number)
        others = max(0, size - len(share))
        items += [*share, *rest[:others]]
        del rest[:others]


def pytest_collection_finish() -> None:
    """Leave out of the garbage collector's rounds what lives as long as the session.

    From here on, bytecode is kept or not as the environment says.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.dont_write_bytecode = WRITES_NO_BYTECODE


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_session_servers].stop()
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[_folder])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests recorded: what was killed, and how often."""
    lines = [
        f"{report.nodeid.split('::')[-1]}: {value}"
        for report in terminalreporter.stats.get("passed", ())
        for name, value in report.user_properties
        if name == "figures"
    ]
    if lines:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> EmbeddedServers:
    """The embedded servers of this test session, not started before a URI is asked."""
    return pytestconfig.stash[_session_servers]


@pytest.fixture(scope="session")
def postgres_server_url(servers: EmbeddedServers) -> str:
    """The SQLAlchemy URL of a database from which others can be made."""
    own = os.environ.get("DATABASE_URL")
    return with_driver(own) if own else servers.postgres_uri("postgres")


@pytest.fixture(scope="session")
def mongo_server_uri(servers: EmbeddedServers) -> str:
    """The URI of the replica set."""
    return os.environ.get("MONGO_URI") or servers.mongo_uri("test")


@pytest.fixture(scope="session")
def postgres_server(postgres_server_url: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection that may make databases."""
    url = make_url(postgres_server_url).set(drivername="postgresql")
    conninfo = url.render_as_string(hide_password=False)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for setting in () if os.environ.get("DATABASE_URL") else _FAST:
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
        yield connection


@pytest.fixture(scope="session")
def mongo_server(mongo_server_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the replica set."""
    with MongoClient[dict[str, Any]](mongo_server_uri) as client:
        if not os.environ.get("MONGO_URI"):
            # Each dropped database waits that long, in ms; the default is 100.
            client.admin.command("setParameter", 1, journalCommitInterval=2)
        yield client


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """What forks the processes that would take a second to import what they need."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def postgres_url(
    postgres_server_url: str, postgres_server: psycopg.Connection
) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database of the test's own."""
    name = f"test_{uuid4().hex}"
    database = sql.Identifier(name)
    # Copied as files it takes two thirds of the time; before 15 that is the only way.
    is_new = postgres_server.info.server_version >= 150000
    way = sql.SQL(" STRATEGY FILE_COPY" if is_new else "")
    postgres_server.execute(sql.SQL("CREATE DATABASE {}{}").format(database, way))
    yield (
        make_url(postgres_server_url)
        .set(database=name)
        .render_as_string(hide_password=False)
    )
    # Whoever is still connected, a killed process say, must not keep it.
    postgres_server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@pytest.fixture
def mongo_url(
    mongo_server_uri: str, mongo_server: MongoClient[dict[str, Any]]
) -> Iterator[str]:
    """The URI of a database of the test's own, empty."""
    name = f"test_{uuid4().hex}"
    yield urlsplit(mongo_server_uri)._replace(path=f"/{name}").geturl()
    mongo_server.drop_database(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder for servers of the test's own, which end with it.

    Its name is short and all accounts may pass, unlike those of `tmp_path`.
    """
    made = Path(tempfile.mkdtemp(prefix="dualmigrate-", dir=place()))
    made.chmod(0o755)
    yield made
    servers = EmbeddedServers(made)
    servers.keep(False)
    servers.stop()
    shutil.rmtree(made)
