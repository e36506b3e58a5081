"""Servers that ask for a password, the canary, and let each account do what it may."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from psycopg import sql
from pymongo import MongoClient

from flask_dualmigrate import DualMigrate, init
from tests.conftest import place
from tests.support.bad_input import CANARY, Bench
from tests.support.mongo.members import Member, free_port, until
from tests.support.trees import Tree

OWNER, READER, STRANGER = "canary_owner", "canary_reader", "canary_stranger"
_ROOT_PASSWORD = secrets.token_hex()
_READWRITE = ("readWrite", "dbAdmin")


@dataclass
class GuardedMongo:
    """A replica set of one, which wants a user and a password."""

    port: int

    def url(
        self, database: str, *, user: str = OWNER, password: str = CANARY, **more: str
    ) -> str:
        """Return the URI for one user; more: options, such as authSource."""
        options = {"directConnection": "true", "authSource": "admin", **more}
        query = "&".join(f"{key}={value}" for key, value in options.items())
        login = f"{quote_plus(user)}:{quote_plus(password)}"
        return f"mongodb://{login}@127.0.0.1:{self.port}/{database}?{query}"

    def root(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.url("admin", user="root", password=_ROOT_PASSWORD))

    def grant(self, client: Any, database: str) -> None:
        """Give the accounts of the tests what they may do in one database."""
        for user, roles in {OWNER: _READWRITE, READER: ("read",)}.items():
            wanted = [{"role": role, "db": database} for role in roles]
            client.admin.command("grantRolesToUser", user, roles=wanted)


@pytest.fixture(scope="session", name="guarded_mongo")
def mongo_fixture() -> Iterator[GuardedMongo]:
    """Start it; its users have no role yet."""
    folder = Path(tempfile.mkdtemp(prefix="dualmigrate-guarded-", dir=place()))
    key = folder / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o400)
    port = free_port()
    more = ("--keyFile", str(key))
    server = Member(folder, 0, port, of_set="guarded", more=more)
    server.start()
    try:
        with server.client() as client:
            members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
            config = {"_id": "guarded", "members": members}
            client.admin.command("replSetInitiate", config)
            until(lambda: client.admin.command("hello")["isWritablePrimary"])
            client.admin.command(
                "createUser", "root", pwd=_ROOT_PASSWORD, roles=["root"]
            )
        guarded = GuardedMongo(port)
        with guarded.root() as client:
            client.admin.command("setParameter", 1, journalCommitInterval=2)
            for user in (OWNER, READER, STRANGER):
                client.admin.command("createUser", user, pwd=CANARY, roles=[])
        yield guarded
    finally:
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture(scope="session", name="guarded_postgres")
def postgres_fixture(
    postgres_server: psycopg.Connection, postgres_server_url: str
) -> sa.URL:
    """Let the session's server ask the accounts of the tests for their password."""
    url = sa.make_url(postgres_server_url).set(password=CANARY)
    users = (OWNER, READER, STRANGER)
    # Other workers of the session use the same server.
    postgres_server.execute("SELECT pg_advisory_lock(7)")
    try:
        for user in users:
            _make_role(postgres_server, user)
        if "DATABASE_URL" not in os.environ:
            _ask_for_passwords(postgres_server, users)
    finally:
        postgres_server.execute("SELECT pg_advisory_unlock(7)")
    return url


def _make_role(server: psycopg.Connection, user: str) -> None:
    query = "SELECT 1 FROM pg_roles WHERE rolname = %s"
    if server.execute(query, [user]).fetchone() is None:
        made = "CREATE ROLE {} LOGIN PASSWORD {}"
        server.execute(sql.SQL(made).format(sql.Identifier(user), CANARY))


def _ask_for_passwords(server: psycopg.Connection, users: Sequence[str]) -> None:
    """Have a server that goes with the session want the password of some users."""
    rules = Path(str((server.execute("SHOW hba_file").fetchone() or [""])[0]))
    lines = "".join(f"local all {user} scram-sha-256\n" for user in users)
    before = rules.read_text()
    if not before.startswith(lines):
        rules.write_text(lines + before)
        server.execute("SELECT pg_reload_conf()")


class Live:
    """A database on each of the guarded servers, and apps on them."""

    def __init__(
        self, postgres: sa.URL, mongo: GuardedMongo, root: Path, caplog: Any
    ) -> None:
        self.name = f"test_{uuid4().hex}"
        self.postgres = postgres.set(database=self.name)
        self.mongo = mongo
        self.root = root
        self._caplog = caplog
        self._stack = ExitStack()

    def __enter__(self) -> Live:
        self.engine = sa.create_engine(self.postgres.set(username="postgres"))
        self._stack.callback(self.engine.dispose)
        client = self._stack.enter_context(self.mongo.root())
        self.mongo.grant(client, self.name)
        self.mongo_db = client[self.name]
        self._stack.callback(client.drop_database, self.name)
        self.bench = self.app()
        init()
        for revision_id in ("a1a1", "b2b2", "c3c3"):
            self.add(revision_id)
        init()
        return self

    def add(self, revision_id: str) -> None:
        """Write a pair that makes a table and a collection, and takes them back."""
        self.bench.tree.add(
            revision_id,
            postgres=f'op.create_table("t_{revision_id}", '
            'sa.Column("id", sa.Integer, primary_key=True))',
            postgres_down=f'op.drop_table("t_{revision_id}")',
            mongo=f'op.create_collection("t_{revision_id}")',
            mongo_down=f'op.drop_collection("t_{revision_id}")',
        )

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def app(
        self,
        *,
        postgres: str | None = None,
        mongo: str | None = None,
        user: str = OWNER,
        config: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Bench:
        """Return a bench on an app of its own, whose context is pushed."""
        app = Flask("an_app", root_path=str(self.root))
        url = self.postgres.set(username=user).render_as_string(hide_password=False)
        app.config["DUALMIGRATE_BACKUP"] = "never"
        app.config["SQLALCHEMY_DATABASE_URI"] = postgres or url
        app.config.update(config or {})
        db, pymongo = SQLAlchemy(app), PyMongo()
        mongo_url = mongo or self.mongo.url(self.name, user=user)
        pymongo.init_app(app, mongo_url, serverSelectionTimeoutMS=500)
        directory = str(self.root / "migrations")
        DualMigrate(app, db, pymongo, **{"directory": directory, **settings})
        self._stack.enter_context(app.app_context())
        self._stack.callback(db.engine.dispose)
        assert pymongo.cx is not None
        self._stack.callback(pymongo.cx.close)
        tree = Tree(self.root / "migrations")
        if hasattr(self, "bench"):
            tree.ids = self.bench.tree.ids
        return Bench(
            app, tree, self._caplog, engine=self.engine, mongo_db=self.mongo_db
        )


@pytest.fixture(name="live")
def live_fixture(
    guarded_postgres: sa.URL,
    guarded_mongo: GuardedMongo,
    postgres_server: psycopg.Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Live]:
    """An app that knows the canary, three revisions, nothing applied."""
    with live_databases(
        guarded_postgres, guarded_mongo, postgres_server, tmp_path, caplog
    ) as live:
        yield live


@contextmanager
def live_databases(
    postgres: sa.URL,
    mongo: GuardedMongo,
    server: psycopg.Connection,
    root: Path,
    caplog: Any,
) -> Iterator[Live]:
    made = Live(postgres, mongo, root, caplog)
    name, owner = sql.Identifier(made.name), sql.Identifier(OWNER)
    server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    try:
        with made:
            yield made
    finally:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
