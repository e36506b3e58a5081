"""The two sides of a run, wired: each one's database, backend and indexes.

Alone in knowing both wings. A side that is not in use is never touched: its object may
not even be initialised.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic.runtime.environment import EnvironmentContext
from alembic.script.base import Script
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from .alembic_scripts.hooks import command_options, includes, with_hooks_told
from .backend import Backend, Progress
from .backups import BackupStore
from .config import Config
from .errors import DatabaseUnavailable, UsageError
from .generate import Comparison
from .generate.alembic.sql_indexes import compare_sql_indexes
from .generate.mongo.counterpart_indexes import counterparts, script_counterparts
from .generate.mongo.counterpart_operations import CounterpartOperations
from .generate.mongo.naming import Naming
from .generate.mongo.paired import Paired, paired_fields
from .generate.mongo.shapes import CollectionShape, collection_shapes
from .generate.replayed_models import against_scripts, made_by_scripts
from .generate.tables.state import Schema
from .generate.tables.types import plain_dialect
from .generate.tables.unchecked_enums import has_unchecked_enums
from .indexes import (
    DeclaredIndexes,
    IndexSide,
    SqlComparison,
    edited_in_scripts,
    settle_declarations,
)
from .linter import UNKNOWN, Facts, Linter, Wings
from .mongo import waking as mongo_waking
from .mongo.backend import MongoBackend
from .mongo.indexes.indexes import MongoIndexes
from .mongo.operations.standalone import why_not_standalone
from .mongo.preflight.lint_facts import MongoFacts
from .mongo.restore.stored import unreadable
from .mongo.scripts.declared import scripted
from .mongo.scripts.recording import record as record_mongo
from .mongo.server.beanie import of_documents
from .mongo.server.clients import own_database
from .postgres import waking as postgres_waking
from .postgres.backend import PostgresBackend
from .postgres.dialects import Other as Dialect
from .postgres.dialects import dialect_of
from .postgres.indexes.indexes import PostgresIndexes
from .postgres.lock.lock import lock_key
from .postgres.server.alembic_env import unconfigured
from .postgres.server.direct import direct_engine
from .revisions import BackendName
from .run.server_wait import Ask, wait_for_servers
from .runtime.stopping import Stop
from .runtime.time_limits import GivenLimits
from .tree.directory import Files, ScriptDirectory


class Sides:
    """Makes what a run asks for, when it is first asked for.

    backend: narrows the run to one side, "both" to neither; None: as the app says.
    own_client: work through a MongoDB client of its own, which dispose() closes: the
    app's is left as it was, so that processes forked from this one can use it.
    on_progress, on_absent: told what happens, for a person.
    stop: asked between what can be left; nobody stops a run that is given none.
    before_running: gets the scripts of the tree before any of them runs.
    """

    def __init__(
        self,
        app: Flask,
        db: SQLAlchemy | None,
        mongo: PyMongo | None,
        config: Config,
        *,
        backend: str | None = None,
        own_client: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        on_absent: Callable[[str], None] | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.app = app
        self.db = db
        self.mongo = mongo
        self.config = config
        self._backend = backend
        self._own_client = own_client
        self._on_progress = on_progress
        self._on_absent = on_absent or (lambda server: None)
        self.stop = stop or Stop()
        self._limits = config.limits
        self.before_running: Callable[[Files], None] = lambda files: None

    def limit(self, given: GivenLimits) -> None:
        """Set time limits for this run alone.

        Raises UsageError for a name or a value that is none.
        """
        self._limits = self.config.limits.for_run(given)

    @cached_property
    def available(self) -> tuple[BackendName, ...]:
        """The sides that the app has, in the order they are worked on."""
        given = {BackendName.MONGO: self.mongo, BackendName.POSTGRES: self.db}
        return tuple(name for name in BackendName if given[name] is not None)

    @cached_property
    def active(self) -> tuple[BackendName, ...]:
        """The sides that this deployment uses."""
        return self.config.active_backends(self.available)

    @cached_property
    def in_scope(self) -> tuple[BackendName, ...]:
        """The sides of this run: those in use, narrowed by --backend."""
        if self._backend in (None, "both"):
            return self.active
        if self._backend not in self.active:
            words = ", ".join(self.active)
            raise UsageError(
                f"--backend {self._backend} is not in use here (in use: {words})",
                hint="See `active=` of DualMigrate.",
            )
        return (BackendName(self._backend),)

    @cached_property
    def directory(self) -> ScriptDirectory:
        return ScriptDirectory(
            self.config.directory,
            self.available,
            before_running=self.before_running,
            world_writable=self.config.allow_world_writable,
        )

    @cached_property
    def backends(self) -> dict[BackendName, Backend]:
        """The sides of this run; made, not yet connected."""
        make: dict[BackendName, Callable[[], Backend]] = {
            BackendName.MONGO: self._mongo_backend,
            BackendName.POSTGRES: self._postgres_backend,
        }
        return {name: make[name]() for name in self.in_scope}

    def mongo_side(self, why: str) -> MongoBackend:
        """Return the MongoDB side, not yet connected.

        Raises UsageError if it is not in use; why: the first half of its sentence.
        """
        backend = self.backends.get(BackendName.MONGO)
        if not isinstance(backend, MongoBackend):
            raise UsageError(
                f"{why}; it is not in use here",
                hint="See `active=` of DualMigrate, and --backend.",
            )
        return backend

    def place_of(self, name: BackendName) -> str:
        """Say which database a side is: its name, and its server; no account."""
        if name is BackendName.MONGO:
            db = self.mongo_side("It is MongoDB's place that is asked for").db
            nodes = sorted(f"{host}:{port}" for host, port in db.client.nodes)
            return f"database {db.name} on {', '.join(nodes) or 'its server'}"
        url = self.engine.url
        server = f"{url.host or 'this machine'}{f':{url.port}' if url.port else ''}"
        return f"database {url.database} on {server}"

    @cached_property
    def _mongo_db(self) -> Database[Any] | None:
        """The app's own database, or the same by another client; None: it has none."""
        assert self.mongo is not None
        if self.mongo.db is None or not self._own_client:
            return self.mongo.db
        return own_database(self.mongo.db)

    def _mongo_backend(self) -> MongoBackend:
        return MongoBackend(
            self._mongo_db,
            lambda: self.directory,
            lease_s=self.config.lock_lease_s,
            on_progress=self._on_progress,
            batch_seconds=self.config.batch_seconds,
            replication_lag_s=self.config.replication_lag_s,
            limits=self._limits,
            stop=self.stop,
        )

    def _postgres_backend(self) -> PostgresBackend:
        return PostgresBackend(
            self.engine,
            lambda: self.directory,
            options=self.alembic_options,
            metadata=self.metadata,
            limits=self._limits,
            x_arg=self.config.x_arg,
            stop=self.stop,
            pg_dump=self.config.pg_dump,
            on_progress=self._on_progress,
        )

    @cached_property
    def index_sides(self) -> tuple[IndexSide, ...]:
        """The indexes of the sides of this run, MongoDB's first."""
        make: dict[BackendName, Callable[[], IndexSide]] = {
            BackendName.MONGO: self._mongo_indexes,
            BackendName.POSTGRES: self._postgres_indexes,
        }
        return tuple(make[name]() for name in self.in_scope)

    def _mongo_indexes(self) -> MongoIndexes:
        backend = self.backends[BackendName.MONGO]
        assert isinstance(backend, MongoBackend)
        return MongoIndexes(
            backend.db, self._declared_indexes, require_lock=backend.require_lock
        )

    def _declared_indexes(self) -> DeclaredIndexes:
        """What MongoDB should have: by models, documents, and the applied scripts."""
        naming = Naming(self.config.collections, self.config.fields)
        applied = self.backends[BackendName.MONGO].read().applied
        included = includes(self.alembic_options)
        models = counterparts(self.metadata, naming=naming, included=included)
        scripts = DeclaredIndexes()
        if applied:
            scripts = scripted(self.directory, applied)
            models = edited_in_scripts(
                models,
                scripts,
                lambda: script_counterparts(self._alembic(applied), naming=naming),
            )
        documents = of_documents(self.config.document_classes())
        return settle_declarations([models, documents, scripts])

    def _alembic(self, wanted: Collection[str]) -> list[Script]:
        """Return the Alembic scripts of some revisions, oldest first."""
        name, directory = BackendName.POSTGRES, self.directory
        known = [rev.id for rev in directory.topological() if rev.id in wanted]
        return [
            directory.script(name, key) for key in known if directory.has(name, key)
        ]

    def _postgres_indexes(self) -> PostgresIndexes:
        options = self.alembic_options
        return PostgresIndexes(
            self.engine,
            self._compare_sql_indexes,
            key=lock_key(options.get("version_table_schema")),
            version_table=options.get("version_table", "alembic_version"),
            lock_timeout_s=self.config.postgres_lock_timeout_s,
            patience_s=self.config.lock_timeout_s,
        )

    def _compare_sql_indexes(self, connection: sa.Connection) -> SqlComparison:
        has_tree = self.config.directory.is_dir()  # indexes are looked at without one
        with self.hooks_context() if has_tree else nullcontext() as context:
            return compare_sql_indexes(
                connection,
                self.metadata,
                options=self.alembic_options,
                environment=context,
            )

    @cached_property
    def engine(self) -> sa.Engine:
        """The app's own engine, or a direct one by DUALMIGRATE_POSTGRES_URI."""
        if self.config.postgres_uri is not None:
            return direct_engine(self.config.postgres_uri)
        assert self.db is not None
        try:
            return self.db.engine
        except (RuntimeError, KeyError) as error:
            raise DatabaseUnavailable(
                "The app uses PostgreSQL, and its SQLAlchemy object has no engine",
                hint="Call db.init_app(app) with a SQLALCHEMY_DATABASE_URI.",
            ) from error

    @property
    def dialect(self) -> Dialect:
        """What is known of the SQL side's dialect."""
        return dialect_of(self.engine)

    @cached_property
    def backup_store(self) -> BackupStore:
        """Where the app's backups lie; it need not be there."""
        given = self.config.backup_dir
        place = Path(self.app.instance_path) / "dualmigrate_backups"
        return BackupStore(Path(given).absolute() if given else place, unreadable)

    @property
    def metadata(self) -> sa.MetaData:
        """The models' tables."""
        assert self.db is not None
        return self.db.metadata

    def made_by_scripts(self) -> Schema:
        """Return the tables that the tree's Alembic scripts make, as far as known.

        None of them where the models have nothing that only scripts tell.
        """
        if not has_unchecked_enums(self.metadata, plain_dialect(self.engine.dialect)):
            return {}
        return made_by_scripts(self._modules())

    def _modules(self) -> dict[str, ModuleType]:
        """Return the tree's Alembic scripts by revision, oldest first."""
        found = self._alembic(self.directory.revisions)
        return {script.revision: script.module for script in found}

    def against_scripts(self) -> Comparison:
        """Compare the models with what the tree's Alembic scripts make."""
        if self.db is None:
            return Comparison(())
        return against_scripts(
            self.metadata, self._modules(), options=self.alembic_options
        )

    def mirrored(self) -> tuple[tuple[str, str], ...]:
        """Return the tables that have a collection, each with its name, in order."""
        naming = Naming(self.config.collections, self.config.fields)
        included = includes(self.alembic_options)
        tables = [key for key, item in self.metadata.tables.items() if included(item)]
        named = ((table, naming.collection(table)) for table in tables)
        return tuple(sorted((table, name) for table, name in named if name is not None))

    def paired_fields(self, table: str) -> tuple[Paired, ...]:
        """Return the columns of a model's table, each with its field in MongoDB."""
        naming = Naming(self.config.collections, self.config.fields)
        found = self.metadata.tables[table]
        return tuple(paired_fields(found, naming, self.engine.dialect))

    def key_of(self, table: str) -> str | None:
        """Return the primary key of a model's table, if it is of one column."""
        names = [column.name for column in self.metadata.tables[table].primary_key]
        return str(names[0]) if len(names) == 1 else None

    def shapes(self, applied: Collection[str]) -> tuple[CollectionShape, ...]:
        """Return what documents look like where these revisions are applied."""
        naming = Naming(self.config.collections, self.config.fields)
        return collection_shapes(self._alembic(applied), naming=naming)

    @cached_property
    def alembic_options(self) -> dict[str, Any]:
        """What the app gave Alembic's configure(); its hooks are named if they fail."""
        return with_hooks_told(self.config.alembic_options)

    def hooks_context(self, **given: Any) -> AbstractContextManager[EnvironmentContext]:
        """Hold what the app's hooks find as `context` while the models are compared.

        given: of context.config.cmd_opts.
        """
        options = command_options(self.config.x_arg, **given)
        return unconfigured(self.directory, options)

    def wait_for_servers(self, wait_s: float) -> None:
        """Wait until the sides of this run can be used; 0: do not wait.

        Raises DatabaseUnavailable after so many seconds, or for what waiting does not
        mend.
        """
        if not wait_s:
            return
        asks: dict[BackendName, Ask] = {
            BackendName.MONGO: lambda s: mongo_waking.why_absent(
                self.mongo_side("MongoDB is waited for").db, s
            ),
            BackendName.POSTGRES: lambda s: postgres_waking.why_absent(self.engine, s),
        }
        wait_for_servers(
            {name: asks[name] for name in self.backends},
            wait_s=wait_s,
            on_absent=self._on_absent,
        )

    def linter(
        self,
        directory: ScriptDirectory,
        sides: Collection[BackendName],
        *,
        counts: bool = True,
    ) -> Linter:
        """Return what looks for dangers in scripts. counts: a MongoDB may be asked."""
        naming = Naming(self.config.collections, self.config.fields)
        both = len(self.available) == 2
        validators = self.config.validators
        return Linter(
            directory,
            Wings(
                record_mongo,
                why_not_standalone,
                CounterpartOperations(naming, validators) if both else None,
                self._facts_of() if counts else lambda revision_id: UNKNOWN,
            ),
            limits=self.config.limits,
            sides=sides,
            ignored=self.config.lint_ignore,
            on_postgres=self._is_on_postgres(),
        )

    def _is_on_postgres(self) -> bool:
        """Return whether the SQL side is PostgreSQL; it is where nobody says else."""
        if BackendName.POSTGRES not in self.available:
            return True
        try:
            return self.dialect.has_rules
        except DatabaseUnavailable:  # a deployment that runs on MongoDB
            return True

    def _facts_of(self) -> Callable[[str], Facts]:
        if BackendName.MONGO not in self.in_scope:
            return lambda revision_id: UNKNOWN
        backend = self.backends[BackendName.MONGO]
        return MongoFacts(self._mongo_db, lambda: backend.read().applied).of

    def dispose(self) -> None:
        """Close pooled connections, so that none is left for a fork to share."""
        used = self.__dict__  # what no one asked for is not made to be closed
        if self._own_client and used.get("_mongo_db") is not None:
            used["_mongo_db"].client.close()
        if BackendName.POSTGRES not in used.get("in_scope", ()):
            return
        # The one connection of such a pool is the database itself: SQLite in memory.
        if not isinstance(
            self.engine.pool, sa.pool.StaticPool | sa.pool.SingletonThreadPool
        ):
            self.engine.dispose()
