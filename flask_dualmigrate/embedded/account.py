"""The account that PostgreSQL runs as: ours, but never root, which it refuses."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from ..errors import EmbeddedServerError
from .wheels import WAY_OUT, readable_by_all

_NAME = "pgserver"


def server_uid(data: Path) -> int | None:
    """The user id to run PostgreSQL as; None for our own.

    data: its data folder, whose owner is used unless that is root.
    Raises EmbeddedServerError if root cannot create an account.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return owner
    return _account()


def _account() -> int:
    import pwd

    try:
        return pwd.getpwnam(_NAME).pw_uid
    except KeyError:
        pass
    try:
        subprocess.run(["useradd", _NAME], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and the user {_NAME} cannot be created",
            hint=f"Run as another user; or {WAY_OUT}.",
        ) from error
    return pwd.getpwnam(_NAME).pw_uid


def give(tree: Path, uid: int) -> None:
    """Make an account the owner of a folder and everything in it."""
    for folder, _, files in os.walk(tree):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, uid, -1, follow_symlinks=False)


def open_way(path: Path) -> None:
    """Let other accounts pass through the folders above a path, and nothing more.

    They can then reach a file below by its name if its own mode allows it, but still
    cannot list these folders.
    """
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def open_programs(programs: Path) -> None:
    """Let other accounts run the programs of a wheel installed under umask 077."""
    open_way(programs)
    if readable_by_all(programs / "postgres"):
        return
    # The libraries that the programs load are next to the package.
    package = programs.parent.parent
    for tree in (programs.parent, package.with_name(f"{package.name}.libs")):
        for folder, _, files in os.walk(tree):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | stat.S_IROTH | (mode & stat.S_IXUSR) >> 6)
