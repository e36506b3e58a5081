"""Running commands on a tree in processes that can be killed at a crash point."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.crash.world import World
from tests.support.crash.writes import alike
from tests.support.nursery import Command, Nursery

Groups = list[list[str]]
_RUN_CAP_S = 120.0
_LEASE_S = 600  # longer than a sweep: what a run meets must not change with time


def chaos_seed() -> int:
    """Return CHAOS_SEED, or another one each time, which is printed."""
    found = int(os.environ.get("CHAOS_SEED") or time.time())
    print(f"to repeat this: CHAOS_SEED={found}")
    return found


class Runs:
    """Commands on the databases of a world, one after the other.

    active: the sides in use; it may be changed. config: more of the app's.
    """

    def __init__(
        self,
        nursery: Nursery,
        world: World,
        root: Path,
        *,
        active: str = "both",
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.active = active
        self._nursery, self._world, self._root = nursery, world, root
        self._config = dict(config or {})
        self._output, self._log = root.parent / "said", root.parent / "points"

    def run(
        self,
        words: Sequence[str],
        *,
        active: str = "",
        crash_at: str = "",
        log: bool = False,
    ) -> int:
        """Return the exit code; words: none for an app that upgrades by itself."""
        return self.wait(self.start(words, active=active, crash_at=crash_at, log=log))

    def start(
        self,
        words: Sequence[str],
        *,
        active: str = "",
        crash_at: str = "",
        stops_at: str = "",
        log: bool = False,
    ) -> int:
        """Begin a command; returns its process id."""
        for path in (self._output, self._log):
            path.unlink(missing_ok=True)
        command = Command(
            tuple(words),
            str(self._root),
            self._world.postgres_url,
            self._world.mongo_url,
            str(self._output),
            config={"DUALMIGRATE_LOCK_LEASE_S": _LEASE_S, **self._config},
            active=active or self.active,
            crash_at=crash_at,
            stops_at=stops_at,
            log=str(self._log) if log else "",
        )
        return self._nursery.start(command)

    def wait(self, pid: int) -> int:
        """Return the exit code of a command that was begun, negative for a signal."""
        code = self._nursery.wait(pid, timeout_s=_RUN_CAP_S)
        assert code is not None, f"it hangs: {self.said()}"
        return code

    def said(self) -> str:
        """Return what the last command said."""
        return self._output.read_text()

    def visited(self) -> Groups:
        """Return the points that the last command passed, if they were logged."""
        return alike(self._log.read_text().split()) if self._log.exists() else []
