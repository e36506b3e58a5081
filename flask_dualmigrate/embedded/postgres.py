"""One PostgreSQL server in a data folder, on a unix socket."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL

from ..errors import EmbeddedServerError
from . import logs, process
from .account import give, open_programs, open_way, server_uid
from .wheels import POSTGRES_VERSION, postgres_programs

_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_BYTES = 103  # sun_path: 108 on Linux, 104 on macOS, with its final NUL.
_SHORT_PREFIX = "dualmigrate-pg-"
_NEW_CLUSTER = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    # By code points: available on every machine, and MongoDB sorts that way too.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
# No process has this id on any kernel: Linux ends at 2**22.
_NOBODY_PID = 2**31 - 1
_HINT = "Or set DATABASE_URL to a PostgreSQL server of your own."


class PostgresServer:
    """The server whose data is in ``<folder>/postgres``.

    Only one process at a time may call `ensure` or `stop`; see `lease`.
    """

    name = "PostgreSQL"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "postgres"
        self._log = folder / "postgres.log"
        self._pid_file = self._data / "postmaster.pid"

    def pid(self) -> int | None:
        """The process id of the running server."""
        lines = self._pid_lines()
        pid = int(lines[0]) if lines and lines[0].isdigit() else 0
        ours = pid and process.belongs(pid, program="postgres", data=self._data)
        return pid if ours else None

    def uri(self, database: str) -> str:
        """The SQLAlchemy URL of a database on the running server."""
        return URL.create(
            "postgresql+psycopg",
            username="postgres",
            database=database,
            query={"host": str(self._socket_folder()), "port": str(_PORT)},
        ).render_as_string(hide_password=False)

    def ensure(self) -> None:
        """Start the server if it is not running; return when it answers."""
        pid = self.pid()
        if pid is not None and self._wait(pid):
            return
        if not self._wait(self._start()):
            raise self._error(
                "PostgreSQL stopped while it started", logs.read(self._log)
            )

    def create_database(self, name: str) -> None:
        """Create a database on the running server, unless it exists."""
        with self._connect() as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone()
            if not found:
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
                )

    def stop(self) -> None:
        """Stop the server, ending its connections, and leave its data consistent."""
        socket_folder = self._socket_folder()
        if (pid := self.pid()) is not None:
            process.end(pid, signal.SIGINT)
        process.end_all(self._data, "postgres")
        _remove_short(socket_folder)

    def _start(self) -> int:
        programs = postgres_programs()
        self._check_version()
        process.end_all(self._data, "postgres")
        uid = server_uid(self._data)
        if uid is not None:
            open_programs(programs)
            open_way(self._data)
        if not self._data.exists():
            self._init(programs, uid)
        elif uid is not None and self._data.stat().st_uid != uid:
            give(self._data, uid)  # A copy made by root.
        self._clear_leftovers()
        return process.spawn(
            [programs / "postgres", "-D", self._data, *self._settings(uid)],
            log=self._log,
            cwd=self._data,
            uid=uid,
        )

    def _settings(self, uid: int | None) -> list[str]:
        return [
            *("-c", "listen_addresses="),
            *("-p", str(_PORT)),
            *("-c", f'unix_socket_directories="{self._choose_socket_folder(uid)}"'),
        ]

    def _init(self, programs: Path, uid: int | None) -> None:
        """Create the data folder, under another name first: it is never incomplete."""
        part = self._folder / "postgres.part"
        process.end_all(part, "initdb", "postgres")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        if uid is not None:
            give(part, uid)
        made = subprocess.run(
            [programs / "initdb", "-D", part, *_NEW_CLUSTER],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=part,
            env=process.clean_environment(),
            **process.as_user(uid),
        )
        if made.returncode != 0:
            shutil.rmtree(part, ignore_errors=True)
            raise self._error("PostgreSQL cannot create its data folder", made.stdout)
        part.rename(self._data)

    def _check_version(self) -> None:
        if not self._data.exists():
            return
        file = self._data / "PG_VERSION"
        version = file.read_text().strip() if file.exists() else "of an unknown version"
        if version != POSTGRES_VERSION:
            raise EmbeddedServerError(
                f"The data folder belongs to PostgreSQL {version}, "
                f"the wheel contains PostgreSQL {POSTGRES_VERSION}",
                where=str(self._data),
                hint=f"Move the folder away to start with an empty one. {_HINT}",
            )

    def _clear_leftovers(self) -> None:
        """Clean up after a killed server if PostgreSQL itself would fail.

        PostgreSQL treats a lock file as valid if any process now has the id in it. The
        rest of postmaster.pid must stay: PostgreSQL uses it to find shared memory that
        is still in use.
        """
        _remove_short(self._socket_folder())
        (self._data / _SOCKET).unlink(missing_ok=True)
        (self._data / f"{_SOCKET}.lock").unlink(missing_ok=True)
        if lines := self._pid_lines():
            text = "\n".join([str(_NOBODY_PID), *lines[1:]])
            self._pid_file.write_text(f"{text}\n")

    def _choose_socket_folder(self, uid: int | None) -> Path:
        """Return the data folder, or a short one if a socket's path would be too long.

        The path must not contain a comma, which libpq reads as a list of two hosts, a
        space, which SQLAlchemy writes as "+" and libpq does not decode, or a quote.
        """
        path = str(self._data / _SOCKET)
        fits = len(path.encode()) <= _SOCKET_PATH_BYTES
        if fits and not set(path) & set(" ,\"'"):
            return self._data
        short = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir="/tmp"))
        if uid is not None:
            give(short, uid)
        return short

    def _socket_folder(self) -> Path:
        """The folder with the running server's socket.

        Source: PostgreSQL, src/include/utils/pidfile.h, LOCK_FILE_LINE_SOCKET_DIR.
        """
        lines = self._pid_lines()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else self._data

    def _pid_lines(self) -> list[str]:
        try:
            return [line.strip() for line in self._pid_file.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def _wait(self, pid: int) -> bool:
        """Wait until the server answers; return False if it ends first."""
        deadline = time.monotonic() + process.START_TIMEOUT_S
        while process.alive(pid):
            if self._answers():
                return True
            if time.monotonic() > deadline:
                raise self._error("PostgreSQL does not answer", logs.read(self._log))
            time.sleep(process.POLL_S)
        return False

    def _answers(self) -> bool:
        if self.pid() is None:
            return False
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self._socket_folder()),
            port=_PORT,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            connect_timeout=10,
        )

    def _error(self, what: str, output: str) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"{what}: {logs.postgres_reason(output)}",
            where=str(self._data),
            hint=f"More is in {self._log}. {_HINT}",
        )


def _remove_short(folder: Path) -> None:
    if folder.name.startswith(_SHORT_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
