"""What the sides of a run have, and what a run would do, without writing.

No lock is held, so another run may be active meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..backend import Backends, State
from ..backups import BackupStore
from ..config import Config
from ..errors import DatabaseUnavailable, IntegrityError
from ..revisions import BackendName, Direction, Step
from ..runtime.stopping import Stop
from ..tree.directory import Files, ScriptDirectory, Unrun
from ..tree.graph import RevisionGraph
from ..tree.lockfile import read_lock_file
from .consistency import require_consistent
from .plan import Plan, States, is_pair, make_plan, require_pair
from .readiness import Readiness
from .restore import refuse_half_restored
from .server_wait import wait_for_servers
from .status import make_readiness, refuse_edited

_AGAIN_S = 0.25
"""Seconds between two reads of a database that another run is working on."""


class Parts(Protocol):
    """The parts of a run, each created on first use.

    backends: of the sides of the run, in the order they are worked on.
    """

    @property
    def config(self) -> Config: ...

    @property
    def directory(self) -> ScriptDirectory: ...

    @property
    def backends(self) -> Backends: ...

    @property
    def backup_store(self) -> BackupStore: ...

    @property
    def stop(self) -> Stop: ...


class Look:
    """Inspects the sides of a run without changing anything.

    on_absent: called with the server we wait for, to tell a person.
    before_running: gets the scripts of the tree before any of them runs.
    """

    def __init__(
        self, parts: Parts, *, on_absent: Callable[[str], None] | None = None
    ) -> None:
        self._parts = parts
        self._on_absent = on_absent or (lambda server: None)
        self._unavailable: DatabaseUnavailable | None = None
        self._checked = False
        self._compared: States | None = None
        self.before_running: Callable[[Files], None] = lambda files: None

    @property
    def _backends(self) -> Backends:
        return self._parts.backends

    @property
    def _root(self) -> Path:
        return self._parts.config.directory

    def trust_no_edits(self, wait_s: float = 0.0) -> None:
        """Have the applied scripts compared with the journals before any script runs.

        Call this before anything uses the tree. It compiles the tree first, so that a
        broken script is found before a database is touched. A tree that is wrong as a
        whole is reported before a database that cannot be used.
        wait_s: seconds to wait for the servers to come up.
        """

        def compare(files: Files) -> None:
            self.wait_for_servers(wait_s)
            lines = read_lock_file(self._root)
            if lines is None:
                return
            graph = RevisionGraph.of_lock_file(self._root, lines)
            try:
                self.check_servers()
                states = self._read(graph)
            except DatabaseUnavailable as error:
                self._unavailable = error
                return
            refuse_edited(Unrun(graph.root, graph.revisions, files), states)
            self._compared = states

        self.before_running = compare

    def states(self) -> dict[BackendName, State]:
        """Read what the sides of this run have.

        Raises IntegrityError if a restore of them is half done.
        """
        states = self.states_as_they_are()
        refuse_half_restored(states)
        return states

    def states_as_they_are(self) -> dict[BackendName, State]:
        """Read what the sides have, even in the middle of a restore."""
        return self._read(None)

    def _read(self, graph: RevisionGraph | None) -> dict[BackendName, State]:
        return {name: side.read(graph) for name, side in self._backends.items()}

    def wait_for_servers(self, wait_s: float) -> None:
        """Wait until the sides of this run can be used; 0: do not wait.

        Raises DatabaseUnavailable after that many seconds, or if waiting does not help.
        """
        if wait_s:
            wait_for_servers(
                {name: side.why_absent for name, side in self._backends.items()},
                wait_s=wait_s,
                on_absent=self._on_absent,
            )

    def check_servers(self) -> None:
        """Raise DatabaseUnavailable if a side of this run cannot be used.

        They are asked once: a server that goes away later is found by what is sent.
        """
        if self._unavailable is not None:
            raise self._unavailable
        if not self._checked:
            for backend in self._backends.values():
                backend.check()
        self._checked = True

    def check_rights(self, steps: Sequence[Step] = ()) -> None:
        """Raise DatabaseUnavailable if an account may not write what steps need."""
        for name, backend in self._backends.items():
            backend.check_rights([step for step in steps if name in step.backends])

    def at_head(self) -> bool:
        """Return whether there is nothing to do, without a lock or running a script."""
        lines = read_lock_file(self._root)
        if lines is None:
            return False
        graph = RevisionGraph.of_lock_file(self._root, lines)
        states = self._read(graph)
        return is_pair(states) and all(
            state.applied == graph.revisions.keys()
            and not state.open_entries()
            and state.restoring is None
            and (state.has_journal or len(states) == 1)
            for state in states.values()
        )

    def readiness(self) -> Readiness:
        """Return what the databases lack for this code, without taking a lock.

        Scripts run only if there is no revisions.lock.
        """
        lines = read_lock_file(self._root)
        graph: RevisionGraph = (
            self._parts.directory
            if lines is None
            else RevisionGraph.of_lock_file(self._root, lines)
        )
        states = self._read(graph)
        refuse_half_restored(states)
        return make_readiness(graph, states)

    def foresee(self, target: str, direction: Direction) -> tuple[Plan, States]:
        """Return the plan, and what it was made from; no lock is held.

        Another run may be active between two of our reads, which may then contradict
        each other: a contradiction counts only if nothing has changed, and if no run is
        active on an SQL side that shows half-done scripts, as SQLite does.
        Raises what `plan` and `preflight` raise.
        """
        before: States | None = None
        give_up = time.monotonic() + self._parts.config.lock_timeout_s
        while True:
            at_work = self._sql_is_at_work()
            # What the edits were compared with was read just now, before the scripts.
            compared, self._compared = self._compared, None
            states = compared or self.states()
            refuse_half_restored(states)
            try:
                return self._checked_plan(target, direction, states), states
            except IntegrityError:
                if at_work and time.monotonic() < give_up:
                    self._parts.stop.pause(_AGAIN_S)
                elif states == before:
                    raise
                before = states

    def _sql_is_at_work(self) -> bool:
        side = self._backends.get(BackendName.POSTGRES)
        return side is not None and side.is_at_work()

    def _checked_plan(self, target: str, direction: Direction, states: States) -> Plan:
        require_pair(states)
        plan = self.plan(target, direction, states)
        self.preflight(plan)
        return plan

    def plan(self, target: str, direction: Direction, states: States) -> Plan:
        """Return the steps to a target from what the sides have.

        Raises IntegrityError if the states of the sides contradict each other, or if
        an upgrade would build on a script that was edited after it was applied.
        """
        directory = self._parts.directory
        require_consistent(directory, states)
        if direction is Direction.UPGRADE:
            refuse_edited(directory, states)
        return make_plan(directory, states, target, direction)

    def preflight(self, plan: Plan) -> None:
        """Raise, before anything is changed, if a step cannot be run."""
        for name, backend in self._backends.items():
            backend.preflight([s for s in plan.steps if name in s.backends])
