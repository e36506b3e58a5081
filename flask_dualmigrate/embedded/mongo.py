"""One mongod in a data folder, as a replica set of one, on 127.0.0.1."""

from __future__ import annotations

import logging
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from ..errors import EmbeddedServerError
from . import logs, process
from .wheels import mongod_program

_HOST = "127.0.0.1"
_SET = "rs0"
_EXIT_PORT_IN_USE = 48  # Source: MongoDB manual, Exit Codes and Statuses.
_ALREADY_INITIALIZED = 23
_PORTS_TRIED = 5
_HINT = "Or set MONGO_URI to a MongoDB server of your own."

_logger = logging.getLogger(__name__)


class MongoServer:
    """The server whose data is in ``<folder>/mongo``.

    Only one process at a time may call `ensure` or `stop`; see `lease`.
    """

    name = "MongoDB"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "mongo"
        self._log = folder / "mongo.log"
        self._port_file = folder / "mongo.port"

    def pid(self) -> int | None:
        """The process id of the running server."""
        try:
            text = (self._data / "mongod.lock").read_text().strip()
        except FileNotFoundError:
            return None
        pid = int(text) if text.isdigit() else 0
        ours = pid and process.belongs(pid, program="mongod", data=self._data)
        return pid if ours else None

    def uri(self, database: str) -> str:
        """The URI of a database on the running server."""
        return (
            f"mongodb://{_HOST}:{self._port()}/{database}"
            f"?replicaSet={_SET}&directConnection=true"
        )

    def ensure(self) -> None:
        """Start the server if it is not running; return when it accepts writes.

        It keeps its port from run to run, unless another program has taken the port.
        """
        pid, port = self.pid(), self._port()
        if pid is not None and port is not None and self._wait(pid, port):
            return
        process.end_all(self._data, "mongod")
        for _ in range(_PORTS_TRIED):
            port = port or _free_port()
            if self._wait(self._start(port), port):
                return
            if logs.mongo_exit_code(logs.read(self._log)) != _EXIT_PORT_IN_USE:
                raise self._error("MongoDB stopped while it started")
            _logger.warning(
                "Port %d is in use by another program; mongod takes another.", port
            )
            port = None
        raise self._error("MongoDB cannot find a free port")

    def stop(self) -> None:
        """Stop the server and leave its data consistent."""
        if (pid := self.pid()) is not None:
            process.end(pid, signal.SIGTERM)
        process.end_all(self._data, "mongod")

    def _start(self, port: int) -> int:
        program = mongod_program(self._folder)
        self._data.mkdir(mode=0o700, exist_ok=True)
        # Written first, so that whoever finds the server running knows its port.
        self._port_file.write_text(f"{port}\n")
        return process.spawn(
            [program, "--dbpath", self._data, *_settings(port)],
            log=self._log,
            cwd=self._data,
        )

    def _wait(self, pid: int, port: int) -> bool:
        """Wait until the server accepts writes; return False if it ends first."""
        deadline = time.monotonic() + process.START_TIMEOUT_S
        problem: Exception | None = None
        while process.alive(pid):
            try:
                if _listens(port) and self._is_primary(port):
                    return True
            except PyMongoError as error:
                problem = error
            if time.monotonic() > deadline:
                raise self._error("MongoDB does not accept writes", problem)
            time.sleep(process.POLL_S)
        return False

    def _is_primary(self, port: int) -> bool:
        """Whether our server accepts writes; makes it a replica set if it is not one.

        It first checks whose server it is: if the port is in use, another program's
        mongod answers while ours is about to give up.
        """
        with _client(port) as client:
            options = client.admin.command("getCmdLineOpts")["parsed"]
            if options.get("storage", {}).get("dbPath") != str(self._data):
                return False
            hello = client.admin.command("hello")
            if "setName" not in hello:
                _form_set(client, f"{_HOST}:{port}")
            return bool(hello["isWritablePrimary"])

    def _port(self) -> int | None:
        try:
            text = self._port_file.read_text().strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() else None

    def _error(
        self, what: str, problem: Exception | None = None
    ) -> EmbeddedServerError:
        reason = str(problem) if problem else logs.mongo_reason(logs.read(self._log))
        return EmbeddedServerError(
            f"{what}: {reason}",
            where=str(self._data),
            hint=f"More is in {self._log}. {_HINT}",
        )


_ENGINE = (
    "log=(prealloc=false),"  # Otherwise 300 MB of journal before the first document.
    # In seconds; otherwise idle files stay open for ten minutes.
    "file_manager=(close_idle_time=5,close_scan_interval=2,close_handle_minimum=100)"
)


def _settings(port: int) -> list[str]:
    return [
        *("--bind_ip", _HOST),
        *("--port", str(port)),
        "--nounixsocket",
        *("--replSet", _SET),
        *("--oplogSize", "1024"),  # MB; otherwise a share of the disk, up to 50 GB.
        *("--wiredTigerCacheSizeGB", "1"),  # Otherwise half of the memory.
        *("--wiredTigerEngineConfigString", _ENGINE),
        # Seconds; otherwise files of dropped data stay open for minutes: a test suite
        # ran into the limit on open files, at which mongod aborts.
        *("--syncdelay", "5"),
        *("--setParameter", "minSnapshotHistoryWindowInSeconds=1"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def _client(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        _HOST,
        port,
        directConnection=True,
        connectTimeoutMS=1_000,
        serverSelectionTimeoutMS=1_000,
        socketTimeoutMS=10_000,
    )


def _form_set(client: MongoClient[dict[str, Any]], host: str) -> None:
    """Make a server a replica set of one, under its current address."""
    config = {"_id": _SET, "members": [{"_id": 0, "host": host}]}
    try:
        client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
        known = client.admin.command("replSetGetConfig")["config"]
        if known["members"][0]["host"] != host:
            known["members"][0]["host"] = host
            known["version"] += 1
            client.admin.command("replSetReconfig", known, force=True)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((_HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    """Return a free port below the range of ephemeral ports.

    Source: Linux, ip_local_port_range, from 32768; IANA and macOS, from 49152.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_HOST, port))
            return port
