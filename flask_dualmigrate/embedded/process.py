"""Server processes: start one that outlives us, find it again, end it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02

# The shell hands the server over to init and prints its id, so that no one has to reap
# it, and a path needs no quoting.
_DETACH = '"$@" </dev/null >&2 & echo $!'


def spawn(
    command: Sequence[str | Path], *, log: Path, cwd: Path, uid: int | None = None
) -> int:
    """Start a server in its own session; its stdout and stderr go to `log`.

    cwd: its data folder, by which `belongs` recognises it.
    uid: the account to run as; None: ours.
    Returns its process id. The log of the previous run is kept as ``<log>.1``.
    """
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as output:
        shell = subprocess.run(
            ["/bin/sh", "-c", _DETACH, "sh", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=cwd,
            env=clean_environment(),
            start_new_session=True,
            check=True,
            **as_user(uid),
        )
    return int(shell.stdout)


def as_user(uid: int | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run something as another user."""
    if uid is None:
        return {}
    import pwd

    return {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}


def clean_environment() -> dict[str, str]:
    """Our environment without what would reconfigure a server: PGPORT, LC_ALL, …"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def alive(pid: int) -> bool:
    """Whether a process is running; a zombie waiting to be reaped is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def belongs(pid: int, *, program: str, data: Path) -> bool:
    """Whether a process is that program, running in that data folder.

    A pid file alone proves nothing: after a crash or a reboot its number may belong to
    any process.
    """
    try:
        process = psutil.Process(pid)
        return (
            process.name() == program
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()) == data
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def end_all(data: Path, *programs: str) -> None:
    """End every process of these programs that runs in a data folder.

    They are left over if a server was killed and its children live on, if the process
    that was starting it was killed, or if the folder of a running server was deleted.
    """
    for pid in psutil.pids():
        if any(belongs(pid, program=program, data=data) for program in programs):
            end(pid, signal.SIGTERM, timeout_s=5.0)


def end(pid: int, how: signal.Signals, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Send a signal and wait until the process is gone; after `timeout_s`, kill it."""
    with suppress(ProcessLookupError):
        os.kill(pid, how)
        if not _gone(pid, timeout_s):
            os.kill(pid, signal.SIGKILL)
            _gone(pid, timeout_s)


def _gone(pid: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
