"""The names of scratch databases, and which of them are no longer needed.

A database is removed only where its name says that it is ours, its mark says who made
it, and that process is provably gone: it ran where we run and is no more, or the mark
is older than any test takes. What --keep left is marked so, and stays.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

_LONGEST = 63
"""Bytes of a name, as both servers allow."""

_NAME = re.compile(r".*_scratch_[0-9a-f]{10}$", re.DOTALL)
_OLD = timedelta(hours=24)


def scratch_name(database: str) -> str:
    """Return a name beside a database's own that no other one has."""
    suffix = f"_scratch_{secrets.token_hex(5)}"
    base = database.encode()[: _LONGEST - len(suffix)].decode(errors="ignore")
    return f"{base}{suffix}"


def is_scratch_name(name: str) -> bool:
    return _NAME.match(name) is not None


@dataclasses.dataclass(frozen=True)
class Mark:
    """Who made a scratch database. place: the machine and its set of processes."""

    place: str
    pid: int
    made_at: str
    kept: bool = False

    @classmethod
    def own(cls, *, kept: bool = False) -> Mark:
        return cls(_place(), os.getpid(), datetime.now(UTC).isoformat(), kept)

    def text(self) -> str:
        return json.dumps({"dualmigrate_scratch": dataclasses.asdict(self)})

    @classmethod
    def of(cls, text: object) -> Mark | None:
        """Return the mark in a text; None: it is not one of this package's."""
        try:
            return cls(**json.loads(str(text))["dualmigrate_scratch"])
        except (ValueError, TypeError, KeyError):
            return None

    def is_dead(self) -> bool:
        """Return whether the database is provably abandoned."""
        if self.kept:
            return False
        if self.place == _place() and not _runs(self.pid):
            return True
        return datetime.now(UTC) - datetime.fromisoformat(self.made_at) > _OLD


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # there, a signal of 0 is no question
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _place() -> str:
    """Two containers may have one host name, but not one namespace of processes."""
    namespace = Path("/proc/self/ns/pid")
    inode = namespace.stat().st_ino if namespace.exists() else 0
    return f"{socket.gethostname()}:{inode}"
