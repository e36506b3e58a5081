"""Wiring what a command needs: the tree, the sides of a run, the models, the run.

Only this module knows both wings. A side that is not in use is never touched: its
object may not even be initialized.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from .alembic_scripts.hooks import with_hook_errors
from .backend import Backend, Progress
from .backups import BackupStore
from .config import Config, sides_of
from .errors import DatabaseUnavailable, UsageError
from .generate.models import Models
from .generate.mongo.counterpart_operations import CounterpartOperations
from .generate.mongo.naming import Naming
from .indexes import DeclaredIndexes, IndexSide, SqlComparison
from .linter import UNKNOWN, Facts, Wings
from .mongo.backend import MongoBackend
from .mongo.indexes.declared import scripted
from .mongo.indexes.indexes import MongoIndexes
from .mongo.operations.registry import why_not_standalone
from .mongo.preflight.lint_facts import MongoFacts
from .mongo.restore.stored import unreadable
from .mongo.scripts.recording import record as record_mongo
from .mongo.server.beanie import of_documents
from .mongo.server.clients import close_at_once, leave_at_once, own_database
from .ops import Operation
from .postgres.backend import PostgresBackend
from .postgres.dialects import Other as Dialect
from .postgres.dialects import dialect_of
from .postgres.indexes.indexes import PostgresIndexes
from .postgres.lock.lock import lock_key
from .postgres.server.compared import ComparedDatabase
from .postgres.server.engines import close_pool, engine_of
from .revisions import BackendName, Direction, Step
from .run.run import Run
from .runtime.stopping import Stop
from .runtime.time_limits import GivenLimits
from .tree.directory import ScriptDirectory

__all__ = ["Environment", "leave_at_once"]


class Environment:
    """Creates what a command needs, on first use.

    backend: narrows the run to one side, or with "both" not at all; None: as the app
    says. own_client: use a separate MongoDB client, which dispose() closes: the app's
    is left alone, so that processes forked from this one can use it. on_progress,
    on_step, on_wait: called with what happens, for a person; more: likewise, as in Run.
    stop: checked wherever the run can be interrupted; without it nothing stops the run.
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
        on_step: Callable[[Step], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
        stop: Stop | None = None,
        **more: Any,
    ) -> None:
        self.app = app
        self.db = db
        self.mongo = mongo
        self.config = config
        self.stop = stop or Stop()
        self.run = Run(self, on_step=on_step, on_wait=on_wait, **more)
        self._own_client = own_client
        self._limits = config.limits
        self.reporting: dict[str, Any] = {
            "backend": backend,
            "on_step": on_step,
            "on_wait": on_wait,
            "on_progress": on_progress,
            "stop": self.stop,
        }
        """The arguments that make another environment report like this one."""

    def limit(self, given: GivenLimits) -> None:
        """Set time limits for this run only.

        Raises UsageError for an invalid name or value.
        """
        self._limits = self.config.limits.for_run(given)

    @cached_property
    def available(self) -> tuple[BackendName, ...]:
        """The sides that the app has, in the order they are worked on."""
        return sides_of(self.db, self.mongo)

    @cached_property
    def active(self) -> tuple[BackendName, ...]:
        """The sides that this deployment uses."""
        return self.config.active_backends(self.available)

    @cached_property
    def in_scope(self) -> tuple[BackendName, ...]:
        """The sides of this run: those in use, narrowed by --backend."""
        asked = self.reporting["backend"]
        if asked in (None, "both"):
            return self.active
        if asked not in self.active:
            words = ", ".join(self.active)
            raise UsageError(
                f"--backend {asked} is not in use here (in use: {words})",
                hint="See `active=` of DualMigrate.",
            )
        return (BackendName(asked),)

    @cached_property
    def directory(self) -> ScriptDirectory:
        """The scripts of the tree."""
        return ScriptDirectory(
            self.config.directory,
            self.available,
            before_running=self.run.before_running,
            world_writable=self.config.allow_world_writable,
        )

    @cached_property
    def backup_store(self) -> BackupStore:
        """The folder of the app's backups, which may not exist."""
        given = self.config.backup_dir
        place = Path(self.app.instance_path) / "dualmigrate_backups"
        return BackupStore(Path(given).absolute() if given else place, unreadable)

    @cached_property
    def backends(self) -> dict[BackendName, Backend]:
        """The sides of this run, not yet connected."""
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
            on_progress=self.reporting["on_progress"],
            batch_seconds=self.config.batch_seconds,
            replication_lag_s=self.config.replication_lag_s,
            limits=self._limits,
            stop=self.stop,
        )

    def _postgres_backend(self) -> PostgresBackend:
        assert self.db is not None
        return PostgresBackend(
            self.engine,
            lambda: self.directory,
            options=self.alembic_options,
            metadata=self.db.metadata,
            limits=self._limits,
            x_arg=self.config.x_arg,
            stop=self.stop,
            pg_dump=self.config.pg_dump,
            on_progress=self.reporting["on_progress"],
        )

    @cached_property
    def engine(self) -> sa.Engine:
        """The app's own engine, or a direct one from DUALMIGRATE_POSTGRES_URI."""
        return engine_of(self.db, self.config.postgres_uri)

    @property
    def dialect(self) -> Dialect:
        """The dialect of the SQL side."""
        return dialect_of(self.engine)

    @cached_property
    def alembic_options(self) -> dict[str, Any]:
        """What the app gave Alembic's configure(); its hooks are named if they fail."""
        return with_hook_errors(self.config.alembic_options)

    @property
    def _compared(self) -> ComparedDatabase:
        return ComparedDatabase(
            lambda: self.engine, lambda: self.directory, x_arg=self.config.x_arg
        )

    @cached_property
    def models(self) -> Models:
        """The app's models, for comparison with both sides and with the scripts."""
        return Models(
            None if self.db is None else self.db.metadata,
            naming=Naming(self.config.collections, self.config.fields),
            validators=self.config.validators,
            options=self.alembic_options,
            database=self._compared,
            directory=lambda: self.directory,
        )

    @property
    def compares_models(self) -> bool:
        """Whether the models can be compared with a database, which is PostgreSQL."""
        return BackendName.POSTGRES in self.in_scope

    @cached_property
    def index_sides(self) -> tuple[IndexSide, ...]:
        """The indexes of the sides of this run, MongoDB's first."""
        make: dict[BackendName, Callable[[], IndexSide]] = {
            BackendName.MONGO: self._mongo_indexes,
            BackendName.POSTGRES: self._postgres_indexes,
        }
        return tuple(make[name]() for name in self.in_scope)

    def _mongo_indexes(self) -> MongoIndexes:
        side = self.mongo_side("It is MongoDB's indexes that are asked for")
        return MongoIndexes(
            side.db, self._declared_indexes, require_lock=side.require_lock
        )

    def _declared_indexes(self) -> DeclaredIndexes:
        applied = self.backends[BackendName.MONGO].read().applied
        return self.models.mongo_indexes(
            applied,
            documents=lambda: of_documents(self.config.document_classes()),
            scripted=lambda: scripted(self.directory, applied),
        )

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
        hooks = self._compared.hooks() if has_tree else nullcontext()
        with hooks as context:
            return self.models.sql_indexes(connection, context)

    def mongo_operations(self, revision_id: str) -> tuple[Operation, ...]:
        """Return what the upgrade of a Mongo script records, without a database."""
        script = self.directory.script(BackendName.MONGO, revision_id)
        return record_mongo(script, Direction.UPGRADE)

    @property
    def on_postgres(self) -> bool:
        """Whether the SQL side is PostgreSQL; the default if nothing says otherwise."""
        if BackendName.POSTGRES not in self.available:
            return True
        try:
            return self.dialect.has_rules
        except DatabaseUnavailable:  # a deployment that runs on MongoDB
            return True

    def wings(self, *, counts: bool) -> Wings:
        """Return what lint needs from both wings. counts: a MongoDB may be queried."""
        naming, validators = self.models.naming, self.config.validators
        both = len(self.available) == 2
        return Wings(
            record_mongo,
            why_not_standalone,
            CounterpartOperations(naming, validators) if both else None,
            self._facts_of() if counts else lambda revision_id: UNKNOWN,
        )

    def _facts_of(self) -> Callable[[str], Facts]:
        if BackendName.MONGO not in self.in_scope:
            return lambda revision_id: UNKNOWN
        backend = self.backends[BackendName.MONGO]
        return MongoFacts(self._mongo_db, lambda: backend.read().applied).of

    def dispose(self) -> None:
        """Close pooled connections, so that none is left for a fork to share."""
        used = self.__dict__  # do not create it just to close it
        if self._own_client and used.get("_mongo_db") is not None:
            close_at_once(used["_mongo_db"].client)
        if BackendName.POSTGRES in used.get("in_scope", ()):
            close_pool(self.engine)
