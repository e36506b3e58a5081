"""The PostgreSQL side of a run: one transaction a revision, whose COMMIT decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ..backend import (
    Doubt,
    Dumped,
    Extent,
    PlannedStep,
    Progress,
    State,
    Ways,
)
from ..backups import BackupFolder, Manifest
from ..crashpoints import around, reached
from ..errors import DatabaseUnavailable, DualMigrateError, OutcomeUnknown
from ..graph import RevisionGraph
from ..holder import Holder, OnWait
from ..journal import Entry, Undone
from ..limits import DEFAULT, Limits
from ..restoration import Kept, Restorer
from ..revision import BackendName, Direction, Revision, Status, Step
from ..script import ScriptDirectory
from ..stopping import NEVER, Stop
from ..user_code import FAILURES
from .asking import ask
from .cancelling import interruptible
from .content import Content, pg_restore_for
from .crashpoints import watch
from .data import PostgresData
from .dump import PostgresDump
from .env import run_script
from .errors import connection_lost, driver_errors
from .failures import script_failure
from .journal import PostgresJournal, now_of
from .limits import Attempt
from .lock import PostgresLock, lock_key
from .other_dialects import dump_sqlite
from .preflight import refuse_invalid_indexes, refuse_tables_without_history
from .privileges import require_privileges, require_writable
from .restore import PostgresRestorer
from .restore_sqlite import SqliteRestorer
from .scripts import PostgresScripts
from .scripts_session import own_connection
from .sqlite_lock import SqliteLock
from .versions import applied_below, read_heads, write_heads


class PostgresBackend(PostgresData):
    """Applies the Alembic scripts of a tree through one engine.

    options: the app's arguments for Alembic's configure().
    limits: of the app and of the run; each script may have its own.
    stop: cuts a script short; its transaction rolls back.
    pg_dump, on_progress: as PostgresDump takes them.
    """

    name = BackendName.POSTGRES
    atomic = True

    def __init__(
        self,
        engine: Engine,
        load: Callable[[], ScriptDirectory],
        *,
        options: dict[str, Any],
        metadata: Any = None,
        limits: Limits = DEFAULT,
        x_arg: Sequence[str] = (),
        stop: Stop = NEVER,
        pg_dump: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.engine = engine
        self._options = options
        self._environment = {"options": options, "x_arg": x_arg, "metadata": metadata}
        self._stop = stop
        self._limits = limits
        self._pg_dump = pg_dump
        self._on_progress = on_progress
        self._schema = options.get("version_table_schema")
        self._metadata = metadata
        self._version_table = options.get("version_table", "alembic_version")
        self._scripts = PostgresScripts(
            load,
            engine.dialect.name,
            environment_options=self._environment,
            limits=limits,
            schema=self._schema,
        )
        self._journal = PostgresJournal(self._schema)
        self._dump = PostgresDump(
            engine,
            pg_dump=pg_dump,
            lock_timeout_s=limits.lock_timeout_s,
            stop=stop,
            on_progress=on_progress,
        )
        self._key = lock_key(self._schema)
        self._lock = PostgresLock(engine, key=self._key, keep_going=stop.require)
        self._file_lock = SqliteLock(engine, keep_going=stop.require)

    @property
    def _directory(self) -> ScriptDirectory:
        return self._scripts.directory

    @property
    def _is_postgres(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    @property
    def _is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def check(self) -> None:
        with driver_errors("be reached"), self.engine.connect() as connection:
            if not self._is_postgres:
                return
            query = sa.text("SELECT pg_is_in_recovery()")
            in_recovery = connection.execute(query).scalar_one()
        if in_recovery:
            raise DatabaseUnavailable(
                "This PostgreSQL server is a replica: it takes no writes",
                hint="Name the primary in DATABASE_URL or DUALMIGRATE_POSTGRES_URI.",
            )

    def read(self, graph: RevisionGraph | None = None) -> State:
        graph = graph or self._directory
        heads, entries, (pair_id, restored) = ask(
            self.engine,
            "read its journal",
            lambda connection: (
                read_heads(connection, graph, self._environment),
                self._journal.entries(connection),
                self._journal.pair_and_restored(connection),
            ),
        )
        known = entries or {}
        return State(
            applied_below(heads, graph, known),
            known,
            pair_id,
            heads,
            has_journal=entries is not None,
            restored=restored,
            unused=pair_id is not None and not heads and not known,
        )

    def lock(
        self, *, timeout_s: float, on_wait: OnWait
    ) -> AbstractContextManager[None]:
        if self._is_sqlite:
            return self._file_lock.held(timeout_s=timeout_s, on_wait=on_wait)
        if not self._is_postgres:
            return nullcontext()
        return self._lock.held(timeout_s=timeout_s, on_wait=on_wait)

    def holder(self) -> Holder | None:
        if self._is_sqlite:
            return self._file_lock.holder()
        if not self._is_postgres:
            return None
        with driver_errors("read its lock"):
            return self._lock.holder()

    def outwatch(self, holder: Holder) -> bool:
        return False  # a session has no lease

    @around("postgres.lock.free")
    def free(self, holder: Holder) -> bool:
        if self._is_sqlite:
            return self._file_lock.free(holder)
        with driver_errors("free its lock"):
            return self._lock.free(holder)

    @around("postgres.prepare")
    def prepare(self) -> None:
        with driver_errors("make its journal"), self.engine.begin() as connection:
            self._journal.create(connection)

    @around("postgres.pair_id")
    def set_pair_id(self, pair_id: str, *, anew: bool = False) -> None:
        with driver_errors("write its journal"), self.engine.begin() as connection:
            self._journal.set_pair_id(connection, pair_id, anew=anew)
            self._lock.require(connection)

    def preflight(self, steps: Sequence[Step]) -> None:
        scripts = self._scripts.fit(steps)
        if any(
            not s.revision.parents and s.direction is Direction.UPGRADE for s in steps
        ):
            refuse_tables_without_history(self.engine, scripts)
        if self._is_postgres:
            refuse_invalid_indexes(
                self.engine,
                self._key,
                [
                    (script, step.direction)
                    for script, step in zip(scripts, steps, strict=True)
                ],
            )

    def check_rights(self, steps: Sequence[Step]) -> None:
        if not self._is_postgres:
            return
        scripts = [(self._scripts.of(step.revision), step.direction) for step in steps]
        ours = [self._version_table, *(table.name for table in self._journal.tables)]
        with driver_errors("tell its rights"), self.engine.connect() as connection:
            require_writable(connection)
            require_privileges(connection, scripts, ours=ours, schema=self._schema)

    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        return tuple(map(self._scripts.planned, steps))

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        return self._scripts.as_sql(steps, applied)

    def execute(self, step: Step, *, partner: bool) -> None:
        """Run the script, its verify, the version row and the journal row; COMMIT."""
        started_at, started = self._now(), time.monotonic()

        def before_commit(*, ctx: MigrationContext, **_: Any) -> None:
            assert ctx.connection is not None
            reached("postgres.version_row")
            with interruptible(ctx.connection, self._stop):
                if step.direction is Direction.UPGRADE:
                    self._scripts.verify(step.revision, ctx.connection)
            self._write(ctx.connection, step, started_at, started)
            self._lock.require(ctx.connection)

        limits = self._scripts.limits_of(step)
        attempt = Attempt(self.engine, limits, self._stop, key=self._key)
        try:
            attempt.repeat(lambda: self._run(step, attempt, before_commit))
        except DualMigrateError:
            raise
        # A script that calls sys.exit() has failed like any other.
        except FAILURES as error:
            if connection_lost(error) and self._was_committed(step, attempt):
                return
            script = self._scripts.of(step.revision)
            blockers = attempt.blockers
            raise script_failure(script, error, limits, blockers) from error

    def _run(
        self, step: Step, attempt: Attempt, before_commit: Callable[..., None]
    ) -> None:
        with own_connection(self.engine) as connection:
            watch(connection)
            try:
                run_script(
                    connection,
                    self._directory,
                    self._scripts.of(step.revision),
                    step.direction,
                    before_script=lambda: attempt.begin(connection),
                    after_script=lambda: attempt.end_script(connection),
                    before_commit=before_commit,
                    guard=lambda: interruptible(connection, self._stop),
                    **self._environment,
                )
            finally:
                attempt.leave(connection)
        reached("postgres.commit.after")

    def _now(self) -> datetime:
        """Return the server's time: the clocks of clients may differ by hours."""
        if not self._is_postgres:
            return datetime.now(UTC)

        def now(connection: Connection) -> datetime:
            asked = connection.execute(sa.select(now_of(connection)))
            found: datetime = asked.scalar_one()
            return found

        return ask(self.engine, "be reached", now)

    def _write(
        self, connection: Connection, step: Step, started_at: datetime, started: float
    ) -> None:
        up = step.direction is Direction.UPGRADE
        self._journal.write(
            connection,
            step.revision,
            direction=step.direction,
            status=Status.APPLIED if up else Status.ROLLED_BACK,
            checksum=self._scripts.checksum(step.revision),
            started_at=started_at,
            duration_ms=int((time.monotonic() - started) * 1000),
        )

    def _was_committed(self, step: Step, attempt: Attempt) -> bool:
        """Ask the version table: a connection lost in COMMIT leaves it unknown.

        The server may not have heard of it, and be at the COMMIT still.

        Raises OutcomeUnknown if it cannot be asked.
        """
        try:
            attempt.end()
            applied = step.revision.id in self.read().applied
        except DatabaseUnavailable as error:
            raise OutcomeUnknown(
                f"PostgreSQL went away in the {step.direction} of {step.revision.id}, "
                "and cannot be asked whether it had committed",
                hint="When it is back, run the same command again: it looks first.",
            ) from error
        return applied is (step.direction is Direction.UPGRADE)

    def is_at_work(self) -> bool:
        """On PostgreSQL what is not committed leaves nothing to be at work at."""
        return self._is_sqlite and self.holder() is not None

    def progress(self, entry: Entry) -> Progress | None:
        """Nothing is known before the commit."""
        return None

    def doubts(self, entry: Entry) -> tuple[Doubt, ...]:
        """A transaction leaves none."""
        return ()

    def ways(self, step: Step) -> Ways:
        """A transaction leaves nothing open."""
        return Ways()

    @around("postgres.accept")
    def accept(self, revision: Revision) -> None:
        checksum = self._scripts.checksum(revision)
        with driver_errors("write its journal"), self.engine.begin() as connection:
            self._journal.stamp(connection, applied=[(revision, checksum)], gone=[])

    def verify(self, revision: Revision) -> bool:
        """Call it in a transaction that can write nothing, and is rolled back."""
        with driver_errors("be verified"), own_connection(self.engine) as connection:
            if self._is_postgres:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            found = self._scripts.verify(revision, connection)
            connection.rollback()
        return found

    def restorer(
        self, folder: BackupFolder, manifest: Manifest, *, partner: bool
    ) -> Restorer:
        if not self._is_postgres:
            return SqliteRestorer(
                self.engine,
                folder,
                manifest,
                journal=self._journal,
                version_table=self._version_table,
            )
        return PostgresRestorer(
            self.engine,
            Content(folder, manifest, lambda: pg_restore_for(manifest, self._pg_dump)),
            journal=self._journal,
            version_table=self._version_table,
            limits=self._limits,
            stop=self._stop,
            key=self._key,
            require_lock=self._lock.require,
            on_progress=self._on_progress,
        )

    def finish_restore(self, mark: str) -> tuple[Kept, ...]:
        """Nothing: its commit is the point of no return."""
        return ()

    def keep(self, step: Step, error: str) -> None:
        self.revert(step, error)

    def require_dump(self) -> None:
        if self._is_postgres:
            self._dump.program()

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        if self._is_postgres:
            return self._dump.write(folder, extent, applied)
        with driver_errors("be backed up"), self.engine.connect() as connection:
            return dump_sqlite(connection, folder, applied)

    @around("postgres.revert")
    def revert(
        self, step: Step, error: str | None, *, by_script: bool = True
    ) -> Undone:
        """Write the failure down: the transaction has rolled back by itself."""
        failed = error is not None and step.direction is Direction.UPGRADE
        blamed = failed and by_script
        checksum = self._scripts.checksum(step.revision) if blamed else None
        with suppress(SQLAlchemyError), self.engine.begin() as connection:
            self._journal.write(
                connection,
                step.revision,
                direction=step.direction,
                status=Status.FAILED,
                checksum=checksum,
                error=error,
            )
        if self._is_postgres or error is None:
            return Undone()
        dialect = self.engine.dialect.name
        return Undone(f"{dialect} may have kept what the script had done")

    def settle(self, step: Step) -> None:
        """Nothing is left open after COMMIT."""

    @around("postgres.stamp")
    def stamp(self, revisions: Sequence[Revision]) -> None:
        """Write the version rows and the journal rows in one transaction."""
        wanted = {revision.id: revision for revision in revisions}
        state = self.read()
        applied = state.applied
        marked = [
            (revision, checksum)
            for revision in revisions
            for checksum in [self._scripts.checksum(revision)]
            if revision.id not in applied
            or not state.says_applied(revision.id)
            or getattr(state.entries.get(revision.id), "checksum", None) != checksum
        ]
        # What the journal says too: the version row may say otherwise.
        known = applied | {e.revision for e in state.entries.values() if e.applied}
        gone = [
            self._directory.revisions.get(revision_id, Revision(revision_id))
            for revision_id in sorted(known - wanted.keys())
        ]
        heads = self._directory.heads_of(frozenset(wanted))
        with driver_errors("be stamped"), self.engine.connect() as connection:
            watch(connection)
            with connection.begin():
                write_heads(connection, self._directory, self._environment, heads)
                self._journal.stamp(connection, applied=marked, gone=gone)
                self._lock.require(connection)

    def history(self, revision_id: str) -> tuple[dict[str, Any], ...]:
        """Return all attempts at a revision, oldest first."""
        with driver_errors("read its journal"), self.engine.connect() as connection:
            return self._journal.attempts(connection, revision_id)
