"""A replica set of three members, whose primary steps down, or is killed."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from flask_dualmigrate.embedded.wheels import mongod_program

_HOST = "127.0.0.1"
_WAIT_S = 60.0


class Member:
    """One mongod of a set; a standalone server without one."""

    def __init__(
        self,
        folder: Path,
        number: int,
        port: int,
        *,
        of_set: str | None = "three",
        more: Sequence[str] = (),
    ) -> None:
        self.port = port
        self._data = folder / f"member{number}"
        self._data.mkdir()
        self._command = [
            str(mongod_program(folder)),
            *("--bind_ip", _HOST, "--port", str(port), "--dbpath", str(self._data)),
            *(("--replSet", of_set, "--oplogSize", "256") if of_set else ()),
            # The files of dropped collections stay open until a checkpoint.
            *("--nounixsocket", "--syncdelay", "5"),
            *("--wiredTigerCacheSizeGB", "0.5", "--journalCommitInterval", "2"),
            *("--setParameter", "enableTestCommands=1"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *more,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self._data / "log").open("ab")
        with log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(self._listens)

    def kill(self) -> None:
        """End it as a loss of power does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __str__(self) -> str:
        """Say its state, and the last that it logged of its part in the set."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            state = f"ended with {code}"
        else:
            try:
                with self.client() as client:
                    status = client.admin.command("replSetGetStatus")
                    members = status["members"]
                    state = ", ".join(
                        f"{member['name']} {member['stateStr']} {member.get('optime')}"
                        for member in members
                    )
            except PyMongoError as error:
                state = str(error)
        lines = (self._data / "log").read_text(errors="replace").splitlines()
        kinds = ('"c":"REPL', '"c":"ELECTION"', '"c":"ROLLBACK"', '"s":"F"')
        told = [line for line in lines if any(kind in line for kind in kinds)]
        return "\n".join([f"{self.port}: {state}", *told[-25:]])

    def is_well(self) -> bool:
        with suppress(PyMongoError), self.client() as client:
            hello = client.admin.command("hello")
            return bool(hello["isWritablePrimary"] or hello["secondary"])
        return False

    def client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            _HOST, self.port, directConnection=True, serverSelectionTimeoutMS=500
        )

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((_HOST, self.port)) == 0


class ReplicaSet:
    """Three members."""

    def __init__(self, folder: Path) -> None:
        self.members = [Member(folder, n, free_port()) for n in range(3)]

    def uri(self, database: str) -> str:
        hosts = ",".join(f"{_HOST}:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/{database}?replicaSet=three"

    def start(self) -> None:
        for member in self.members:
            member.start()
        config = {
            "_id": "three",
            "members": [
                {"_id": number, "host": f"{_HOST}:{member.port}"}
                for number, member in enumerate(self.members)
            ],
            "settings": {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200},
        }
        with self.members[0].client() as client:
            client.admin.command("replSetInitiate", config)
        until(lambda: self.primary() is not None)

    def primary(self) -> Member | None:
        for member in self.members:
            with suppress(PyMongoError), member.client() as client:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return member
        return None

    def wait_for_primary(self) -> Member:
        found = self.primary_within(_WAIT_S)
        assert found is not None, str(self)
        return found

    def primary_within(self, timeout_s: float) -> Member | None:
        deadline = time.monotonic() + timeout_s
        while (found := self.primary()) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def __str__(self) -> str:
        return "\n".join(map(str, self.members))

    def wait_until_well(self) -> None:
        """Wait until all three are there again: two that are down have no primary."""
        deadline = time.monotonic() + _WAIT_S
        while not all(member.is_well() for member in self.members):
            assert time.monotonic() < deadline, str(self)
            time.sleep(0.05)

    def step_down(self) -> None:
        """Let another member become the primary, caught up or not."""
        primary = self.wait_for_primary()
        # It may have lost the post by itself meanwhile.
        with primary.client() as client, suppress(PyMongoError):
            client.admin.command(
                "replSetStepDown", 3, secondaryCatchUpPeriodSecs=1, force=True
            )
        self.wait_for_primary()

    def stop(self) -> None:
        for member in self.members:
            with suppress(AssertionError):
                member.kill()


@contextmanager
def replica_set(folder: Path) -> Iterator[ReplicaSet]:
    """Start the three members; they are killed at the end."""
    members = ReplicaSet(folder)
    try:
        members.start()
        yield members
    finally:
        members.stop()


@contextmanager
def standalone(folder: Path) -> Iterator[str]:
    """Start a server that is no member of a set; yields the URI of a database."""
    server = Member(folder, 0, free_port(), of_set=None)
    server.start()
    try:
        yield f"mongodb://{_HOST}:{server.port}/alone"
    finally:
        server.kill()


def until(condition: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "It did not come about in a minute"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
