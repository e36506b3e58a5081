"""The name of the session that holds the lock, which every role may read.

It is in application_name, which the server cuts to 63 bytes: the host comes last.
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
    """What a name says; nothing if it is not ours. `mark`: as from `mark_of`.

    A host that was cut off ends in `~`.
    """

    user: str | None = None
    host: str | None = None
    pid: int | None = None
    mark: str | None = None


def session_name(actor: Actor) -> str:
    """Return the name for our session: printable ASCII, at most 63 bytes."""
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
    """Return a text as the server would store it: with `?` for anything not ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)
