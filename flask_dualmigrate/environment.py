"""What a command needs: the two sides of a run, and the run itself.

It is planned from what both sides have, and done under the locks of both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from .backend import State
from .backups import Manifest, Scope
from .config import Config
from .errors import DatabaseUnavailable, IntegrityError, UsageError, redact
from .revisions import BackendName, Direction, Revision, Step
from .run.backup import BackupChoice, Backups
from .run.consistency import require_consistent
from .run.executor import UNDECIDED, Executor, StepResult
from .run.failure import after_restore, way_back
from .run.lock_wait import Waiting
from .run.on_error import OnError
from .run.plan import Plan, States, is_pair, make_plan, require_pair, require_target
from .run.restore import Restoring, refuse_half_restored
from .run.same_failure import refuse_repetition
from .run.status import Readiness, make_readiness, refuse_edited
from .runtime.events import lock_told, run_told, waits_told
from .sides import Sides
from .tree.directory import Files, Unrun
from .tree.graph import RevisionGraph
from .tree.lockfile import read_lock_file

_AGAIN_S = 0.25
"""Seconds between two looks at a database that another run works on."""


class Environment(Sides):
    """The sides of a run, and what is done with both of them.

    on_step, on_wait, on_backup: told what happens, for a person. options: as Sides
    takes them.
    backup: the one that `migrate` made; None: it made none.
    """

    def __init__(
        self,
        app: Flask,
        db: SQLAlchemy | None,
        mongo: PyMongo | None,
        config: Config,
        *,
        on_step: Callable[[Step], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
        on_backup: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(app, db, mongo, config, **options)
        self._on_step = on_step
        self._on_wait = on_wait or (lambda holder: None)
        self._on_backup = on_backup
        self._backup_choice = _choice(config)
        self._on_error = OnError.UNDO
        self.backup: Manifest | None = None
        self._unavailable: DatabaseUnavailable | None = None

    @property
    def on_wait(self) -> Callable[[str], None]:
        """Tells a person whom a command waits for."""
        return self._on_wait

    @property
    def compares_models(self) -> bool:
        """Whether the models can be held against a database: that is PostgreSQL."""
        return BackendName.POSTGRES in self.in_scope

    @property
    def reporting(self) -> dict[str, Any]:
        """What another environment takes, to tell what happens as this one does."""
        return {
            "backend": self._backend,
            "on_step": self._on_step,
            "on_wait": self._on_wait,
            "on_progress": self._on_progress,
            "stop": self.stop,
        }

    def back_up(self, given: str | None) -> None:
        """Say what this run backs up: "touched", "all", "never"; None: as the config.

        What a person asks for in so many words may be of any size.
        """
        if given is not None:
            scope = None if given == "never" else Scope(given)
            self._backup_choice = BackupChoice(scope)

    def make_backup(self) -> Manifest:
        """Back the sides of this run up, as they are, under the locks of a run."""
        self.check_servers()
        with self.locked():
            states = self.states()
            require_pair(states)
            return self.backups.make(states)

    @property
    def backups(self) -> Backups:
        """What makes the backups of this run."""
        return Backups(
            self.backends,
            self.backup_store,
            self._backup_choice,
            on_backup=self._on_backup,
        )

    def on_error(self, given: str) -> None:
        """Say what becomes of both databases when a script fails, as OnError has it.

        Raises UsageError for another word, and for "restore" where no backup is made.
        """
        if given not in list(OnError):
            words = ", ".join(OnError)
            raise UsageError(
                f"on_error is one of {words}, not {given!r}",
                hint="Mend it where upgrade() or downgrade() is called.",
            )
        if given == OnError.RESTORE and self._backup_choice.scope is None:
            raise UsageError(
                "--on-error restore needs a backup, and this run makes none",
                hint='Leave --no-backup out (or DUALMIGRATE_BACKUP = "never"), or say '
                "--on-error undo.",
            )
        self._on_error = OnError(given)

    def trust_no_edits(self, wait_s: float = 0.0) -> None:
        """Have the applied scripts compared with the journals before any script runs.

        To be called before anything asks for the tree; which is compiled first, so that
        a broken script is found before a database is touched. A tree that is wrong as a
        whole is told before a database that cannot be used.
        wait_s: seconds to wait for the servers to come up.
        """

        def compare(files: Files) -> None:
            self.wait_for_servers(wait_s)
            lines = read_lock_file(self.config.directory)
            if lines is None:
                return
            graph = RevisionGraph.of_lock_file(self.config.directory, lines)
            try:
                self.check_servers()
                states = {
                    name: each.read(graph) for name, each in self.backends.items()
                }
            except DatabaseUnavailable as error:
                self._unavailable = error
                return
            refuse_edited(Unrun(graph.root, graph.revisions, files), states)

        self.before_running = compare

    def states(self) -> dict[BackendName, State]:
        """Read what the sides of this run have.

        Raises IntegrityError if a restore of them is half done.
        """
        states = self.states_as_they_are()
        refuse_half_restored(states)
        return states

    def states_as_they_are(self) -> dict[BackendName, State]:
        """Read what the sides have, in the middle of a restore too."""
        return {name: backend.read() for name, backend in self.backends.items()}

    def check_servers(self) -> None:
        """Raise DatabaseUnavailable if a side of this run cannot be used."""
        if self._unavailable is not None:
            raise self._unavailable
        for backend in self.backends.values():
            backend.check()

    def check_rights(self, steps: Sequence[Step] = ()) -> None:
        """Raise DatabaseUnavailable if an account may not write what steps need."""
        for name, backend in self.backends.items():
            backend.check_rights([step for step in steps if name in step.backends])

    def at_head(self) -> bool:
        """Say whether nothing is to do, without a lock and without running a script."""
        root = self.config.directory
        lines = read_lock_file(root)
        if lines is None:
            return False
        graph = RevisionGraph.of_lock_file(root, lines)
        states = {name: side.read(graph) for name, side in self.backends.items()}
        return is_pair(states) and all(
            state.applied == graph.revisions.keys()
            and not state.open_entries()
            and state.restoring is None
            and (state.has_journal or len(self.backends) == 1)
            for state in states.values()
        )

    def readiness(self) -> Readiness:
        """Say what the databases lack for this code; neither a lock nor a script is
        touched, but where there is no revisions.lock."""
        root = self.config.directory
        lines = read_lock_file(root)
        graph: RevisionGraph = (
            self.directory if lines is None else RevisionGraph.of_lock_file(root, lines)
        )
        states = {name: side.read(graph) for name, side in self.backends.items()}
        refuse_half_restored(states)
        return make_readiness(graph, states)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the locks of all sides of this run, PostgreSQL's first.

        The order is the same everywhere, so that two runs cannot wait for each other.
        What runs under them is left between its steps: the locks are always let go.
        """
        with self.stop.patiently(), ExitStack() as stack:
            for name in sorted(self.in_scope, reverse=True):
                lock = self.backends[name].lock(
                    timeout_s=self.config.lock_timeout_s,
                    on_wait=Waiting(
                        name, self.backends, waits_told(name, self._on_wait)
                    ),
                )
                stack.enter_context(lock_told(name, lock))
            yield

    def migrate(
        self,
        target: str,
        direction: Direction,
        *,
        approve: Callable[[Plan], None] = lambda plan: None,
    ) -> tuple[StepResult, ...]:
        """Bring the sides of this run to a target; returns the steps that were done.

        Where nothing is to do no lock is taken, and nothing is written.
        approve: gets the plan with the locks held; it raises to stop.
        Raises what the sides raise; PartialFailure where a script failed.
        """
        self.directory.require_pairs()
        require_target(self.directory, target, direction)
        self.check_servers()
        foreseen, states = self.foresee(target, direction)
        if not foreseen.steps and not any(map(State.open_entries, states.values())):
            return ()
        self.check_rights(foreseen.steps)
        self.backups.require(foreseen)
        self.stop.target = foreseen.fixed_target
        ids = [step.revision.id for step in foreseen.steps]
        with run_told(direction, target, ids, [*self.in_scope]) as done, self.locked():
            results = self._migrate(target, direction, foreseen, states, approve)
            done([result.step.revision.id for result in results])
        return results

    def _migrate(
        self,
        target: str,
        direction: Direction,
        foreseen: Plan,
        before: States,
        approve: Callable[[Plan], None],
    ) -> tuple[StepResult, ...]:
        """Do the steps that are still to do, now that the locks are held.

        Another run may have done some of them while we waited, and a recovery undoes
        some; -1 must not go one further for that. What it failed at is not repeated.
        before: what `foreseen` was made from.
        """
        executor = Executor(
            self.backends,
            on_step=self._on_step,
            keep_going=self.stop.require,
            on_error=self._on_error,
        )
        states = self.states()
        plan = self._checked_plan(target, direction, states).within(foreseen)
        refuse_repetition(self.directory, plan, before=before, now=states)
        approve(plan)
        for backend in self.backends.values():
            backend.prepare()
        executor.pair(states)
        if executor.recover(states, direction, self._revision_of):
            states = self.states()
            plan = self.plan(target, direction, states).within(plan)
        self.backup = self.backups.take(plan, states)
        return (*executor.undone, *self._run(executor, plan))

    def _run(self, executor: Executor, plan: Plan) -> tuple[StepResult, ...]:
        """Do the plan; where a script fails, bring back the backup if that is asked."""
        if self.backup is None:
            if executor.on_error is OnError.RESTORE:
                executor.on_error = OnError.UNDO  # nothing was there to be backed up
            return executor.run(plan)
        executor.backup = self.backup.name
        try:
            return executor.run(plan)
        except UNDECIDED:
            raise  # not ours any more, or not known: the next run looks
        except Exception as error:
            if executor.on_error is not OnError.RESTORE:
                raise
            raise self._restored(self.backup.name, plan, error) from error

    def _restored(self, name: str, plan: Plan, error: Exception) -> Exception:
        """Bring both databases back, under the same locks; return what to raise."""
        try:
            with self.backup_store.find(name) as (folder, manifest):
                restoring = Restoring(self.backends, folder, manifest)
                restoring.require_whole(self.states_as_they_are())
                restoring.run()
        except Exception as second:
            error.add_note(
                f"Backup {name} could not be restored: {redact(str(second))} "
                f"Or {way_back(name, [*self.backends])}"
            )
            return error
        return after_restore(plan, name, error, [*self.backends])

    def foresee(self, target: str, direction: Direction) -> tuple[Plan, States]:
        """Return the plan, and what it was made from; no lock is held.

        Another run may be at work between two of our reads, and what they say together
        is then no fault of anybody's: only if nothing has moved does it count, and if
        nobody is at work on an SQL side that shows a script half done, as SQLite does.
        Raises what `plan` and `preflight` raise.
        """
        before: States | None = None
        give_up = time.monotonic() + self.config.lock_timeout_s
        while True:
            at_work = self._sql_is_at_work()
            states = self.states()
            try:
                return self._checked_plan(target, direction, states), states
            except IntegrityError:
                if at_work and time.monotonic() < give_up:
                    self.stop.pause(_AGAIN_S)
                elif states == before:
                    raise
                before = states

    def _sql_is_at_work(self) -> bool:
        side = self.backends.get(BackendName.POSTGRES)
        return side is not None and side.is_at_work()

    def _checked_plan(self, target: str, direction: Direction, states: States) -> Plan:
        require_pair(states)
        plan = self.plan(target, direction, states)
        self.preflight(plan)
        return plan

    def decide(self, revision_id: str, step: int, *, done: bool) -> None:
        """Settle a step of a Mongo script that a crash left in doubt.

        Raises UsageError if MongoDB is not in use, IntegrityError if it is in no doubt.
        """
        backend = self.mongo_side("Only steps of MongoDB can be in doubt")
        self.check_servers()
        with self.locked():
            backend.decide(revision_id, step, done=done)

    def _revision_of(self, entry: Any) -> Revision:
        return self.directory.revisions.get(entry.revision, Revision(entry.revision))

    def plan(self, target: str, direction: Direction, states: States) -> Plan:
        """Return the steps to a target from what the sides have.

        Raises IntegrityError if what the sides say cannot be true, or if an upgrade
        would build on a script that was edited after it was applied.
        """
        require_consistent(self.directory, states)
        if direction is Direction.UPGRADE:
            refuse_edited(self.directory, states)
        return make_plan(self.directory, states, target, direction)

    def preflight(self, plan: Plan) -> None:
        """Raise, before anything is changed, if a step cannot be done."""
        for name, backend in self.backends.items():
            backend.preflight([s for s in plan.steps if name in s.backends])


def _choice(config: Config) -> BackupChoice:
    """Return what the app's config says of backups."""
    scope = None if config.backup == "never" else Scope(config.backup)
    return BackupChoice(scope, config.backup_max_bytes)
