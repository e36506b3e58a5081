"""The two servers of a folder, shared by all processes that use it."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..errors import EmbeddedServerError
from .lease import Lease
from .wheels import WAY_OUT, require

if TYPE_CHECKING:
    from .mongo import MongoServer
    from .postgres import PostgresServer


@dataclass(frozen=True)
class ServerStatus:
    """One server of a folder.

    pid: its process id; None if it is not running.
    uri: where to reach it; None if it is not running.
    """

    name: str
    pid: int | None
    uri: str | None


class EmbeddedServers:
    """PostgreSQL and MongoDB, with their data under one folder.

    folder: created if missing. Holds ``postgres/``, ``mongo/``, their logs and locks.

    Asking for a server's URI starts the server, or attaches to it if it is already
    running. Both are stopped when the last process that uses the folder calls `stop`,
    leaves the ``with`` block, or exits. If a killed process left a server running, the
    next process attaches to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder).resolve()
        self._lease = Lease(self._folder)
        self._keep = self._folder / ".servers.keep"
        self._asked: dict[str, PostgresServer | MongoServer] = {}

    def postgres_uri(self, database: str = "app") -> str:
        """The SQLAlchemy URL of a database, which is created if missing.

        Raises EmbeddedServerError if PostgreSQL does not start.
        """
        with self._using():
            server = self._postgres()
            self._asked[server.name] = server
            server.ensure()
            server.create_database(database)
            return server.uri(database)

    def mongo_uri(self, database: str = "app") -> str:
        """The URI of a database on a replica set of one that accepts writes.

        Raises EmbeddedServerError if mongod does not start.
        """
        with self._using():
            server = self._mongo()
            self._asked[server.name] = server
            server.ensure()
            return server.uri(database)

    def status(self) -> list[ServerStatus]:
        """Return the state of each server that has data in this folder."""
        found = []
        for server in self._known():
            pid = server.pid()
            uri = server.uri("app") if pid is not None else None
            found.append(ServerStatus(server.name, pid, uri))
        return found

    def keep(self, wanted: bool) -> None:
        """Set whether the servers keep running when their last user leaves."""
        with self._using():
            if wanted:
                self._keep.touch()
            else:
                self._keep.unlink(missing_ok=True)

    def stop(self) -> bool:
        """Release the servers, and stop them if no one else uses them.

        Returns whether they were stopped. Does nothing if not in use by this object.
        """
        if not self._lease.held:
            return False
        atexit.unregister(self.stop)
        try:
            if not self._folder.exists():
                # Deleted under its servers, which are now of no use to anyone.
                return _stop_all(self._asked.values())
            with self._changing():
                last = self._lease.is_last() and not self._keep.exists()
                return last and _stop_all(self._known())
        finally:
            self._lease.let_go()

    def __enter__(self) -> Self:
        with self._using():
            return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _postgres(self) -> PostgresServer:
        require("psutil", "psycopg")
        from .postgres import PostgresServer

        return PostgresServer(self._folder)

    def _mongo(self) -> MongoServer:
        require("psutil")
        from .mongo import MongoServer

        return MongoServer(self._folder)

    def _known(self) -> Iterator[PostgresServer | MongoServer]:
        """Return the servers that have data here."""
        if (self._folder / "postgres").exists():
            yield self._postgres()
        if (self._folder / "mongo").exists():
            yield self._mongo()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Make this process a user, and the only one that starts servers meanwhile."""
        with self._changing():
            if not self._lease.held:
                atexit.register(self.stop)
            self._lease.hold()
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._lease.changing():
                yield
        except OSError as error:
            raise EmbeddedServerError(
                f"The servers' folder cannot be used: {error.strerror}",
                where=str(error.filename or self._folder),
                hint=f"Use a folder that can be written; or {WAY_OUT}.",
            ) from error


def _stop_all(servers: Iterable[PostgresServer | MongoServer]) -> bool:
    for server in servers:
        server.stop()
    return True
