"""Finding pg_dump and similar programs of the server's version."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache

from ...embedded.wheels import postgres_programs
from ...errors import BackupError, EmbeddedServerError

KEY = "DUALMIGRATE_PG_DUMP"
_VERSION = re.compile(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)[.\w]*)")
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
"""Where Debian, Red Hat and Homebrew install the programs of each version."""


@dataclasses.dataclass(frozen=True)
class Program:
    """One program. version: such as 18.0. major: 18."""

    path: str
    version: str
    major: int


def find_program(name: str, server_major: int, named: str | None = None) -> Program:
    """Return pg_dump, or another program next to it, for a server.

    It has the server's version if possible, else the oldest of the newer ones: an older
    program refuses a newer server. named: the path of the pg_dump to use; None: search
    for it. Raises BackupError if none is new enough.
    """
    if named is not None:
        return _named(_beside(named, name), name, server_major)
    found = [each for path in _candidates(name) if (each := version_of(path))]
    fitting = [each for each in found if each.major >= server_major]
    if fitting:
        return min(fitting, key=lambda each: each.major)
    newest = max((each.major for each in found), default=None)
    there = (
        f"{name} was not found"
        if newest is None
        else f"{name} is too old: its version is {newest}, "
        f"the server's is {server_major}"
    )
    raise BackupError(
        f"{there}, so PostgreSQL cannot be backed up; nothing was migrated",
        hint=f"Install postgresql-client-{server_major}, name another pg_dump in {KEY},"
        " or proceed without a backup: --no-backup",
    )


def _beside(pg_dump: str, name: str) -> str:
    """Return the path of a program in the folder of the pg_dump that was named."""
    if name == "pg_dump":
        return pg_dump
    return os.path.join(os.path.dirname(pg_dump), name)


def _named(path: str, name: str, server_major: int) -> Program:
    program = version_of(path)
    there = shutil.which(path) is not None
    why = "it is not a PostgreSQL program" if there else "there is no such program"
    if program is not None:
        if program.major >= server_major:
            return program
        why = f"its version is {program.major}, the server's is {server_major}"
    raise BackupError(
        f"{KEY} names a {name} that cannot be used: {why}; nothing was migrated",
        where=path,
        hint=f"Name one of version {server_major}, or proceed without a backup: "
        "--no-backup",
    )


def _candidates(name: str) -> Iterator[str]:
    on_path = shutil.which(name)
    if on_path is not None:
        yield on_path
    for place in _PLACES:
        yield from sorted(glob.glob(os.path.join(place, name)))
    try:
        yield str(postgres_programs() / name)
    except EmbeddedServerError:
        return


@cache
def version_of(path: str) -> Program | None:
    """Ask a program for its version; None if it does not report one."""
    try:
        asked = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(asked.stdout)
    if match is None:
        return None
    return Program(path, match["version"], int(match["major"]))
