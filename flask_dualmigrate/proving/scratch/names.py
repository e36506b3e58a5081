"""The names of scratch databases, and which of them are no longer needed.

A database is removed only if its name says that it is ours, its mark says who created
it, and that process is provably gone: it ran where we run and has ended, or the mark is
older than any test takes. A database left by --keep is marked as such, and stays.
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
"""Maximum length of a name in bytes, allowed by both servers."""

_NAME = re.compile(r".*_scratch_[0-9a-f]{10}$", re.DOTALL)
_OLD = timedelta(hours=24)


def scratch_name(database: str) -> str:
    """Return a unique name derived from a database's own name."""
    suffix = f"_scratch_{secrets.token_hex(5)}"
    base = database.encode()[: _LONGEST - len(suffix)].decode(errors="ignore")
    return f"{base}{suffix}"


def is_scratch_name(name: str) -> bool:
    return _NAME.match(name) is not None


@dataclasses.dataclass(frozen=True)
class Mark:
    """Who created a scratch database. place: the machine and its process namespace."""

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
        """Parse the mark in a text; None if it is not one of this package's."""
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
        return True  # there, signal 0 is not a harmless query
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _place() -> str:
    """Two containers may share a host name, but not a process namespace."""
    namespace = Path("/proc/self/ns/pid")
    inode = namespace.stat().st_ino if namespace.exists() else 0
    return f"{socket.gethostname()}:{inode}"
