"""One run's parts, wired: config, scripts, the two sides, their locks.

Alone in knowing both wings. A side that is not in use is never touched: its object may
not even be initialised.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from alembic.script.base import Script
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from .autogenerate.counterparts import counterparts, script_counterparts
from .autogenerate.naming import Naming
from .autogenerate.sql_indexes import compare_sql_indexes
from .backend import Backend, Progress, State
from .config import Config
from .errors import DatabaseUnavailable, UsageError
from .executor import Executor, StepResult, require_pair
from .graph import RevisionGraph
from .indexes import (
    DeclaredIndexes,
    IndexSide,
    edited_in_scripts,
    settle_declarations,
)
from .lockfile import read_lock_file
from .mongo.backend import MongoBackend
from .mongo.beanie_indexes import of_documents
from .mongo.declared import scripted
from .mongo.indexes import MongoIndexes
from .plan import Plan, States, make_plan
from .postgres.backend import PostgresBackend
from .postgres.indexes import PostgresIndexes
from .revision import BackendName, Direction, Revision, Step
from .script import ScriptDirectory
from .status import refuse_edited
from .waiting import Waiting


class Environment:
    """All that a command needs.

    backend: narrows the run to one side, "both" to neither; None: as the app says.
    on_step, on_progress, on_wait: told what happens, for a person.
    """

    def __init__(
        self,
        app: Flask,
        db: SQLAlchemy | None,
        mongo: PyMongo | None,
        config: Config,
        *,
        backend: str | None = None,
        on_step: Callable[[Step], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.app = app
        self.db = db
        self.mongo = mongo
        self.config = config
        self._backend = backend
        self._on_step = on_step
        self._on_progress = on_progress
        self._on_wait = on_wait or (lambda holder: None)

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
        return ScriptDirectory(self.config.directory, self.available)

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
            raise UsageError(f"{why}; it is not in use here")
        return backend

    def _mongo_backend(self) -> MongoBackend:
        assert self.mongo is not None
        return MongoBackend(
            self.mongo.db,
            lambda: self.directory,
            lease_s=self.config.lock_lease_s,
            on_progress=self._on_progress,
            batch_seconds=self.config.batch_seconds,
            replication_lag_s=self.config.replication_lag_s,
        )

    def _postgres_backend(self) -> PostgresBackend:
        return PostgresBackend(
            self.engine,
            lambda: self.directory,
            options=self.alembic_options,
            metadata=self.metadata,
            lock_timeout_s=self.config.postgres_lock_timeout_s,
            x_arg=self.config.x_arg,
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
        models = counterparts(self.metadata, naming=naming)
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
            lambda connection: compare_sql_indexes(
                connection, self.metadata, options=options
            ),
            version_table=options.get("version_table", "alembic_version"),
            lock_timeout_s=self.config.postgres_lock_timeout_s,
            patience_s=self.config.lock_timeout_s,
        )

    @cached_property
    def engine(self) -> sa.Engine:
        """The app's own engine, or a direct one by DUALMIGRATE_POSTGRES_URI."""
        if self.config.postgres_uri:
            return sa.create_engine(
                self.config.postgres_uri, poolclass=sa.pool.NullPool
            )
        assert self.db is not None
        try:
            return self.db.engine
        except (RuntimeError, KeyError) as error:
            raise DatabaseUnavailable(
                "The app uses PostgreSQL, and its SQLAlchemy object has no engine",
                hint="Call db.init_app(app) with a SQLALCHEMY_DATABASE_URI.",
            ) from error

    @property
    def metadata(self) -> sa.MetaData:
        """The models' tables."""
        assert self.db is not None
        return self.db.metadata

    def mirrored(self) -> tuple[tuple[str, str], ...]:
        """Return the tables that have a collection, each with its name, in order."""
        naming = Naming(self.config.collections, self.config.fields)
        named = ((table, naming.collection(table)) for table in self.metadata.tables)
        return tuple(sorted((table, name) for table, name in named if name is not None))

    @cached_property
    def alembic_options(self) -> dict[str, Any]:
        return dict(self.config.alembic_options)

    def states(self) -> dict[BackendName, State]:
        """Read what the sides of this run have."""
        return {name: backend.read() for name, backend in self.backends.items()}

    def check_servers(self) -> None:
        """Raise DatabaseUnavailable if a side of this run cannot be used."""
        for backend in self.backends.values():
            backend.check()

    def at_head(self) -> bool:
        """Say whether nothing is to do, without a lock and without running a script."""
        root = self.config.directory
        lines = read_lock_file(root)
        if lines is None:
            return False
        graph = RevisionGraph.of_lock_file(root, lines)
        states = (backend.read(graph) for backend in self.backends.values())
        return all(
            state.applied == graph.revisions.keys() and not state.open_entries()
            for state in states
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the locks of all sides of this run, PostgreSQL's first.

        The order is the same everywhere, so that two runs cannot wait for each other.
        """
        with ExitStack() as stack:
            for name in sorted(self.in_scope, reverse=True):
                lock = self.backends[name].lock(
                    timeout_s=self.config.lock_timeout_s,
                    on_wait=Waiting(name, self.backends, self._on_wait),
                )
                stack.enter_context(lock)
            yield

    def migrate(self, target: str, direction: Direction) -> tuple[StepResult, ...]:
        """Bring the sides of this run to a target; returns the steps that were done.

        Where nothing is to do no lock is taken, and nothing is written.
        Raises what the sides raise; PartialFailure where a script failed.
        """
        self.directory.require_pairs()
        self.check_servers()
        states = self.states()
        foreseen = self._checked_plan(target, direction, states)
        if not foreseen.steps and not any(map(State.open_entries, states.values())):
            return ()
        with self.locked():
            return self._migrate(target, direction, foreseen)

    def _migrate(
        self, target: str, direction: Direction, foreseen: Plan
    ) -> tuple[StepResult, ...]:
        """Do the steps that are still to do, now that the locks are held.

        Another run may have done some of them while we waited, and a recovery undoes
        some; -1 must not go one further for that.
        """
        executor = Executor(self.backends, on_step=self._on_step)
        states = self.states()
        plan = self._checked_plan(target, direction, states).within(foreseen)
        for backend in self.backends.values():
            backend.prepare()
        executor.pair(states)
        if executor.recover(states, direction, self._revision_of):
            plan = self.plan(target, direction, self.states()).within(plan)
        return (*executor.undone, *executor.run(plan))

    def _checked_plan(self, target: str, direction: Direction, states: States) -> Plan:
        require_pair(states)
        plan = self.plan(target, direction, states)
        self.preflight(plan)
        return plan

    def decide(self, revision_id: str, step: int, *, done: bool) -> None:
        """Settle a step of a Mongo script that a crash left in doubt.

        Raises UsageError if MongoDB is not in use, IntegrityError if it is in no doubt.
        """
        backend = self.mongo_side("Only steps of MongoDB can be in doubt")
        self.check_servers()
        with self.locked():
            backend.decide(revision_id, step, done=done)

    def _revision_of(self, entry: Any) -> Revision:
        return self.directory.revisions.get(entry.revision, Revision(entry.revision))

    def plan(self, target: str, direction: Direction, states: States) -> Plan:
        """Return the steps to a target from what the sides have.

        Raises IntegrityError if an upgrade would build on a script that was edited
        after it was applied.
        """
        if direction is Direction.UPGRADE:
            refuse_edited(self.directory, states)
        return make_plan(self.directory, states, target, direction)

    def preflight(self, plan: Plan) -> None:
        """Raise, before anything is changed, if a step cannot be done."""
        for name, backend in self.backends.items():
            backend.preflight([s for s in plan.steps if name in s.backends])

    def dispose(self) -> None:
        """Close pooled connections, so that none is left for a fork to share."""
        if BackendName.POSTGRES not in self.__dict__.get("in_scope", ()):
            return
        # The one connection of such a pool is the database itself: SQLite in memory.
        if not isinstance(
            self.engine.pool, sa.pool.StaticPool | sa.pool.SingletonThreadPool
        ):
            self.engine.dispose()
