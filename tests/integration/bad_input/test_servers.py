"""Servers that are away, refuse us, or cannot do what a run needs: exit code 4."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
import pytest
import sqlalchemy as sa
from pymongo import MongoClient

from flask_dualmigrate.embedded.account import give, server_uid
from flask_dualmigrate.embedded.process import as_user, clean_environment
from flask_dualmigrate.embedded.wheels import postgres_programs
from tests.support.bad_input import CANARY, NO_MONGO, NO_POSTGRES, Bench, Row
from tests.support.bad_servers import OWNER, Live
from tests.support.mongo.members import standalone, until

UP = ("upgrade", "--yes")
WRONG = f"not{CANARY}"


@dataclass(frozen=True)
class Server:
    """An app whose URLs lead to the wrong place."""

    row: Row
    app: Callable[[Live], Bench]


def postgres(live: Live, **parts: Any) -> Bench:
    url = live.postgres.set(**{"username": OWNER, **parts})
    return live.app(postgres=url.render_as_string(hide_password=False))


def mongo(live: Live, **parts: Any) -> Bench:
    return live.app(mongo=live.mongo.url(**{"database": live.name, **parts}))


def direct(url: Any) -> Callable[[Live], Bench]:
    return lambda live: live.app(config={"DUALMIGRATE_POSTGRES_URI": url})


def away(id: str, app: Callable[[Live], Bench], *says: str) -> Server:
    """Return a server that nobody gets to."""
    return Server(Row(id, UP, says, code=4), app)


QUOTED = quote(CANARY, safe="")
NO_HOST = f"mongodb://user:{quote_plus(CANARY)}@no.such.host.invalid/x?serverSelectionTimeoutMS=300"
SERVERS = (
    away(
        "postgres-away",
        lambda live: live.app(postgres=NO_POSTGRES),
        "PostgreSQL could not be reached",
        "refused",
        "DATABASE_URL",
    ),
    away(
        "mongo-away",
        lambda live: live.app(mongo=NO_MONGO),
        "MongoDB cannot be reached",
        "refused",
        "MONGO_URI",
    ),
    away(
        "mongo-host-unknown",
        lambda live: live.app(mongo=NO_HOST),
        "MongoDB cannot be reached",
        "no.such.host.invalid",
    ),
    away(
        "mongo-set-unknown",
        lambda live: mongo(live, replicaSet="other", directConnection="false"),
        "MongoDB cannot be reached",
        "other",
    ),
    Server(
        Row(
            "postgres-password",
            UP,
            (
                "password authentication failed",
                "Check the user and the password in DATABASE_URL",
            ),
            code=4,
        ),
        lambda live: postgres(live, password=WRONG),
    ),
    Server(
        Row("postgres-user", UP, ("no_such_role", "Check the user"), code=4),
        lambda live: postgres(live, username="no_such_role"),
    ),
    Server(
        Row("postgres-database", UP, ("no_such_database", "Create it"), code=4),
        lambda live: postgres(live, database="no_such_database"),
    ),
    Server(
        Row("mongo-password", UP, ("Authentication failed", "Check the user"), code=4),
        lambda live: mongo(live, password=WRONG),
    ),
    Server(
        Row("mongo-user", UP, ("Authentication failed",), code=4),
        lambda live: mongo(live, user="nobody"),
    ),
    Server(
        Row("mongo-auth-source", UP, ("Authentication failed", "MONGO_URI"), code=4),
        lambda live: mongo(live, authSource="elsewhere"),
    ),
    Server(
        Row("mongo-no-database", UP, ("no database", "names a database"), code=4),
        lambda live: mongo(live, database=""),
    ),
    Server(
        Row(
            "direct-no-url",
            UP,
            ("DUALMIGRATE_POSTGRES_URI", "not a database URL"),
        ),
        direct(f"postgresql:{QUOTED}"),
    ),
    Server(
        Row(
            "direct-port",
            UP,
            ("DUALMIGRATE_POSTGRES_URI", "not a database URL"),
        ),
        direct(f"postgresql+psycopg://user:{QUOTED}@host:port/x"),
    ),
    Server(
        Row(
            "direct-unquoted",
            UP,
            ("DUALMIGRATE_POSTGRES_URI", "%40"),
            code=4,
        ),
        direct(f"postgresql+psycopg://user:{CANARY}@host/x"),
    ),
    Server(
        Row(
            "direct-dialect",
            UP,
            ("DUALMIGRATE_POSTGRES_URI", "nosql"),
        ),
        direct(f"nosql://user:{QUOTED}@host/x"),
    ),
    Server(
        Row(
            "direct-driver",
            UP,
            ("DUALMIGRATE_POSTGRES_URI", "asyncpgx"),
        ),
        direct(f"postgresql+asyncpgx://user:{QUOTED}@host/x"),
    ),
    Server(
        Row("direct-option", UP, ("invalid", "DUALMIGRATE_POSTGRES_URI"), code=4),
        direct(f"postgresql+psycopg://user:{QUOTED}@/x?no_such_option=1"),
    ),
    Server(
        Row(
            "direct-number",
            UP,
            ("DUALMIGRATE_POSTGRES_URI", "not a database URL"),
        ),
        direct(7),
    ),
    Server(
        Row(
            "setting-unknown",
            UP,
            ("DUALMIGRATE_LOCKTIMEOUT", "DUALMIGRATE_LOCK_TIMEOUT_S"),
        ),
        lambda live: live.app(config={"DUALMIGRATE_LOCKTIMEOUT": CANARY}),
    ),
    Server(
        Row(
            "setting-wrong",
            UP,
            ("DUALMIGRATE_LOCK_TIMEOUT_S must be a number",),
        ),
        lambda live: live.app(config={"DUALMIGRATE_LOCK_TIMEOUT_S": "soon"}),
    ),
    Server(
        Row("active-wrong", UP, ("'mysql'", "'both'")),
        lambda live: live.app(active="mysql"),
    ),
)


ALONE = ("secondary", "standalone", "standby")
"""What has a test of its own, below."""


@pytest.mark.parametrize("server", SERVERS, ids=[one.row.id for one in SERVERS])
def test_a_server_that_cannot_be_used_is_named(server: Server, live: Live) -> None:
    server.app(live).try_(server.row)


def test_a_secondary_is_refused(live: Live) -> None:
    with live.mongo.root() as client:
        client.admin.command("replSetStepDown", 60, force=True)
        until(lambda: client.admin.command("hello")["secondary"])
        try:
            live.bench.mongo_db = client.get_database(
                live.name, read_preference=_anywhere()
            )
            row = Row("secondary", UP, ("is not a primary", "?replicaSet="), code=4)
            live.bench.try_(row)
        finally:
            client.admin.command("replSetFreeze", 0)
            until(lambda: client.admin.command("hello")["isWritablePrimary"])


def _anywhere() -> Any:
    from pymongo import ReadPreference

    return ReadPreference.SECONDARY_PREFERRED


@pytest.fixture
def alone(live: Live, folder: Path) -> Iterator[Bench]:
    """An app on a standalone server, whose user has no role, nor needs one there."""
    with standalone(folder) as url, MongoClient[dict[str, Any]](url) as client:
        client.admin.command("createUser", "user", pwd=CANARY, roles=[])
        host = url.split("//")[1]
        uri = f"mongodb://user:{quote_plus(CANARY)}@{host}?authSource=admin"
        bench = live.app(mongo=uri)
        bench.mongo_db = client.get_default_database()
        yield bench


def test_a_standalone_server_is_refused_what_needs_transactions(
    alone: Bench,
) -> None:
    assert alone.cli(*UP).exit_code == 0  # nobody is held to their roles there
    alone.tree.add("d4d4", mongo='op.update("t_a1a1", {}, {"$inc": {"n": 1}})')
    alone.cli("init")
    alone.try_(Row("alone", UP, ("standalone", "d4d4", "replica set"), code=4))


@contextmanager
def standby(server: psycopg.Connection, folder: Path) -> Iterator[sa.URL]:
    """Hold a standby of the session's server; yields its URL."""
    programs, data = postgres_programs(), folder / "standby"
    (sockets,) = server.execute("SHOW unix_socket_directories").fetchone() or ("",)
    uid = server_uid(data)
    data.mkdir(mode=0o700)
    more: dict[str, Any] = {"cwd": folder, "env": clean_environment(), **as_user(uid)}
    if uid is not None:
        give(folder, uid)
    copied = [programs / "pg_basebackup", "-h", sockets.strip('"'), "-U", "postgres"]
    copied += ["-D", data, "-R", "-c", "fast", "-X", "stream"]
    subprocess.run(copied, check=True, capture_output=True, **more)
    settings = ["-c", "listen_addresses=", "-k", str(folder)]
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, *settings],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **more,
    )
    url = sa.URL.create("postgresql+psycopg", query={"host": str(folder)})
    try:
        until(lambda: _answers(folder))
        yield url
    finally:
        # Fast shutdown: at once, whoever is connected.
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_standby_is_refused(
    live: Live, postgres_server: psycopg.Connection, folder: Path
) -> None:
    with standby(postgres_server, folder) as url:
        there = url.set(username=OWNER, password=CANARY, database=live.name)
        bench = live.app(postgres=there.render_as_string(hide_password=False))
        bench.try_(Row("standby", UP, ("replica", "no writes", "primary"), code=4))
