"""The PostgreSQL side of a run: one transaction per revision, whose COMMIT decides."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ..backend import Doubt, Dumped, Extent, PlannedStep, Progress, State, Ways
from ..backend.holder import Holder, OnWait
from ..backend.journal import Entry, Undone
from ..backend.restorer import Kept, Restorer
from ..backups import BackupFolder, Manifest
from ..errors import DatabaseUnavailable, DualMigrateError, OutcomeUnknown
from ..revisions import BackendName, Direction, Revision, Status, Step
from ..runtime.crashpoints import around
from ..runtime.stopping import NEVER, Stop
from ..runtime.time_limits import DEFAULT, Limits
from ..runtime.user_code import FAILURES
from ..tree.directory import ScriptDirectory
from ..tree.graph import RevisionGraph
from .data import PostgresData
from .dialects import PostgreSQL, dialect_of
from .journal.at_once import Found
from .journal.journal import PostgresJournal, last_attempts, pair_and_restored
from .journal.versions import applied_below, read_heads, write_heads
from .plain_runs import PlainRuns
from .preflight.preflight import refuse_tables_without_history
from .run.attempt import OneAttempt
from .run.failures import script_failure
from .scripts.scripts import PostgresScripts
from .server.crashpoints import watch
from .server.errors import connection_lost, driver_errors
from .server.pooled_questions import ask
from .server.script_session import own_connection
from .transactions import Transactions
from .waking import why_absent

_NO_GLIMPSE = (None, 0.0)
_JUST_NOW_S = 1.0
"""Seconds for which what `check` reads counts as read by what follows it."""


class PostgresBackend(PostgresData):
    """Applies the Alembic scripts of a tree through one engine.

    options: the app's arguments for Alembic's configure().
    limits: of the app and of the run; each script may have its own.
    stop: interrupts a script; its transaction rolls back.
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
        self._environment = {"options": options, "x_arg": x_arg, "metadata": metadata}
        self._stop = stop
        self._metadata = metadata
        self._version_table = options.get("version_table", "alembic_version")
        schema = self._schema = options.get("version_table_schema")
        self._dialect = dialect_of(
            engine,
            schema=schema,
            limits=limits,
            stop=stop,
            pg_dump=pg_dump,
            on_progress=on_progress,
        )
        self._scripts = PostgresScripts(
            load,
            self._dialect,
            environment_options=self._environment,
            limits=limits,
            schema=schema,
        )
        self._journal = PostgresJournal(
            schema, now=self._dialect.now, table_options=self._dialect.table_options
        )
        self._lock = self._dialect.lock
        self._reads_at_once = self._dialect.reads_at_once
        self._glimpse: tuple[Found | None, float] = _NO_GLIMPSE
        self._has_journal = False
        runs = (
            functools.partial(Transactions, dialect=self._dialect)
            if isinstance(self._dialect, PostgreSQL)
            else functools.partial(PlainRuns, dialect=self._dialect)
        )
        self._runs: Transactions | PlainRuns = runs(
            engine,
            self._scripts,
            self._journal,
            environment=self._environment,
            stop=stop,
        )

    @property
    def _directory(self) -> ScriptDirectory:
        return self._scripts.directory

    def place(self) -> str:
        url = self.engine.url
        server = f"{url.host or 'this machine'}{f':{url.port}' if url.port else ''}"
        return f"database {url.database} on {server}"

    def why_absent(self, timeout_s: float) -> str | None:
        return why_absent(self.engine, timeout_s)

    def check(self) -> None:
        if self._reads_at_once:
            found = self._look("be reached")
            self._glimpse = found, time.monotonic()
            is_replica = found.is_replica
        else:
            with driver_errors("be reached"), self.engine.connect() as connection:
                is_replica = self._dialect.is_replica(connection)
        if is_replica:
            raise DatabaseUnavailable(
                "This PostgreSQL server is a replica: it accepts no writes",
                hint="Name the primary in DATABASE_URL or DUALMIGRATE_POSTGRES_URI.",
            )

    def read(self, graph: RevisionGraph | None = None) -> State:
        graph = graph or self._directory
        self._runs.drop_session()  # two connections must do
        if self._reads_at_once:
            found = self._glimpsed() or self._look("read its journal")
            heads = found.heads or ()
            entries, pair_id, restored = None, None, None
            if found.attempts is not None:
                entries = last_attempts(found.attempts)
                pair_id, restored = pair_and_restored(found.meta or {})
        else:
            heads, entries, (pair_id, restored) = self._read_by_table(graph)
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

    def _read_by_table(self, graph: RevisionGraph) -> Any:
        return ask(
            self.engine,
            "read its journal",
            lambda connection: (
                read_heads(connection, graph, self._environment),
                self._journal.entries(connection),
                self._journal.pair_and_restored(connection),
            ),
        )

    def _look(self, doing: str) -> Found:
        """Read all at once. doing: what for, as `ask` takes it."""
        names = self.engine.dialect.identifier_preparer
        table = sa.table(self._version_table, schema=self._schema)
        versions = names.format_table(table)
        found = ask(
            self.engine,
            doing,
            lambda connection: self._journal.look(connection, versions),
            apart=True,
        )
        self._runs.has_versions = found.heads is not None
        self._has_journal = None not in (found.attempts, found.meta)
        return found

    def _glimpsed(self) -> Found | None:
        """Return what `check` has just read, once."""
        (found, at), self._glimpse = self._glimpse, _NO_GLIMPSE
        return found if time.monotonic() - at < _JUST_NOW_S else None

    @contextmanager
    def lock(self, *, timeout_s: float, on_wait: OnWait) -> Iterator[None]:
        self._glimpse = _NO_GLIMPSE
        self._has_journal = False
        with (
            self._lock.held(timeout_s=timeout_s, on_wait=on_wait),
            self._runs.keeping(),
        ):
            yield

    def holder(self) -> Holder | None:
        return self._lock.holder()

    def outwatch(self, holder: Holder) -> bool:
        return False  # a session has no lease

    @around("postgres.lock.free")
    def free(self, holder: Holder) -> bool:
        return self._lock.free(holder)

    @around("postgres.prepare")
    def prepare(self) -> None:
        if self._has_journal:
            return  # seen since the lock was taken
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
        directions = [step.direction for step in steps]
        self._dialect.refuse_state(list(zip(scripts, directions, strict=True)))

    def check_rights(self, steps: Sequence[Step]) -> None:
        self._dialect.require_rights(
            lambda: [(self._scripts.of(s.revision), s.direction) for s in steps],
            self._ours(),
        )

    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        return tuple(map(self._scripts.planned, steps))

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        return self._scripts.as_sql(steps, applied)

    def execute(self, step: Step, *, partner: bool) -> None:
        """Run the script, its verify, the version row and the journal row; COMMIT."""
        limits = self._scripts.limits_of(step)
        attempt = self._dialect.attempt(limits)
        try:
            attempt.repeat(self._runs.once(step, attempt))
        except DualMigrateError:
            raise
        # A script that calls sys.exit() has failed like any other.
        except FAILURES as error:
            if connection_lost(error) and self._was_committed(step, attempt):
                return
            script = self._scripts.of(step.revision)
            blockers = attempt.blockers
            raise script_failure(script, error, limits, blockers) from error

    def _was_committed(self, step: Step, attempt: OneAttempt) -> bool:
        """Ask the version table whether a COMMIT that lost its connection succeeded.

        The server may not have noticed the loss, and may still be committing.

        Raises OutcomeUnknown if the server cannot be queried.
        """
        try:
            attempt.end()
            applied = step.revision.id in self.read().applied
        except DatabaseUnavailable as error:
            raise OutcomeUnknown(
                f"The connection to PostgreSQL was lost during the {step.direction} of "
                f"{step.revision.id}, and it is unknown whether it was committed",
                hint="When the server is back, run the same command again: "
                "it checks first.",
            ) from error
        return applied is (step.direction is Direction.UPGRADE)

    def is_at_work(self) -> bool:
        """Return whether a run is at work; never if uncommitted work leaves nothing."""
        return not self._dialect.is_atomic and self.holder() is not None

    def progress(self, entry: Entry) -> Progress | None:
        """Return None: nothing is known before the commit."""
        return None

    def doubts(self, entry: Entry) -> tuple[Doubt, ...]:
        """Return none: a transaction leaves no step in doubt."""
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
        """Call verify in a transaction that cannot write, and roll it back."""
        closed = self._dialect.closes_sessions
        with (
            driver_errors("be verified"),
            own_connection(self.engine, closed=closed) as connection,
        ):
            self._dialect.forbid_writes(connection)
            found = self._scripts.verify(revision, connection)
            connection.rollback()
        return found

    def restorer(
        self, folder: BackupFolder, manifest: Manifest, *, partner: bool
    ) -> Restorer:
        self._runs.drop_session()  # it counts as at work
        return self._dialect.restorer(
            folder,
            manifest,
            journal=self._journal,
            version_table=self._version_table,
        )

    def finish_restore(self, mark: str) -> tuple[Kept, ...]:
        """Do nothing: its commit is the point of no return."""
        return ()

    def keep(self, step: Step, error: str) -> None:
        self.revert(step, error)

    def require_dump(self) -> None:
        self._dialect.require_dump()

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        return self._dialect.dump(folder, extent, applied)

    @around("postgres.revert")
    def revert(
        self, step: Step, error: str | None, *, by_script: bool = True
    ) -> Undone:
        """Record the failure: the transaction has rolled back by itself."""
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
        return Undone(None if error is None else self._dialect.left_by_failure())

    def settle(self, step: Step) -> None:
        """Do nothing: nothing is left open after COMMIT."""

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
        # Include what the journal says: the version row may say otherwise.
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
