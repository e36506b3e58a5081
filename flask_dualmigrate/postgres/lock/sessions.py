"""The name of the session that holds the lock, which every role may read.

It stands in application_name, which the server cuts at 63 bytes: the host comes last.
"""

from __future__ import annotations

import dataclasses
import re

from ...backend.holder import mark_of
from ...backend.journal import Actor

_LONGEST = 63
_LONGEST_USER = 16
_NAME = re.compile(
    r"dualmigrate:(?P<pid>\d+):(?P<mark>[0-9a-f.]*):(?P<user>[^@]*)@(?P<host>.*)"
)


@dataclasses.dataclass(frozen=True)
class SessionName:
    """What a name says; nothing if it is not ours. `mark` as `mark_of` has it.

    A host that was cut ends in `~`.
    """

    user: str | None = None
    host: str | None = None
    pid: int | None = None
    mark: str | None = None


def session_name(actor: Actor) -> str:
    """Return the name for a session of ours: printable ASCII, 63 bytes at most."""
    user = _ascii(actor.user).replace("@", "?")[:_LONGEST_USER]
    name = f"dualmigrate:{actor.pid}:{mark_of(actor.pid) or ''}:{user}@"
    host = _ascii(actor.host)
    room = _LONGEST - len(name)
    return name + (host if len(host) <= room else f"{host[: room - 1]}~")


def read_name(name: str) -> SessionName:
    """Return what a name says."""
    found = _NAME.fullmatch(name)
    if found is None:
        return SessionName()
    return SessionName(
        found["user"], found["host"], int(found["pid"]), found["mark"] or None
    )


def _ascii(text: str) -> str:
    """Return a text as the server would keep it: it makes `?` of all else."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)
