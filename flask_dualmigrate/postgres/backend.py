"""The PostgreSQL side of a run: one transaction a revision, whose COMMIT decides."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script.base import Script
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..backend import Doubt, PlannedStep, Progress, State
from ..crashpoints import around, reached
from ..errors import (
    DatabaseUnavailable,
    DualMigrateError,
    OutcomeUnknown,
    ScriptError,
)
from ..graph import RevisionGraph
from ..holder import Holder
from ..journal import Entry
from ..limits import DEFAULT, Limits
from ..revision import BackendName, Direction, Revision, Status, Step
from ..script import ScriptDirectory
from ..stopping import NEVER, Stop
from .crashpoints import watch
from .destructive import destructive_calls
from .env import environment, run_script, script_as_sql
from .errors import connection_lost, driver_errors, first_line, unavailable
from .journal import PostgresJournal, now_of
from .limits import Attempt, limit_error
from .lock import PostgresLock, lock_key
from .offline import OfflineScript
from .preflight import (
    refuse_concurrently,
    refuse_invalid_indexes,
    refuse_irreversible,
    refuse_tables_without_history,
)
from .privileges import require_privileges, require_writable
from .versions import applied_below


class PostgresBackend:
    """Applies the Alembic scripts of a tree through one engine.

    options: the app's arguments for Alembic's configure().
    limits: of the app and of the run; each script may have its own.
    stop: cuts a script short; its transaction rolls back.
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
    ) -> None:
        self.engine = engine
        self._load = load
        self._options = options
        self._environment = {"options": options, "x_arg": x_arg, "metadata": metadata}
        self._limits = limits
        self._stop = stop
        self._schema = options.get("version_table_schema")
        self._journal = PostgresJournal(self._schema)
        self._lock = PostgresLock(
            engine, key=lock_key(self._schema), keep_going=stop.require
        )

    @property
    def _directory(self) -> ScriptDirectory:
        return self._load()

    @property
    def _is_postgres(self) -> bool:
        return self.engine.dialect.name == "postgresql"

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
        with driver_errors("read its journal"), self.engine.connect() as connection:
            with environment(connection, graph, **self._environment) as context:
                heads = tuple(context.get_context().get_current_heads())
            entries = self._journal.entries(connection)
            pair_id = self._journal.pair_id(connection)
        return State(applied_below(heads, graph, entries), entries, pair_id, heads)

    def lock(
        self, *, timeout_s: float, on_wait: Callable[[Holder | None], None]
    ) -> AbstractContextManager[None]:
        """SQLite and its kind lock the whole database by themselves."""
        if not self._is_postgres:
            return nullcontext()
        return self._lock.held(timeout_s=timeout_s, on_wait=on_wait)

    def holder(self) -> Holder | None:
        if not self._is_postgres:
            return None
        with driver_errors("read its lock"):
            return self._lock.holder()

    def free(self, holder: Holder) -> bool:
        with driver_errors("free its lock"):
            return self._lock.free(holder)

    @around("postgres.prepare")
    def prepare(self) -> None:
        with driver_errors("make its journal"), self.engine.begin() as connection:
            self._journal.create(connection)

    @around("postgres.pair_id")
    def set_pair_id(self, pair_id: str) -> None:
        with driver_errors("write its journal"), self.engine.begin() as connection:
            self._journal.set_pair_id(connection, pair_id)

    def preflight(self, steps: Sequence[Step]) -> None:
        scripts = self._fit_scripts(steps)
        if any(
            not s.revision.parents and s.direction is Direction.UPGRADE for s in steps
        ):
            refuse_tables_without_history(self.engine, scripts)
        if self._is_postgres:
            refuse_invalid_indexes(
                self.engine,
                [
                    (script, step.direction)
                    for script, step in zip(scripts, steps, strict=True)
                ],
            )

    def _fit_scripts(self, steps: Sequence[Step]) -> list[Script]:
        """Return the scripts of steps; TreeError for one that cannot be run."""
        scripts = [self._script(step.revision) for step in steps]
        for script, step in zip(scripts, steps, strict=True):
            refuse_irreversible(script, step.direction)
            self._limits_of(step)
            if self._is_postgres:
                refuse_concurrently(script, step.direction)
        return scripts

    def check_rights(self, steps: Sequence[Step]) -> None:
        if not self._is_postgres:
            return
        scripts = [(self._script(step.revision), step.direction) for step in steps]
        version = self._options.get("version_table", "alembic_version")
        ours = [version, *(table.name for table in self._journal.tables)]
        with driver_errors("tell its rights"), self.engine.connect() as connection:
            require_writable(connection)
            require_privileges(connection, scripts, ours=ours, schema=self._schema)

    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        return tuple(map(self._plan, steps))

    def _plan(self, step: Step) -> PlannedStep:
        """Return the statements of a step, as offline mode prints them."""
        buffer = io.StringIO()
        script = self._script(step.revision)
        try:
            script_as_sql(
                self._directory,
                script,
                step.direction,
                dialect_name=self.engine.dialect.name,
                buffer=buffer,
                **self._environment,
            )
        except (NameError, ImportError) as error:
            raise self._failure(step, error) from error
        except Exception as error:
            # A query, say, whose answer the script goes on with: here there is none.
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            buffer.write(f"\n-- the rest cannot be told without a connection: {reason}")
        lines = (line.rstrip() for line in buffer.getvalue().splitlines())
        return PlannedStep(self.name, tuple(line for line in lines if line))

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        self._fit_scripts(steps)
        heads = self._directory.heads_of(frozenset(applied))
        return OfflineScript(
            self._directory,
            self.engine.dialect.name,
            schema=self._schema,
            script_of=lambda step: self._script(step.revision),
            checksum_of=lambda step: self._directory.checksum(
                self.name, step.revision.id
            ),
            environment_options=self._environment,
            limits_of=self._limits_of,
        ).text(steps, heads)

    def destructive(self, step: Step) -> tuple[str, ...]:
        return destructive_calls(self._script(step.revision), step.direction)

    def execute(self, step: Step, *, partner: bool) -> None:
        """Run the script, its verify, the version row and the journal row; COMMIT."""
        started_at, started = self._now(), time.monotonic()

        def before_commit(*, ctx: MigrationContext, **_: Any) -> None:
            assert ctx.connection is not None
            reached("postgres.version_row")
            with self._stop.at_once():
                self._check_constraints(ctx.connection)
                if step.direction is Direction.UPGRADE:
                    self._verify(step.revision, ctx.connection)
            self._write(ctx.connection, step, started_at, started)
            self._lock.require(ctx.connection)

        attempt = Attempt(self.engine, self._limits_of(step), self._stop)
        try:
            attempt.repeat(lambda: self._run(step, attempt, before_commit))
        except DualMigrateError:
            raise
        # A script that calls sys.exit() has failed like any other.
        except (Exception, SystemExit) as error:
            if connection_lost(error) and self._was_committed(step):
                return
            raise self._failure(step, error) from error

    def _run(
        self, step: Step, attempt: Attempt, before_commit: Callable[..., None]
    ) -> None:
        with self.engine.connect() as connection:
            watch(connection)
            run_script(
                connection,
                self._directory,
                self._script(step.revision),
                step.direction,
                before_script=lambda: attempt.begin(connection),
                before_commit=before_commit,
                guard=self._stop.at_once,
                **self._environment,
            )
        reached("postgres.commit.after")

    def _limits_of(self, step: Step) -> Limits:
        script = self._script(step.revision)
        return self._limits.for_script(script.module, script.path, self.name)

    def _now(self) -> datetime:
        """Return the server's time: the clocks of clients may differ by hours."""
        if not self._is_postgres:
            return datetime.now(UTC)
        with driver_errors("be reached"), self.engine.connect() as connection:
            now: datetime = connection.execute(
                sa.select(now_of(connection))
            ).scalar_one()
        return now

    def _check_constraints(self, connection: Connection) -> None:
        if self._is_postgres:
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    @around("postgres.verify")
    def _verify(self, revision: Revision, connection: Connection) -> bool:
        script = self._script(revision)
        verify = getattr(script.module, "verify", None)
        if verify is None:
            return False
        try:
            verify(connection)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ScriptError(
                f"verify(connection) of revision {script.revision} failed: {reason}",
                where=script.path,
            ) from error
        return True

    def _write(
        self, connection: Connection, step: Step, started_at: datetime, started: float
    ) -> None:
        up = step.direction is Direction.UPGRADE
        self._journal.write(
            connection,
            step.revision,
            direction=step.direction,
            status=Status.APPLIED if up else Status.ROLLED_BACK,
            checksum=self._directory.checksum(self.name, step.revision.id),
            started_at=started_at,
            duration_ms=int((time.monotonic() - started) * 1000),
        )

    def _was_committed(self, step: Step) -> bool:
        """Ask the version table: a connection lost in COMMIT leaves it unknown.

        Raises OutcomeUnknown if it cannot be asked.
        """
        try:
            applied = step.revision.id in self.read().applied
        except DatabaseUnavailable as error:
            raise OutcomeUnknown(
                f"PostgreSQL went away in the {step.direction} of {step.revision.id}, "
                "and cannot be asked whether it had committed",
                hint="When it is back, run the same command again: it looks first.",
            ) from error
        return applied is (step.direction is Direction.UPGRADE)

    def _failure(self, step: Step, error: BaseException) -> DualMigrateError:
        script = self._script(step.revision)
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return unavailable("finish a script", error)
        told = limit_error(error, self._limits_of(step), script)
        if told is not None:
            return told
        if isinstance(error, SQLAlchemyError):
            said = first_line(error)
        else:
            said = f"{type(error).__name__}: {error}"
        return ScriptError(
            f"The PostgreSQL script of revision {script.revision} failed: {said}",
            where=script.path,
        )

    def is_at_work(self) -> bool:
        """An attempt that is not committed leaves nothing to be at work at."""
        return False

    def progress(self, entry: Entry) -> Progress | None:
        """Nothing is known before the commit."""
        return None

    def doubts(self, entry: Entry) -> tuple[Doubt, ...]:
        """A transaction leaves none."""
        return ()

    def accept(self, revision: Revision) -> None:
        checksum = self._directory.checksum(self.name, revision.id)
        with driver_errors("write its journal"), self.engine.begin() as connection:
            self._journal.stamp(connection, applied=[(revision, checksum)], gone=[])

    def verify(self, revision: Revision) -> bool:
        """Call it in a transaction that can write nothing, and is rolled back."""
        with driver_errors("be verified"), self.engine.connect() as connection:
            if self._is_postgres:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            found = self._verify(revision, connection)
            connection.rollback()
        return found

    def count(self, name: str, limit: int) -> int | None:
        table = self._environment["metadata"].tables[name]
        rows = sa.select(sa.literal(1)).select_from(table)
        if limit:
            rows = rows.limit(limit)
        query = sa.select(sa.func.count()).select_from(rows.subquery())
        with driver_errors("count rows"), self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(table.name, schema=table.schema):
                return None
            return int(connection.execute(query).scalar_one())

    @around("postgres.revert")
    def revert(self, step: Step, error: str | None) -> str | None:
        """Write the failure down: the transaction has rolled back by itself."""
        with suppress(SQLAlchemyError), self.engine.begin() as connection:
            self._journal.write(
                connection,
                step.revision,
                direction=step.direction,
                status=Status.FAILED,
                checksum=None,
                error=error,
            )
        if self._is_postgres or error is None:
            return None
        return f"{self.engine.dialect.name} may have kept what the script had done"

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
            for checksum in [self._directory.checksum(self.name, revision.id)]
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
        with driver_errors("be stamped"), self.engine.begin() as connection:
            self._stamp_version(connection, heads)
            self._journal.stamp(connection, applied=marked, gone=gone)

    def _stamp_version(self, connection: Connection, heads: Sequence[str]) -> None:
        with environment(connection, self._directory, **self._environment) as context:
            migration = context.get_context()
            migration._ensure_version_table()
            connection.execute(migration._version.delete())
            for head in heads:
                row = migration._version.insert().values(version_num=head)
                connection.execute(row)

    def history(self, revision_id: str) -> tuple[dict[str, Any], ...]:
        """Return all attempts at a revision, oldest first."""
        with driver_errors("read its journal"), self.engine.connect() as connection:
            return self._journal.attempts(connection, revision_id)

    def _script(self, revision: Revision) -> Script:
        return self._directory.script(self.name, revision.id)
