"""One transaction per script in PostgreSQL, in as few round trips as there can be.

One begins it, one ends the script and writes the rows, one is the COMMIT; what the
script sends comes in between.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ..revisions import Direction, Step
from ..runtime.crashpoints import around, reached
from ..runtime.stopping import Stop
from .dialects import PostgreSQL
from .journal.journal import PostgresJournal
from .run.attempt import Attempt, OneAttempt
from .run.closing import close_script, versions_of
from .run.sessions import Session, Sessions
from .scripts.scripts import PostgresScripts
from .server.cancelling import interruptible
from .server.crashpoints import watch
from .server.errors import connection_lost
from .server.one_step import Move, run_step

_TRIES = 5


class Transactions:
    """Runs scripts, one transaction each.

    environment: as `environment` takes it. has_versions: the version table is known to
    be there.
    """

    def __init__(
        self,
        engine: Engine,
        scripts: PostgresScripts,
        journal: PostgresJournal,
        dialect: PostgreSQL,
        *,
        environment: Mapping[str, Any],
        stop: Stop,
    ) -> None:
        self._scripts = scripts
        self._journal = journal
        self._lock = dialect.lock
        self._environment = environment
        self._stop = stop
        self._sessions = Sessions(engine, dialect.leave)
        self.has_versions = False

    def keeping(self) -> AbstractContextManager[None]:
        """Let scripts share a session within the block, if they leave it clean."""
        return self._sessions.keeping()

    def drop_session(self) -> None:
        """End the session that is kept for the next script."""
        self._sessions.drop()

    def once(self, step: Step, attempt: OneAttempt) -> Callable[[], None]:
        """Return what runs the script, its verify, the rows and COMMIT, once.

        A session that was dead already, as all may be after MongoDB worked for long,
        is replaced.
        """
        assert isinstance(attempt, Attempt)
        started = time.monotonic()

        def run() -> None:
            for tries_left in reversed(range(_TRIES)):
                attempt.start_again()
                try:
                    with self._sessions.open() as session:
                        self._run_in(session, step, attempt, started)
                except DBAPIError as error:
                    if attempt.is_begun or not (tries_left and connection_lost(error)):
                        raise
                else:
                    break
            reached("postgres.commit.after")

        return run

    def _run_in(
        self, session: Session, step: Step, attempt: Attempt, started: float
    ) -> None:
        connection = session.connection
        watch(connection)

        def begin(migration: MigrationContext) -> Sequence[str]:
            if not self.has_versions:
                attempt.begin_and_read(connection, is_new=session.is_new)
                heads = migration.get_current_heads()
                if not heads:
                    migration._ensure_version_table()
                return heads
            rows = attempt.begin_and_read(
                connection, text=versions_of(migration), is_new=session.is_new
            )
            return tuple(json.loads(rows or "[]"))

        def finish(migration: MigrationContext, moves: Sequence[Move]) -> None:
            before = attempt.after_script()
            if step.direction is Direction.UPGRADE and self._scripts.has_verify(
                step.revision
            ):
                attempt.end_script(connection)
                before = ()
                self._scripts.verify(step.revision, connection)
            self._close(migration, step, moves, before, started)

        run_step(
            connection,
            self._scripts.directory,
            self._scripts.of(step.revision),
            step.direction,
            begin=begin,
            script_guard=session.watched(),
            guard=lambda: interruptible(connection, self._stop),
            finish=finish,
            **self._environment,
        )
        self.has_versions = True

    @around("postgres.journal.write")
    def _close(
        self,
        migration: MigrationContext,
        step: Step,
        moves: Sequence[Move],
        before: Sequence[str],
        started: float,
    ) -> None:
        connection = migration.connection
        assert connection is not None
        is_held = close_script(
            connection,
            migration,
            moves,
            before=before,
            row=self._journal.row_in_sql(
                connection,
                step.revision,
                direction=step.direction,
                checksum=self._scripts.checksum(step.revision),
                duration_ms=int((time.monotonic() - started) * 1000),
            ),
            holds=self._lock.still_held(),
        )
        reached("postgres.version_row")
        self._lock.refuse_lost(is_held)
