"""What a side must provide: a narrow protocol for each part of the engine.

A backend implements all of them. The protocol that a part takes shows what it can do
with a side: the wait for a lock reads journals, but cannot run a step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..backups import BackupFolder, Manifest, Scope
from ..revisions import BackendName, Revision, Step
from ..tree.graph import RevisionGraph
from .data import FieldFacts
from .extent import Dumped, Extent
from .forecast import Dropped, Loss, PlannedStep
from .holder import Holder, OnWait
from .journal import Entry, Undone
from .progress import Progress
from .restorer import Kept, Restorer
from .state import Doubt, State, Ways


class Side(Protocol):
    """Which side it is.

    `atomic` says that a step commits whole or not at all; such a side goes last.
    """

    name: BackendName
    atomic: bool


class Server(Side, Protocol):
    """Whether the database can be used, and who uses it now: its lock."""

    def place(self) -> str:
        """Return which database it is: its name and its server, but no account."""

    def check(self) -> None:
        """Raise DatabaseUnavailable if the server cannot be reached or used."""

    def why_absent(self, timeout_s: float) -> str | None:
        """Return why the server cannot be used yet; None if it can.

        timeout_s: seconds for an answer.
        Raises DatabaseUnavailable if waiting does not help, as with a wrong password.
        """

    def lock(
        self, *, timeout_s: float, on_wait: OnWait
    ) -> AbstractContextManager[None]:
        """Hold this side's lock; raise LockTimeout if not taken within timeout_s.

        on_wait: called about once a second with the holder; None: there is none any
        more.
        """

    def holder(self) -> Holder | None:
        """Return who holds this side's lock; None if no one does."""

    def outwatch(self, holder: Holder) -> bool:
        """Watch a holder whose lease has expired; return whether it stays unrenewed."""

    def free(self, holder: Holder) -> bool:
        """Take the lock from exactly this holder, and fence it off.

        Returns False if it no longer holds the lock.
        """

    def is_at_work(self) -> bool:
        """Return whether someone holds the lock that its open attempts need."""


class Journal(Side, Protocol):
    """What the side remembers: which revisions it has, and what is half done."""

    def read(self, graph: RevisionGraph | None = None) -> State:
        """Read the state of this side; change nothing.

        graph: what follows what, if that is known without loading the scripts.
        """

    def history(self, revision_id: str) -> tuple[dict[str, Any], ...]:
        """Return all attempts at a revision, oldest first."""

    def progress(self, entry: Entry) -> Progress | None:
        """Return the progress of an open attempt from its journal; None if unknown."""

    def doubts(self, entry: Entry) -> tuple[Doubt, ...]:
        """Return the steps of an open attempt that only a person can decide on."""

    def ways(self, step: Step) -> Ways:
        """Return whether an open attempt can be continued, and whether undone."""

    def prepare(self) -> None:
        """Create the journal if it does not exist; call with the lock held."""

    def set_pair_id(self, pair_id: str, *, anew: bool = False) -> None:
        """Store the id that both sides of a pair hold. anew: replace another one."""

    def stamp(self, revisions: Sequence[Revision]) -> None:
        """Mark exactly these revisions as applied, without running them."""

    def accept(self, revision: Revision) -> None:
        """Accept the current script of an applied revision as the one that was run."""


class Runner(Side, Protocol):
    """Does steps and undoes them; the caller holds the lock."""

    def execute(self, step: Step, *, partner: bool) -> None:
        """Run a step, or continue it from where it stopped.

        partner: it is not final yet, and stays open until `settle`.
        """

    def settle(self, step: Step) -> None:
        """Close a step whose partner is done, at the latest when the lock is released.

        A run that is killed before that leaves it to the next one.
        """

    def keep(self, step: Step, error: str) -> None:
        """Record that `execute` failed, and keep what it did."""

    def revert(
        self, step: Step, error: str | None, *, by_script: bool = True
    ) -> Undone:
        """Undo what `execute` did; return what remains of it.

        by_script: False: the script is not to blame, so no checksum is recorded for the
        failure, and a run that waited for this one tries it again.
        """


class Preflight(Side, Protocol):
    """Looks at steps before they are done, and changes nothing."""

    def preflight(self, steps: Sequence[Step]) -> None:
        """Raise, before anything is changed, if one of the steps cannot be done."""

    def check_rights(self, steps: Sequence[Step]) -> None:
        """Raise DatabaseUnavailable if the account may not write what steps need."""

    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        """Return what steps would do, one after the other; change nothing."""

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        """Return a script that does the steps, for a person to run, without connecting.

        applied: ids of the revisions that the database has before it.
        Raises ScriptError, naming the revision, if that cannot be written as a script.
        """

    def destructive(self, step: Step) -> tuple[Loss, ...]:
        """Return what a step permanently removes, with counts if possible."""

    def dropped_by_upgrade(self, step: Step) -> tuple[Dropped, ...]:
        """Return what the upgrade of a revision dropped, and this side did not keep."""

    def removes(self, step: Step) -> bool:
        """Return whether a step removes rows or documents from their place.

        Data that is kept aside counts as removed.
        """


class Storage(Side, Protocol):
    """Writes its part of a backup, and restores one."""

    def extent(self, steps: Sequence[Step], scope: Scope) -> Extent:
        """Return what a backup before these steps must contain.

        scope: what is wanted: what they touch, as far as that is known, or everything.
        """

    def require_dump(self) -> None:
        """Raise BackupError if this side cannot be backed up here."""

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        """Write the contents of an extent into a backup, as of one moment.

        applied: ids of the revisions that the database has.
        Raises BackupError if the data cannot be read or written.
        """

    def restorer(
        self, folder: BackupFolder, manifest: Manifest, *, partner: bool
    ) -> Restorer:
        """Return the restorer of this side. partner: the other side is restored too."""

    def finish_restore(self, mark: str) -> tuple[Kept, ...]:
        """Continue a restore that is past the point of no return."""


class Data(Side, Protocol):
    """Counts and reads the app's data."""

    def verify(self, revision: Revision) -> bool:
        """Call the script's verify(); return False if it has none.

        Raises ScriptError if it fails. What it writes to PostgreSQL is refused.
        """

    def count(
        self, names: Collection[str] | None = None, *, limit: int = 0
    ) -> Mapping[str, int]:
        """Count the rows or documents of the app's tables or collections one by one.

        names: these, if they exist, views too; by default all, without views. limit:
        stop there; 0: nowhere.
        Returns them by name; one of the default schema has no schema in its name.
        """

    def facts(self, name: str, fields: Sequence[str]) -> Mapping[str, FieldFacts]:
        """Return facts about a table's columns or a collection's fields.

        Missing columns are left out.
        """

    def values(
        self, name: str, key: str, fields: Sequence[str], *, only: Sequence[Any] | int
    ) -> Sequence[Mapping[str, Any]]:
        """Return fields of some. only: their keys, or how many from both ends."""


class Backend(Server, Journal, Runner, Preflight, Storage, Data, Protocol):
    """One side with everything it does, as created and passed on by `environment`."""


Backends = Mapping[BackendName, Backend]
Journals = Mapping[BackendName, Journal]
Runners = Mapping[BackendName, Runner]
Storages = Mapping[BackendName, Storage]
