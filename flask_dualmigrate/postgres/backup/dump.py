"""Backing up PostgreSQL: pg_dump, on the snapshot of our own transaction."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from ...backend import Dumped, Extent, Progress
from ...backups import BackedTable, BackupFolder, PostgresPart, Scope, layout
from ...errors import BackupError, redact
from ...revisions import BackendName
from ...runtime.stopping import Stop
from ...sql.names import quote_full
from ...sql.words import Name
from ..server.encodings import codec_of
from ..server.errors import driver_errors
from .libpq import APPLICATION, Libpq, libpq_of
from .programs import Program, find_program
from .schema_text import EMPTY_VIEW

_POLL_S = 0.05
_ARGUMENTS = ("--no-password", "--no-sync")
_TIMEOUTS = ("idle_in_transaction_session_timeout", "statement_timeout")
_END_ORPHANS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = :name "
    "AND usename = current_user"
)

_UNREADABLE = sa.text(
    "SELECT n.nspname, c.relname FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') "
    "AND NOT has_table_privilege(c.oid, 'SELECT')"
)

_EMPTY_VIEWS = sa.text(
    "SELECT pg_catalog.format('%I.%I', schemaname, matviewname)"
    " FROM pg_catalog.pg_matviews WHERE NOT ispopulated ORDER BY 1"
)


def _timeouts(connection: Connection) -> tuple[str, ...]:
    """Return the limits that would end a session that only holds a snapshot."""
    is_known = (connection.dialect.server_version_info or ()) >= (17,)
    return (*_TIMEOUTS, "transaction_timeout") if is_known else _TIMEOUTS


class PostgresDump:
    """Writes one database into a backup; the caller holds the migration lock.

    pg_dump: the one to use; None: search for it. lock_timeout_s: how long to wait for
    the lock of a table; 0: forever. on_progress: called with how much is written.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        pg_dump: str | None,
        lock_timeout_s: float,
        stop: Stop,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._engine = engine
        self._pg_dump = pg_dump
        self._lock_timeout_s = lock_timeout_s
        self._stop = stop
        self._on_progress = on_progress or (lambda progress: None)

    def program(self) -> Program:
        """Find pg_dump; raise BackupError if there is none for this server."""
        with driver_errors("be reached"), self._engine.connect() as connection:
            major = _server_version(connection)[0]
        return find_program("pg_dump", major, self._pg_dump)

    def write(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        """Write dump.pgc and schema.sql, both as of one moment."""
        program = self.program()
        with self._snapshot() as (connection, snapshot):
            link = libpq_of(connection)
            run = _Run(program, link, snapshot, self._lock_timeout_s, self._stop)
            run.encoding = str(connection.scalar(sa.text("SHOW server_encoding")))
            # These are patterns; in quotes no character is a wildcard (manual, psql).
            tables = [item for item in extent.items if item.existed]
            chosen = [f"--table={quote_full((t.schema, t.name))}" for t in tables]
            if extent.scope is Scope.ALL:
                chosen = []
            hidden = [f"--exclude-table={each}" for each in _unreadable(connection)]
            with (
                folder.new_file(layout.POSTGRES_DUMP) as file,
                folder.new_file(layout.POSTGRES_SCHEMA) as schema,
                run.started(file, ["--format=custom", "--compress=1", *chosen]) as data,
                run.started(schema, ["--schema-only", *hidden]) as names,
            ):
                rows = self._count(connection, extent)
                run.wait(data, lambda: self._report(file))
                run.wait(names, lambda: None)
                schema.seek(0, os.SEEK_END)
                empty = connection.scalars(_EMPTY_VIEWS)
                lines = (f"{EMPTY_VIEW}{view}\n" for view in empty)
                schema.writelines(line.encode(run.codec) for line in lines)
            self._report(None)
            version = ".".join(map(str, _server_version(connection)))
        part = PostgresPart(link.database, tuple(applied), rows)
        return Dumped(part, {"pg_dump": program.version, "postgres": version})

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, str]]:
        """Yield a transaction with a snapshot, and the name of that snapshot."""
        with driver_errors("be backed up"), self._engine.connect() as connection:
            # A run that was killed leaves a pg_dump that continues, with its locks.
            connection.execute(_END_ORPHANS, {"name": APPLICATION})
            connection.rollback()
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            for setting in _timeouts(connection):
                connection.exec_driver_sql(f"SET LOCAL {setting} = 0")
            export = sa.text("SELECT pg_export_snapshot()")
            yield connection, str(connection.execute(export).scalar_one())
            connection.rollback()

    def _count(
        self, connection: Connection, extent: Extent
    ) -> tuple[BackedTable, ...] | None:
        """Count the tables' rows while pg_dump reads them; None if it dumps all."""
        if extent.scope is Scope.ALL:
            return None
        return tuple(
            BackedTable(
                item.schema or "",
                item.name,
                self._rows(connection, (item.schema, item.name))
                if item.existed and not item.is_empty
                else 0,
                item.existed,
            )
            for item in extent.items
        )

    def _rows(self, connection: Connection, name: Name) -> int:
        table = quote_full(name).replace("%", "%%")
        with self._stop.at_once():
            query = f"SELECT count(*) FROM ONLY {table}"
            return int(connection.exec_driver_sql(query).scalar_one())

    def _report(self, file: IO[bytes] | None) -> None:
        """Report how much is written. file: None: everything is written."""
        written = 0 if file is None else os.fstat(file.fileno()).st_size
        self._on_progress(
            Progress(
                revision="",
                step=-1,
                verb="back up",
                subject="PostgreSQL",
                done=written // 1024**2,
                total=None,
                ended=file is None,
                unit="MiB",
                backend=BackendName.POSTGRES,
            )
        )


