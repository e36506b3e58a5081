"""Connect the app to scratch databases, and back.

Meanwhile the app's `db` and `mongo` are the scratch ones: what a script does through
`db.session` or `mongo.db` does not reach the real databases either. A side, or a bind,
that is not proved is removed for that time.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pymongo
import sqlalchemy as sa
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo.errors import PyMongoError
from sqlalchemy.exc import SQLAlchemyError

from ...alembic_scripts.source_calls import created_schemas
from ...embedded import EmbeddedServers
from ...environment import Environment
from ...errors import DatabaseUnavailable, EmbeddedServerError, UsageError
from ...revisions import BackendName
from .mongo import MongoPlace
from .names import Mark
from .postgres import PostgresPlace


@dataclasses.dataclass(frozen=True)
class Scratch:
    """Where one side is proved.

    server: in words, without a password. why: why it is an embedded server; None: it is
    the real database's server.
    """

    backend: BackendName
    database: str
    server: str
    why: str | None = None


log = logging.getLogger(__name__)

FOLDER = "dualmigrate_test"
"""The data folder of embedded servers, below the app's instance folder."""

ANSWER_S = 10
"""Seconds to wait for a server's answer before an embedded one is used."""

Place = PostgresPlace | MongoPlace


@dataclasses.dataclass
class Bench:
    """The scratch databases of one run, and the environment that works on them."""

    env: Environment
    scratch: tuple[Scratch, ...]
    kept: tuple[str, ...]


@contextmanager
def bench(env: Environment, *, embedded: bool, keep: bool) -> Iterator[Bench]:
    """Create scratch databases for the sides of a run; drop them at the end.

    embedded: use embedded servers, whatever the app's are. keep: do not drop them.
    Raises DatabaseUnavailable if neither kind of server is available.
    """
    _refuse_others(env)
    with ExitStack() as stack:
        servers = _Servers(env, stack)
        scratch: list[Scratch] = []
        opened: dict[BackendName, Any] = {}
        for name in env.in_scope:
            place, made = _make(env, name, servers, stack, embedded=embedded, keep=keep)
            opened[name] = place.open(made.database)
            scratch.insert(0, made)
        stack.enter_context(_instead(env, opened))
        work = Environment(
            env.app,
            env.db,
            env.mongo,
            dataclasses.replace(env.config, postgres_uri=None),
            **env.reporting,
        )
        kept = tuple(each.database for each in scratch) if keep else ()
        yield Bench(work, tuple(scratch), kept)


def _refuse_others(env: Environment) -> None:
    """Raise UsageError if the SQL side is not PostgreSQL."""
    if BackendName.POSTGRES not in env.in_scope:
        return
    if not env.dialect.can_be_proved:
        raise UsageError(
            f"`test` needs PostgreSQL, and this app uses {env.dialect.name}",
            hint="Test only the other side: --backend mongo.",
        )


class _Servers:
    """Embedded servers, started by the first side that needs one."""

    def __init__(self, env: Environment, stack: ExitStack) -> None:
        self._env, self._stack = env, stack
        self._started: EmbeddedServers | None = None
        self.folder = Path(env.app.instance_path) / FOLDER

    def place(self, name: BackendName) -> Place:
        if self._started is None:
            servers = EmbeddedServers(self.folder)
            self._started = self._stack.enter_context(servers)
        if name is BackendName.POSTGRES:
            url = sa.make_url(self._started.postgres_uri("postgres"))
            return PostgresPlace(url, {})
        app_db = self._env.mongo_side("MongoDB is to be tested").db
        client: Any = type(app_db.client)(self._started.mongo_uri("app"))
        self._stack.callback(client.close)
        return MongoPlace(type(app_db)(client, app_db.name))


def _make(
    env: Environment,
    name: BackendName,
    servers: _Servers,
    stack: ExitStack,
    *,
    embedded: bool,
    keep: bool,
) -> tuple[Place, Scratch]:
    """Create one database, and ensure that it is dropped or marked as kept."""
    why: str | None = "requested by --embedded"
    place, database = None, ""
    if not embedded:
        place = _beside(env, name)
        try:
            with pymongo.timeout(ANSWER_S):
                database, why = _made(place), None
        except DatabaseUnavailable as error:
            place, why = None, error.what
            log.warning("%s. Using an embedded server instead.", error.what)
    if place is None:
        try:
            place = servers.place(name)
            database = _made(place)
        except EmbeddedServerError as error:
            if embedded:
                raise
            raise DatabaseUnavailable(
                f"{why}; and no embedded server can be used instead: {error.what}",
                hint="Allow the account to create databases, or install "
                '"Flask-DualMigrate[embedded]".',
            ) from error
    if isinstance(place, PostgresPlace):
        _furnish(env, place, database)
    if keep:
        place.mark(database, Mark.own(kept=True))
    else:
        stack.callback(place.drop, database)
    server = f"an embedded server in {servers.folder}" if why else place.server
    return place, Scratch(name, database, server, why)


def _furnish(env: Environment, place: PostgresPlace, database: str) -> None:
    """Ensure that a scratch database has what the first revision takes for granted."""
    schema = env.config.alembic_options.get("version_table_schema")
    side, tree = BackendName.POSTGRES, env.directory
    ids = (each for each in tree.revisions if tree.has(side, each))
    created = {
        name for each in ids for name in created_schemas(tree.script(side, each))
    }
    place.furnish(database, schemas=[schema] if schema else [], created=created)


def _made(place: Place) -> str:
    """Create a database, after removing those that killed runs left behind."""
    try:
        for name in place.sweep():
            log.warning("Removed %s, left by a killed test.", name)
    except (SQLAlchemyError, PyMongoError) as error:
        log.debug("Cannot look for remains of killed tests: %s", error)
    return place.make()


def _beside(env: Environment, name: BackendName) -> Place:
    if name is BackendName.MONGO:
        return MongoPlace(env.mongo_side("MongoDB is to be tested").db)
    url = env.engine.url
    options = dict(env.app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {})
    connect_args = dict(options.get("connect_args") or {})
    if url.get_driver_name().startswith("psycopg"):
        connect_args.setdefault("connect_timeout", ANSWER_S)
    return PostgresPlace(url, connect_args)


@contextmanager
def _instead(env: Environment, opened: dict[BackendName, Any]) -> Iterator[None]:
    """Replace the app's `db` and `mongo` with the scratch ones.

    opened: the engine and the database to work on; none for a side not in use.
    """
    engine, database = map(opened.get, (BackendName.POSTGRES, BackendName.MONGO))
    with ExitStack() as stack:
        if env.db is not None and "sqlalchemy" in env.app.extensions:
            stack.callback(_set_engines, env.db, dict(env.db.engines))
            _set_engines(env.db, {} if engine is None else {None: engine})
        if env.mongo is not None:
            stack.callback(_set_database, env.mongo, env.mongo.db, env.mongo.cx)
            client = None if database is None else database.client
            _set_database(env.mongo, database, client)
        yield
        if engine is not None:
            engine.dispose()


def _set_engines(db: SQLAlchemy, engines: dict[Any, Any]) -> None:
    db.session.remove()
    held: Any = db.engines
    held.clear()
    held.update(engines)


def _set_database(mongo: PyMongo, database: Any, client: Any) -> None:
    mongo.db, mongo.cx = database, client
