"""Restoring PostgreSQL from a backup in one transaction, whose COMMIT decides.

DDL is transactional here, so the transaction is the staging area: until the COMMIT
everything stays as it is for everyone else, and if anything fails. This works with
other sessions connected, unlike renaming or dropping a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...backend import Progress
from ...backend.restorer import Kept, Replacement
from ...errors import DatabaseUnavailable, DualMigrateError, LockTimeout, OutcomeUnknown
from ...revisions import BackendName
from ...runtime.crashpoints import reached
from ...runtime.stopping import Stop
from ...runtime.time_limits import Limits
from ..journal.journal import PostgresJournal
from ..run.attempt import Attempt, held_by, limit_statements
from ..server.errors import connection_lost, driver_errors, server_words
from ..server.raw import require_copy
from . import live_tables as live
from .content import Content
from .live_tables import LiveTable
from .replace_tables import Replacing, doomed_tables, shown
from .surroundings import NOTHING, Around, around

_NO_LOCK = "55P03"
_NO_SUCH_ROW = "23503"


class PostgresRestorer:
    """Restores the tables of one backup, or all that a database had.

    require_lock: raises if our lock is gone. version_table: Alembic's; it and the
    journal are never kept.
    """

    atomic = True

    def __init__(
        self,
        engine: Engine,
        content: Content,
        *,
        journal: PostgresJournal,
        version_table: str,
        limits: Limits,
        stop: Stop,
        key: int,
        require_lock: Callable[[Connection], None],
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._engine = engine
        self._content = content
        self._journal = journal
        self._ours = {version_table, *(table.name for table in journal.tables)}
        self._limits = limits
        self._stop = stop
        self._key = key
        self._require_lock = require_lock
        self._on_progress = on_progress

    def check(self) -> None:
        """Check that the dump can be read to its end, and put back where it was."""
        self._content.require_consistent()
        assert self._content.rows is not None
        with self._reading() as connection:
            require_copy(connection)
            doomed = self._doomed(connection)
            self._around(connection, doomed).require_nothing_lost()

    def _around(self, connection: Connection, doomed: list[LiveTable]) -> Around:
        if self._content.tables is None:
            return NOTHING
        connection.exec_driver_sql("SET LOCAL search_path = ''")
        return around(connection, doomed, self._content.entries)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Yield a connection that waits for a table no longer than the switch does."""
        with driver_errors("be read"), self._engine.connect() as connection:
            for statement in limit_statements(self._limits):
                connection.exec_driver_sql(statement)
            try:
                yield connection
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) == _NO_LOCK:
                    raise self._failure(error) from error
                raise

    def _doomed(self, connection: Connection) -> list[LiveTable]:
        return doomed_tables(connection, self._content.tables)

    def replacements(self) -> tuple[Replacement, ...]:
        with self._reading() as connection:
            doomed = self._doomed(connection)
            now = {table.key: live.count(connection, table) for table in doomed}
            since = self._around(connection, doomed).made_since
        rows, tables = self._content.rows, self._content.tables
        then = {
            key: rows.get(key, 0)
            for key in self._content.existed
            if tables is None or key in tables
        }
        tables_of = (
            Replacement(BackendName.POSTGRES, shown(key), now.get(key), then.get(key))
            for key in sorted(then.keys() | now.keys())
            if key[1] not in self._ours
        )
        others = (Replacement(BackendName.POSTGRES, said, None, None) for said in since)
        return (*tables_of, *others)

    def load(self, mark: str) -> None:
        """Do nothing: the transaction of `switch` is the staging area."""

    def discard(self, mark: str) -> None:
        """Do nothing: what was not committed does not exist."""

    def switch(self, mark: str) -> tuple[Kept, ...]:
        """Replace the tables, including the journal, and leave the mark.

        Raises DatabaseUnavailable, with nothing changed, if it cannot be done.
        """
        if self._has(mark):
            return ()
        kept: list[Kept] = []
        attempt = Attempt(self._engine, self._limits, self._stop, key=self._key)

        def once() -> None:
            with self._engine.connect() as connection:
                try:
                    kept[:] = self._switch(connection, attempt, mark)
                finally:
                    attempt.leave(connection)

        try:
            attempt.repeat(once)
        except SQLAlchemyError as error:
            if not (connection_lost(error) and self._was_committed(mark, attempt)):
                raise self._failure(error, attempt.blockers) from error
        reached("postgres.restore.committed")
        return tuple(kept)

    def _has(self, mark: str) -> bool:
        with driver_errors("read its journal"), self._engine.connect() as connection:
            return self._journal.restored(connection) == mark

    def _was_committed(self, mark: str, attempt: Attempt) -> bool:
        try:
            attempt.end()
            return self._has(mark)
        except DatabaseUnavailable as error:
            raise OutcomeUnknown(
                "The connection to PostgreSQL was lost during the restore, "
                "and it is unknown whether it was committed",
                hint="When the server is back, run the same command again: "
                "it checks first.",
            ) from error

    def _failure(
        self, error: SQLAlchemyError, blockers: Sequence[str] = ()
    ) -> DualMigrateError:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if state == _NO_LOCK:
            return LockTimeout(
                "PostgreSQL was not restored: could not get a table's "
                f"lock within lock_timeout, {self._limits.lock_timeout_s:g} s"
                f"{held_by(blockers)}; nothing was changed",
                hint="Another session holds it: see pg_locks. Try again, or raise "
                "DUALMIGRATE_POSTGRES_LOCK_TIMEOUT_S.",
            )
        hint = "Nothing was changed there."
        if state == _NO_SUCH_ROW:
            hint = (
                "Nothing was changed. Rows of a table that is not in this backup "
                "refer to rows added later: delete those, or restore another backup."
            )
        return DatabaseUnavailable(
            f"PostgreSQL could not be restored: {server_words(error)}", hint=hint
        )

    def _switch(
        self, connection: Connection, attempt: Attempt, mark: str
    ) -> list[Kept]:
        with connection.begin():
            attempt.begin(connection)
            kept = Replacing(
                connection,
                self._content,
                ours=self._ours,
                stop=self._stop,
                on_progress=self._on_progress,
            ).run()
            self._journal.create(connection)
            self._journal.set_restored(connection, mark)
            self._require_lock(connection)
            reached("postgres.restore.replaced")
        return kept
