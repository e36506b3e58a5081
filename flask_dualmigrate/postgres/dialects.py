"""What is known about each SQL dialect: one class each, chosen once by `dialect_of`.

`Other` is what applies to any server that SQLAlchemy supports; the other classes add
what they can do beyond that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..backend import Dumped, Extent, Progress
from ..backend.restorer import Restorer
from ..backups import BackupFolder, Manifest, Scope
from ..errors import BackupError, IntegrityError
from ..revisions import BackendName, Direction
from ..runtime.stopping import NEVER, Stop
from ..runtime.time_limits import DEFAULT, Limits
from ..sql.tables import Mentioned
from ..tree.script_file import LoadedScript
from .backup.dump import PostgresDump
from .backup.extent import extent_of
from .backup.sqlite import dump_sqlite, extent_of_sqlite
from .journal.journal import PostgresJournal
from .lock.at_work import leave
from .lock.lock import PostgresLock, lock_in_script, lock_key
from .lock.mysql import MysqlLock
from .lock.protocol import Lock, NoLock
from .lock.sqlite import SqliteLock
from .preflight.losses import LIMIT_MS, estimated_rows
from .preflight.preflight import refuse_concurrently, refuse_invalid_indexes
from .preflight.privileges import require_privileges
from .restore.content import Content, pg_restore_for
from .restore.restore import PostgresRestorer
from .restore.sqlite import SqliteRestorer
from .run.attempt import Attempt, OneAttempt, limit_statements
from .run.mysql import MysqlAttempt
from .server.errors import driver_errors, error_number
from .server.pooled_questions import ask
from .server.raw import MANY_AT_ONCE

Scripts = Sequence[tuple[LoadedScript, Direction]]
"""Scripts, each with the function to call."""

_REFUSALS = (1044, 1045, 1049)
"""MySQL and MariaDB errors: no access to the database, wrong login, no such one."""


class Other:
    """Any server: DDL commits by itself, and backups are left to its own tools.

    schema: of the version table and the journal; None: the default one. limits: of the
    app and of the run. stop: interrupts a wait. pg_dump, on_progress: as PostgresDump
    takes them.
    """

    is_atomic = False
    """Whether a script, its version row and its journal row share one transaction."""
    closes_sessions = False
    """Whether a script's session is closed afterwards, not returned to the pool."""
    has_rules = False
    """Whether PostgreSQL's lint rules apply."""
    has_index_commands = False
    can_be_proved = False
    """`test` can make databases of it."""
    table_options: Mapping[str, Any] = MappingProxyType({})
    """What the tables of the journal are made with, as `sqlalchemy.Table` takes it."""
    offline_notes: tuple[str, ...] = ()
    """The lines of the header of a `--sql` script."""
    offline_begin = offline_commit = offline_check = ""
    """The statements around the journal's tables, and before a COMMIT."""

    def __init__(
        self,
        engine: Engine,
        *,
        schema: str | None = None,
        limits: Limits = DEFAULT,
        stop: Stop = NEVER,
        pg_dump: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._engine = engine
        self._schema = schema
        self._limits = limits
        self._stop = stop
        self._pg_dump = pg_dump
        self._on_progress = on_progress
        self.lock = self._make_lock()

    def _make_lock(self) -> Lock:
        return NoLock()

    @property
    def reads_at_once(self) -> bool:
        """Whether the journal can be read in one round trip."""
        return False

    @property
    def name(self) -> str:
        """SQLAlchemy's name for it, which Alembic uses too."""
        return self._engine.dialect.name

    def is_replica(self, connection: Connection) -> bool:
        """Return whether the server refuses writes, as far as that is known."""
        return False

    def is_answer(self, error: DBAPIError) -> bool:
        """Return whether a failed connection is the database's answer.

        In that case waiting does not help. False if it is unknown.
        """
        return False

    def now(self) -> sa.ColumnElement[Any]:
        """Return the server's time of day, in UTC."""
        return sa.func.current_timestamp()

    def attempt(self, limits: Limits) -> OneAttempt:
        """Return the context in which a script with such limits is run."""
        return OneAttempt()

    def forbid_writes(self, connection: Connection) -> None:
        """Make the transaction refuse writes, if the server supports that."""

    def left_by_failure(self) -> str | None:
        """Return what a failed script may have left, in words; None: nothing."""
        return f"{self.name} may have kept the script's changes"

    def refuse_script(self, script: LoadedScript, direction: Direction) -> None:
        """Raise TreeError for a script that cannot run on this server."""

    def refuse_state(self, scripts: Scripts) -> None:
        """Raise IntegrityError if scripts would accept something broken as done."""

    def require_rights(
        self, scripts: Callable[[], Scripts], ours: Sequence[str]
    ) -> None:
        """Raise DatabaseUnavailable if a privilege is missing.

        ours: the version table and those of the journal.
        """

    def bound_count(self, connection: Connection) -> None:
        """Limit the time that a count in this transaction may take."""

    def estimated_rows(
        self, connection: Connection, table: str, schema: str | None
    ) -> int | None:
        """Return the server's estimate of the number of rows; None if it has none."""
        return None

    def extent(
        self,
        connection: Connection,
        mentioned: Callable[[], Mentioned] | None,
        ours: Sequence[str],
    ) -> Extent:
        """Return what a backup holds. mentioned: by the scripts; None: everything."""
        why = f"a {self.name} database: use its own tools for that"
        return Extent(BackendName.POSTGRES, Scope.ALL, (), why)

    def require_dump(self) -> None:
        """Raise BackupError if there is no program to back up with."""

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        raise BackupError(
            f"A {self.name} database cannot be backed up here",
            hint="Use that server's own tools.",
        )

    def restorer(
        self,
        folder: BackupFolder,
        manifest: Manifest,
        *,
        journal: PostgresJournal,
        version_table: str,
    ) -> Restorer:
        raise IntegrityError(
            f"The backup cannot be restored here: the app is on {self.name}",
            hint="Restore it on a server of the kind it was made on, or with that "
            "server's own tools.",
        )

    def limit_statements(self, limits: Limits) -> Iterable[str]:
        """Return the statements that limit a transaction in a --sql script."""
        return ()

    def offline_lock(self) -> str:
        """Return the statement that takes the lock in a `--sql` script."""
        return ""

    def offline_columns(self, by: str) -> Mapping[str, Any]:
        """Return the columns of a journal row that the server fills in offline.

        by: goes after the name of the database's user.
        """
        return {"finished_at": self.now(), "by": by}


class SQLite(Other):
    """A file, or a database in memory."""

    def _make_lock(self) -> Lock:
        return SqliteLock(self._engine, keep_going=self._stop.require)

    def is_answer(self, error: DBAPIError) -> bool:
        return True  # there is no server to wait for

    def extent(
        self,
        connection: Connection,
        mentioned: Callable[[], Mentioned] | None,
        ours: Sequence[str],
    ) -> Extent:
        return extent_of_sqlite(connection, ours)

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        with driver_errors("be backed up"), self._engine.connect() as connection:
            return dump_sqlite(connection, folder, applied)

    def restorer(
        self,
        folder: BackupFolder,
        manifest: Manifest,
        *,
        journal: PostgresJournal,
        version_table: str,
    ) -> Restorer:
        return SqliteRestorer(
            self._engine,
            folder,
            manifest,
            journal=journal,
            version_table=version_table,
        )


class MySQL(Other):
    """MySQL and MariaDB: each DDL statement commits, with everything before it."""

    closes_sessions = True
    # A database may have another charset, which cannot hold an error's text.
    table_options = MappingProxyType(
        {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4"}
    )
    lock: MysqlLock

    def _make_lock(self) -> MysqlLock:
        return MysqlLock(
            self._engine, schema=self._schema, keep_going=self._stop.require
        )

    def is_answer(self, error: DBAPIError) -> bool:
        return error_number(error) in _REFUSALS

    def now(self) -> sa.ColumnElement[Any]:
        # Its current_timestamp is in the session's zone, and its columns have no zone.
        return sa.func.utc_timestamp()

    def attempt(self, limits: Limits) -> MysqlAttempt:
        return MysqlAttempt(self.lock)

    def forbid_writes(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


class PostgreSQL(Other):
    """One transaction per script, whose COMMIT decides."""

    is_atomic = True
    closes_sessions = True
    has_rules = True
    has_index_commands = True
    can_be_proved = True
    offline_notes = ("Stop at the first error: psql -X -v ON_ERROR_STOP=1 -f FILE",)
    offline_begin, offline_commit = "BEGIN;\n\n", "COMMIT;\n\n"
    offline_check = "SET CONSTRAINTS ALL IMMEDIATE;"
    lock: PostgresLock

    def _make_lock(self) -> PostgresLock:
        return PostgresLock(self._engine, key=self._key, keep_going=self._stop.require)

    @property
    def _key(self) -> int:
        return lock_key(self._schema)

    @property
    def _dump(self) -> PostgresDump:
        return PostgresDump(
            self._engine,
            pg_dump=self._pg_dump,
            lock_timeout_s=self._limits.lock_timeout_s,
            stop=self._stop,
            on_progress=self._on_progress,
        )

    @property
    def reads_at_once(self) -> bool:
        return self._engine.dialect.driver in MANY_AT_ONCE

    def is_replica(self, connection: Connection) -> bool:
        query = sa.text("SELECT pg_is_in_recovery()")
        return bool(connection.execute(query).scalar_one())

    def now(self) -> sa.ColumnElement[Any]:
        # Not the time at which the transaction began.
        return sa.func.clock_timestamp()

    def attempt(self, limits: Limits) -> Attempt:
        return Attempt(self._engine, limits, self._stop, key=self._key)

    def leave(self, connection: Connection) -> None:
        """Mark a script's session as no longer at work."""
        leave(connection, self._key)

    def forbid_writes(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def left_by_failure(self) -> None:
        return None

    def refuse_script(self, script: LoadedScript, direction: Direction) -> None:
        refuse_concurrently(script, direction)

    def refuse_state(self, scripts: Scripts) -> None:
        refuse_invalid_indexes(self._engine, self._key, scripts)

    def require_rights(
        self, scripts: Callable[[], Scripts], ours: Sequence[str]
    ) -> None:
        found = scripts()
        ask(
            self._engine,
            "tell its rights",
            lambda connection: require_privileges(
                connection, found, ours=ours, schema=self._schema
            ),
            apart=True,
        )

    def bound_count(self, connection: Connection) -> None:
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {LIMIT_MS}"))

    def estimated_rows(
        self, connection: Connection, table: str, schema: str | None
    ) -> int | None:
        return estimated_rows(connection, table, schema)

    def extent(
        self,
        connection: Connection,
        mentioned: Callable[[], Mentioned] | None,
        ours: Sequence[str],
    ) -> Extent:
        journal = [(self._schema, name) for name in ours]
        return extent_of(connection, mentioned, journal=journal)

    def require_dump(self) -> None:
        self._dump.program()

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        return self._dump.write(folder, extent, applied)

    def restorer(
        self,
        folder: BackupFolder,
        manifest: Manifest,
        *,
        journal: PostgresJournal,
        version_table: str,
    ) -> Restorer:
        return PostgresRestorer(
            self._engine,
            Content(folder, manifest, lambda: pg_restore_for(manifest, self._pg_dump)),
            journal=journal,
            version_table=version_table,
            limits=self._limits,
            stop=self._stop,
            key=self._key,
            require_lock=self.lock.require,
            on_progress=self._on_progress,
        )

    def limit_statements(self, limits: Limits) -> Iterator[str]:
        return limit_statements(limits)

    def offline_lock(self) -> str:
        return lock_in_script(self._key)

    def offline_columns(self, by: str) -> Mapping[str, Any]:
        now, begun = self.now(), sa.func.now()
        took = sa.extract("epoch", now - begun)
        client = sa.cast(sa.func.inet_client_addr(), sa.Text)
        return {
            "started_at": begun,
            "finished_at": now,
            "duration_ms": sa.cast(took * 1000, sa.BigInteger),
            "by": sa.func.concat(sa.text("session_user"), f" {by}"),
            "host": sa.func.coalesce(client, "local"),
        }


_CLASSES: Mapping[str, type[Other]] = {
    "postgresql": PostgreSQL,
    "sqlite": SQLite,
    "mysql": MySQL,
    "mariadb": MySQL,
}


def dialect_of(engine: Engine, **options: Any) -> Other:
    """Return the class for an engine's dialect. options: those of `Other`."""
    return _CLASSES.get(engine.dialect.name, Other)(engine, **options)
