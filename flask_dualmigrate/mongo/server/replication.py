"""Pausing while the secondaries are too far behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pymongo.database import Database

from .best_effort import ask


class Replication:
    """Waits while the secondaries are too far behind.

    bound_s: seconds that a secondary may be behind the primary; 0: never wait.
    It does not wait for a member that is down, or for the intended delay of a delayed
    member. If the server does not report the lag (without the privilege clusterMonitor,
    or on a shared tier), or has no members, there is no waiting: each batch is written
    with a write concern of majority anyway.
    """

    def __init__(self, db: Database[Any], *, bound_s: float) -> None:
        self._admin = db.client.admin
        self._bound_s = bound_s
        self._began_s, self._next_s = time.monotonic(), 0.0

    def wait(self, keep_going: Callable[[], None], *, is_long: bool = True) -> None:
        """Wait until the secondaries are close enough, asking at most once a second.

        is_long: whether this is a walk of many batches; for others a run asks once it
        has taken a second.
        """
        if not is_long and time.monotonic() < self._began_s + 1.0:
            return
        while self._bound_s and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + 1.0
            if self._lag_s() <= self._bound_s:
                return
            keep_going()
            time.sleep(1.0)

    def _lag_s(self) -> float:
        """Return how many seconds the slowest secondary is behind."""
        status = ask(self._admin, {"replSetGetStatus": 1})
        if status is None:
            self._bound_s = 0.0
            return 0.0
        at: dict[str, dict[int, datetime]] = {"PRIMARY": {}, "SECONDARY": {}}
        for member in status["members"]:
            at.get(member["stateStr"], {})[member["_id"]] = member["optimeDate"]
        if not at["PRIMARY"] or not at["SECONDARY"]:
            return 0.0
        newest = max(at["PRIMARY"].values())
        behind_s = {
            number: float((newest - optime).total_seconds())
            for number, optime in at["SECONDARY"].items()
        }
        if max(behind_s.values()) > self._bound_s:
            for number, delay_s in self._delays_s().items():
                if number in behind_s:
                    behind_s[number] -= delay_s
        return max(behind_s.values())

    def _delays_s(self) -> dict[int, float]:
        """Return by how many seconds members are deliberately delayed."""
        told = ask(self._admin, {"replSetGetConfig": 1}) or {"config": {"members": []}}
        return {
            member["_id"]: float(
                member.get("secondaryDelaySecs", member.get("slaveDelay", 0))
            )
            for member in told["config"]["members"]
        }
