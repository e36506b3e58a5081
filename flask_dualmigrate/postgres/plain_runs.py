"""Scripts of other servers than PostgreSQL, run as Alembic runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine

from ..revisions import Direction, Status, Step
from ..runtime.crashpoints import reached
from ..runtime.stopping import Stop
from .dialects import Other
from .journal.journal import PostgresJournal
from .run.attempt import OneAttempt
from .scripts.scripts import PostgresScripts
from .server.alembic_env import run_script
from .server.cancelling import interruptible
from .server.crashpoints import watch
from .server.script_session import own_connection


class PlainRuns:
    """Runs scripts; what commits with what is the server's affair.

    environment: as `environment` takes it.
    """

    def __init__(
        self,
        engine: Engine,
        scripts: PostgresScripts,
        journal: PostgresJournal,
        dialect: Other,
        *,
        environment: Mapping[str, Any],
        stop: Stop,
    ) -> None:
        self._engine = engine
        self._scripts = scripts
        self._journal = journal
        self._dialect = dialect
        self._environment = environment
        self._stop = stop
        self.has_versions = False

    def keeping(self) -> AbstractContextManager[None]:
        """Do nothing: each script gets a connection of the pool."""
        return nullcontext()

    def drop_session(self) -> None:
        """Do nothing: none is kept."""

    def once(self, step: Step, attempt: OneAttempt) -> Callable[[], None]:
        """Return what runs the script, its verify, the version row and the journal."""
        started_at, started = datetime.now(UTC), time.monotonic()

        def before_commit(*, ctx: MigrationContext, **_: Any) -> None:
            connection = ctx.connection
            assert connection is not None
            reached("postgres.version_row")
            up = step.direction is Direction.UPGRADE
            with interruptible(connection, self._stop):
                if up:
                    self._scripts.verify(step.revision, connection)
            self._journal.write(
                connection,
                step.revision,
                direction=step.direction,
                status=Status.APPLIED if up else Status.ROLLED_BACK,
                checksum=self._scripts.checksum(step.revision),
                started_at=started_at,
                duration_ms=int((time.monotonic() - started) * 1000),
            )
            self._dialect.lock.require(connection)

        return lambda: self._run(step, attempt, before_commit)

    def _run(
        self, step: Step, attempt: OneAttempt, before_commit: Callable[..., None]
    ) -> None:
        closed = self._dialect.closes_sessions
        with own_connection(self._engine, closed=closed) as connection:
            watch(connection)
            try:
                run_script(
                    connection,
                    self._scripts.directory,
                    self._scripts.of(step.revision),
                    step.direction,
                    before_script=lambda: attempt.begin(connection),
                    before_commit=before_commit,
                    guard=lambda: interruptible(connection, self._stop),
                    **self._environment,
                )
            finally:
                attempt.leave(connection)
        reached("postgres.commit.after")
