"""Workers that all upgrade at once, while chance kills and stops what it can."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg
from pymongo.errors import PyMongoError
from sqlalchemy import make_url

from tests.support.crash.world import World, first_difference
from tests.support.mongo.members import ReplicaSet
from tests.support.nursery import Command, Nursery

LEASE_S = 2.0
_CAP_S = 900.0
_ELECTION_S = 15.0
_PAUSE_S = (0.05, 0.4)
_ERROR = re.compile(r"^(?:\w+\.)*(\w+): ", re.MULTILINE)
_BLOWS = (
    *["kill"] * 6,
    *["stop"] * 4,
    *["terminate"] * 4,
    *["step down"] * 1,
    *["kill mongod"] * 1,
)

EXPECTED = {"DatabaseUnavailable", "OutcomeUnknown", "LockLost", "PartialFailure"}
"""What a worker may die of, to be started again: nothing that a person must look at."""


@dataclasses.dataclass
class Worker:
    """A place that is filled with a new process until one has come to its end."""

    pid: int
    output: Path
    wakes_at: float = 0.0
    served: bool = False
    ended: bool = False


class Chaos:
    """One round after the other, on databases put back each time."""

    def __init__(
        self, nursery: Nursery, world: World, members: ReplicaSet, root: Path
    ) -> None:
        self.blows: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.rounds = 0
        self._nursery, self._world, self._members = nursery, world, members
        self._root, self._started = root, 0
        self._workers: list[Worker] = []
        world.keep()
        only = self._start()
        assert nursery.wait(only.pid, timeout_s=60) == 0, only.output.read_text()
        self._expected = world.holds()

    def __str__(self) -> str:
        blows = ", ".join(f"{count} x {name}" for name, count in self.blows.items())
        errors = ", ".join(f"{count} x {name}" for name, count in self.errors.items())
        return (
            f"{self.rounds} rounds, {self._started} processes started; {blows}; "
            f"workers that gave up: {errors or 'none'}; lost 0, doubled 0"
        )

    def round(self, chance: random.Random, *, workers: int, blows: int) -> None:
        """Start workers, strike so often, and wait until each has served."""
        self._members.wait_until_well()
        self._world.put_back()
        self._workers = [self._start() for _ in range(workers)]
        give_up = time.monotonic() + _CAP_S
        try:
            while self._tend() or blows > 0:
                assert time.monotonic() < give_up, self._what_they_said()
                if blows > 0:
                    self._strike(chance)
                    blows -= 1
                time.sleep(chance.uniform(*_PAUSE_S))
        finally:
            self._end_all()
        self._members.wait_until_well()
        found = first_difference(self._world.holds(), self._expected)
        assert found is None, f"{found}\n{self._what_they_said()}"
        self.rounds += 1

    def _start(self) -> Worker:
        self._started += 1
        output = self._root.parent / f"said{self._started}"
        command = Command(
            (),
            str(self._root),
            self._world.postgres_url,
            self._world.mongo_url,
            str(output),
            config={"DUALMIGRATE_LOCK_LEASE_S": LEASE_S},
        )
        return Worker(self._nursery.start(command), output)

    def _tend(self) -> bool:
        """Wake who has slept enough, replace the dead; False if all have served."""
        for place, worker in enumerate(self._workers):
            if worker.served:
                continue
            if worker.wakes_at and time.monotonic() >= worker.wakes_at:
                os.kill(worker.pid, signal.SIGCONT)
                worker.wakes_at = 0.0
            code = self._nursery.wait(worker.pid, timeout_s=0)
            worker.ended = code is not None
            if code == 0:
                worker.served = True
            elif code is not None:
                self._note(worker, code)
                self._workers[place] = self._start()
        return not all(worker.served for worker in self._workers)

    def _note(self, worker: Worker, code: int) -> None:
        if code == -signal.SIGKILL:
            return
        said = worker.output.read_text()
        name = (_ERROR.findall(said) or [f"exit {code}"])[-1]
        assert name in EXPECTED, said
        self.errors[name] += 1

    def _strike(self, chance: random.Random) -> None:
        blow = chance.choice(_BLOWS)
        alive = [worker for worker in self._workers if not worker.served]
        if blow in ("kill", "stop") and not alive:
            return
        self.blows[blow] += 1
        match blow:
            case "kill":
                os.kill(self._victim(chance, alive).pid, signal.SIGKILL)
            case "stop":
                victim = self._victim(chance, alive)
                os.kill(victim.pid, signal.SIGSTOP)
                # As often shorter as longer than its lease.
                victim.wakes_at = time.monotonic() + chance.uniform(0, 2 * LEASE_S)
            case "terminate":
                self._terminate(chance)
            case "step down":
                self._members.step_down()
            case "kill mongod":
                self._kill_mongod()

    def _kill_mongod(self) -> None:
        """Kill the primary; start it again when another one is, or none comes.

        Of two members, one can be behind, and the other in a rollback that needs a
        third to read from.
        """
        member = self._members.wait_for_primary()
        member.kill()
        if self._members.primary_within(_ELECTION_S) is None:
            self.blows["no primary without the killed mongod"] += 1
            print(self._members, flush=True)
        member.start()
        self._members.wait_for_primary()

    def _victim(self, chance: random.Random, alive: list[Worker]) -> Worker:
        """Choose a worker; every other time the one that migrates."""
        if chance.random() < 0.5:
            with suppress(PyMongoError):
                lock = self._world.mongo["_migrations_lock"].find_one({}) or {}
                holders = [worker for worker in alive if worker.pid == lock.get("pid")]
                if holders:
                    return holders[0]
        return chance.choice(alive)

    def _terminate(self, chance: random.Random) -> None:
        """End one in three of the sessions in PostgreSQL."""
        url = make_url(self._world.postgres_url)
        server = url.set(drivername="postgresql", database="postgres")
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid %% 3 = %s"
        )
        conninfo = server.render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(query, [url.database, chance.randrange(3)])

    def _end_all(self) -> None:
        for worker in self._workers:
            if not worker.ended:
                os.kill(worker.pid, signal.SIGKILL)
                self._nursery.wait(worker.pid, timeout_s=10)

    def _what_they_said(self) -> str:
        return "\n".join(
            f"{worker}: {worker.output.read_text()[-2000:]}"
            for worker in self._workers
            if worker.output.exists()
        )
