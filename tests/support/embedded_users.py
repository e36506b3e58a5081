"""Processes that use embedded servers, for the tests to end in all sorts of ways."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

from flask_dualmigrate.embedded import EmbeddedServers

_USE = """
import sys
from pathlib import Path
from flask_dualmigrate.embedded import EmbeddedServers

servers = EmbeddedServers(Path(sys.argv[1]))
for side in sys.argv[2:]:
    print(getattr(servers, f"{side}_uri")(), flush=True)
"""
_UNTIL_TOLD = 'print("ready", flush=True)\nsys.stdin.read()\n'


class User:
    """A process that uses servers until its input ends."""

    def __init__(self, folder: Path, *sides: str, script: str = "") -> None:
        source = _USE + (script or _UNTIL_TOLD)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", source, str(folder), *sides],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until(self, word: str) -> list[str]:
        """The lines that it printed before a word."""
        lines: list[str] = []
        for line in _open(self.process.stdout):
            if line.strip() == word:
                return lines
            lines.append(line.strip())
        raise AssertionError(f"{word} never came: {_open(self.process.stderr).read()}")

    def leave(self) -> None:
        """Let it exit, and see that it had nothing to complain about."""
        _, errors = self.process.communicate(timeout=60)
        assert (self.process.returncode, errors) == (0, "")

    def kill(self) -> None:
        """End it as the kernel would."""
        self.process.kill()
        self.process.communicate(timeout=60)


@contextmanager
def user(folder: Path, *sides: str) -> Iterator[User]:
    """A process that uses servers while the block lasts."""
    started = User(folder, *sides)
    try:
        started.wait_until("ready")
        yield started
    finally:
        started.kill()


def pids(folder: Path) -> dict[str, int]:
    """The process ids of the servers that run, by name."""
    status = EmbeddedServers(folder).status()
    return {server.name: server.pid for server in status if server.pid}


def programs_in(folder: Path) -> list[str]:
    """The server programs at work in a folder, whatever their pid files say."""
    return sorted(
        process.info["name"]
        for process in psutil.process_iter(["name", "cwd", "cmdline"])
        if (process.info["cwd"] or "").startswith(str(folder))
        and any(str(folder) in word for word in process.info["cmdline"] or ())
    )


def eventually(holds: Callable[[], bool], *, timeout_s: float = 20.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_root() -> bool:
    return os.geteuid() == 0


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
