"""What `unlock`, `repair` and `verify` say: values, and the cases read off the states.

Pure: nothing here touches a database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .consistency import Choice
from .holder import Holder
from .revision import BackendName
from .status import RevisionStatus


@dataclasses.dataclass(frozen=True)
class SideLock:
    """The lock of one side, as `unlock` leaves it.

    outcome: free (nobody had it), freed (it was taken from the holder) or held.
    gone: why the holder cannot be at work any more; None: that is not proven.
    """

    backend: BackendName
    outcome: str
    holder: Holder | None = None
    gone: str | None = None


@dataclasses.dataclass(frozen=True)
class UnlockResult:
    """What `unlock` found and did; `ok` unless somebody still holds a lock.

    under_way: the revisions that the journals call open, and how far they are.
    """

    sides: tuple[SideLock, ...]
    under_way: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(side.outcome != "held" for side in self.sides)


@dataclasses.dataclass(frozen=True)
class Case:
    """Something that is open or wrong.

    kind: at-work, pair, lost-mark, extra-row, unknown, edited, in-doubt, half-done or
    not-closed. backend: the side it is on; None: between the two.
    """

    kind: str
    backend: BackendName | None
    revision: str | None
    text: str
    choices: tuple[Choice, ...]


@dataclasses.dataclass(frozen=True)
class RepairReport:
    """What `repair` shows: the journals side by side, and each case.

    rows: revisions, newest first: those that a case is about or on which the sides
    differ. heads: where each side stands. notes: what the last undoing of a revision
    left in the databases, a line each.
    """

    rows: tuple[RevisionStatus, ...]
    heads: Mapping[BackendName, tuple[str, ...]]
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.cases


@dataclasses.dataclass(frozen=True)
class UndoResult:
    """What `repair --undo` took back; closed: sides whose partner had decided.

    A closed one was not undone: it is done on both sides. notes: what the undoing had
    to leave, a line each.
    """

    revision: str
    undone: tuple[BackendName, ...]
    closed: tuple[BackendName, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class AcceptResult:
    """The sides whose edited script `repair --accept-checksum` accepted."""

    revision: str
    backends: tuple[BackendName, ...]


@dataclasses.dataclass(frozen=True)
class Verified:
    """What verify() of one script said. outcome: passed, failed, or none there.

    later: how many revisions were applied after it; they may be why it fails.
    """

    backend: BackendName
    revision: str
    outcome: str
    error: str | None = None
    later: int = 0


@dataclasses.dataclass(frozen=True)
class Counted:
    """Rows of a table and documents of its collection; None: there is none.

    exact: False if the counting stopped at the limit.
    """

    table: str
    collection: str
    rows: int | None
    documents: int | None
    exact: bool = True

    @property
    def ok(self) -> bool:
        return self.rows == self.documents


@dataclasses.dataclass(frozen=True)
class VerifyResult:
    """What `verify` found; limit: where counting stopped, 0: nowhere."""

    checks: tuple[Verified, ...]
    counts: tuple[Counted, ...]
    limit: int

    @property
    def ok(self) -> bool:
        passed = all(check.outcome != "failed" for check in self.checks)
        return passed and all(count.ok for count in self.counts)