class _Run:
    """Runs pg_dump into files. encoding: of the database, as PostgreSQL names it."""

    encoding = "UTF8"

    def __init__(
        self,
        program: Program,
        link: Libpq,
        snapshot: str,
        lock_timeout_s: float,
        stop: Stop,
    ) -> None:
        self._program = program
        self._link = link
        self._stop = stop
        self._more = [f"--snapshot={snapshot}"]
        if lock_timeout_s:
            self._more.append(f"--lock-wait-timeout={int(lock_timeout_s * 1000)}")

    @property
    def codec(self) -> str:
        return codec_of(self.encoding)

    @contextmanager
    def started(
        self, file: IO[bytes], arguments: Sequence[str]
    ) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        """Start it, writing to a file; kill it if the block is left before it ends.

        It gets a separate process group, so that Ctrl-C reaches only us.
        """
        words = [self._program.path, self._link.argument(), *_ARGUMENTS, *self._more]
        words += [f"--encoding={self.encoding}"]
        # It expects names as bytes in that encoding.
        chosen = [word.encode(self.codec) for word in arguments]
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    [*words, *chosen],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=said,
                    env=self._link.environment(),
                    process_group=0,
                )
            except OSError as error:
                raise BackupError(
                    f"{self._program.path} cannot be run: {error.strerror or error}"
                ) from error
            try:
                yield process, said
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()

    def wait(
        self,
        started: tuple[subprocess.Popen[bytes], IO[bytes]],
        on_poll: Callable[[], None],
    ) -> None:
        """Wait for its end. Raises BackupError with its output if it failed."""
        process, said = started
        while process.poll() is None:
            self._stop.require()
            on_poll()
            time.sleep(_POLL_S)
        if process.returncode:
            said.seek(0)
            raise _failed(said.read().decode(errors="replace"), process.returncode)


_RIGHTS = (
    "The role needs SELECT on everything that is backed up; or proceed without a "
    "backup: --no-backup"
)
_ROOM = "Free some space there, or name another folder in DUALMIGRATE_BACKUP_DIR."


def _failed(said: str, code: int) -> BackupError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line] or lines
    ended = f"it exited with {code}" if code > 0 else f"it was ended by signal {-code}"
    first = errors[0] if errors else ended
    reason = first.partition("error: ")[2] or first
    return BackupError(
        f"pg_dump could not back up PostgreSQL: {redact(reason).rstrip('.')}; "
        "nothing was migrated",
        hint=_ROOM if "No space left" in reason else _RIGHTS,
    )


def _unreadable(connection: Connection) -> list[str]:
    """Return patterns of the tables that our role may not read, such as other apps'.

    The schema is dumped without them; pg_dump would stop at the first one.
    """
    found = connection.execute(_UNREADABLE).all()
    return [quote_full((schema, name)) for schema, name in found]


def _server_version(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.dialect.server_version_info or (0,))
