"""A run: the work on both sides under their locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..backend import State
from ..backups import Manifest, Scope
from ..config import Config
from ..errors import UsageError, redact
from ..revisions import Direction, Revision, Step
from ..runtime.events import log_lock, log_run, log_waits
from .backup import BackupChoice, Backups
from .executor import UNDECIDED, Executor, StepResult
from .failure import after_restore, way_back
from .lock_wait import Waiting
from .look import Look, Parts
from .on_error import OnError
from .pairing import pair_up
from .plan import Plan, States, require_pair, require_target
from .restore import Restoring
from .same_failure import refuse_repetition


class Run(Look):
    """Works on the given sides.

    on_step, on_wait, on_backup: called with what happens, to show a person. on_absent:
    as in Look. backup: the one that `migrate` made; None: it made none.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        on_step: Callable[[Step], None] | None = None,
        on_wait: Callable[[str], None] | None = None,
        on_backup: Callable[[str], None] | None = None,
        on_absent: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(parts, on_absent=on_absent)
        self._on_step = on_step
        self.on_wait = on_wait or (lambda holder: None)
        self._on_backup = on_backup
        self._backup_choice = _choice(parts.config)
        self._on_error = OnError.UNDO
        self.backup: Manifest | None = None

    def back_up(self, given: str | None) -> None:
        """Choose what this run backs up: "touched", "all" or "never"; None: by config.

        What a person requests explicitly may be of any size.
        """
        if given is not None:
            scope = None if given == "never" else Scope(given)
            self._backup_choice = BackupChoice(scope)

    def make_backup(self) -> Manifest:
        """Back up the sides of this run in their present state, under a run's locks."""
        self.check_servers()
        with self.locked():
            states = self.states()
            require_pair(states)
            return self.backups.make(states)

    @property
    def backups(self) -> Backups:
        """The maker of this run's backups."""
        return Backups(
            self._backends,
            self._parts.backup_store,
            self._backup_choice,
            on_backup=self._on_backup,
        )

    def on_error(self, given: str) -> None:
        """Choose what happens to both databases when a script fails; see OnError.

        Raises UsageError for any other value, and for "restore" if no backup is made.
        """
        if given not in list(OnError):
            words = ", ".join(OnError)
            raise UsageError(
                f"on_error must be one of {words}, not {given!r}",
                hint="Fix the call of upgrade() or downgrade().",
            )
        if given == OnError.RESTORE and self._backup_choice.scope is None:
            raise UsageError(
                "--on-error restore needs a backup, and this run makes none",
                hint='Remove --no-backup (or DUALMIGRATE_BACKUP = "never"), or use '
                "--on-error undo.",
            )
        self._on_error = OnError(given)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the locks of all sides of this run, PostgreSQL's first.

        The order is the same everywhere, so that two runs cannot wait for each other.
        What runs under the locks stops between its steps, so they are always released.
        """
        with self._parts.stop.patiently(), ExitStack() as stack:
            for name in sorted(self._backends, reverse=True):
                lock = self._backends[name].lock(
                    timeout_s=self._parts.config.lock_timeout_s,
                    on_wait=Waiting(
                        name, self._backends, log_waits(name, self.on_wait)
                    ),
                )
                stack.enter_context(log_lock(name, lock))
            yield

    def migrate(
        self,
        target: str,
        direction: Direction,
        *,
        approve: Callable[[Plan], None] = lambda plan: None,
    ) -> tuple[StepResult, ...]:
        """Migrate the sides of this run to a target; return the completed steps.

        If there is nothing to do, no lock is taken and nothing is written.
        approve: called with the plan while the locks are held; raises to stop. Raises
        what the sides raise; PartialFailure if a script failed.
        """
        self._parts.directory.require_pairs()
        require_target(self._parts.directory, target, direction)
        self.check_servers()
        foreseen, states = self.foresee(target, direction)
        if not foreseen.steps and not any(map(State.open_entries, states.values())):
            return ()
        self.check_rights(foreseen.steps)
        self.backups.require(foreseen)
        self._parts.stop.target = foreseen.fixed_target
        ids = [step.revision.id for step in foreseen.steps]
        with (
            log_run(direction, target, ids, [*self._backends]) as done,
            self.locked(),
        ):
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
        """Do the remaining steps, now that the locks are held.

        Another run may have done some of them while we waited, and a recovery undoes
        some; a target of -1 must not go further because of that. What the other run
        failed at is not repeated. before: what `foreseen` was made from.
        """
        executor = Executor(
            self._backends,
            on_step=self._on_step,
            keep_going=self._parts.stop.require,
            on_error=self._on_error,
        )
        states = self.states()
        plan = self._checked_plan(target, direction, states).within(foreseen)
        refuse_repetition(self._parts.directory, plan, before=before, now=states)
        approve(plan)
        for backend in self._backends.values():
            backend.prepare()
        pair_up(self._backends, states)
        if executor.recover(states, direction, self._revision_of):
            states = self.states()
            plan = self.plan(target, direction, states).within(plan)
        self.backup = self.backups.take(plan, states)
        return (*executor.undone, *self._run(executor, plan))

    def _run(self, executor: Executor, plan: Plan) -> tuple[StepResult, ...]:
        """Do the plan; if a script fails, restore the backup if requested."""
        if self.backup is None:
            if executor.on_error is OnError.RESTORE:
                executor.on_error = OnError.UNDO  # there was nothing to back up
            return executor.run(plan)
        executor.backup = self.backup.name
        try:
            return executor.run(plan)
        except UNDECIDED:
            raise  # no longer ours, or not known: the next run checks
        except Exception as error:
            if executor.on_error is not OnError.RESTORE:
                raise
            raise self._restored(self.backup.name, plan, error) from error

    def _restored(self, name: str, plan: Plan, error: Exception) -> Exception:
        """Restore both databases under the same locks; return what to raise."""
        try:
            with self._parts.backup_store.find(name) as (folder, manifest):
                restoring = Restoring(self._backends, folder, manifest)
                restoring.require_whole(self.states_as_they_are())
                restoring.run()
        except Exception as second:
            error.add_note(
                f"Backup {name} could not be restored: {redact(str(second))} "
                f"Or {way_back(name, [*self._backends])}"
            )
            return error
        return after_restore(plan, name, error, [*self._backends])

    def _revision_of(self, entry: Any) -> Revision:
        known = self._parts.directory.revisions
        return known.get(entry.revision, Revision(entry.revision))


def _choice(config: Config) -> BackupChoice:
    """Return the backup choice of the app's config."""
    scope = None if config.backup == "never" else Scope(config.backup)
    return BackupChoice(scope, config.backup_max_bytes)
