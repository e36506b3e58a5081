"""What the verbs return: values that the console prints, or shows as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .backend import Aside, PlannedStep
from .restoration import Kept, Replacement
from .revision import BackendName, Direction, Revision
from .status import RevisionStatus
from .survey import Survey


@dataclasses.dataclass(frozen=True)
class InitResult:
    """What `init` made, and what it wrote anew; paths are absolute."""

    directory: str
    created: tuple[str, ...]
    rewritten: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RevisionResult:
    """What `revision` and `merge` wrote; nothing, where nothing had changed.

    detected: what autogenerate found, a line each. files: absolute paths.
    """

    revision: Revision | None
    files: tuple[str, ...] = ()
    detected: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PlannedRevision:
    """One revision of a plan, and what each side would do."""

    revision: str
    message: str
    sides: tuple[PlannedStep, ...]


@dataclasses.dataclass(frozen=True)
class PlanResult:
    """What `upgrade --dry-run` and `downgrade --dry-run` say.

    backup: what would be backed up, in words; None: nothing. backup_refused: why that
    would end the run before anything is changed; None: it would not. emptied:
    as in RunResult.
    """

    direction: Direction
    revisions: tuple[PlannedRevision, ...]
    backup: str | None = None
    backup_refused: str | None = None
    emptied: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """False if something in it would fail, by what the databases hold now."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(
            problem
            for planned in self.revisions
            for side in planned.sides
            for forecast in side.forecasts
            for problem in forecast.problems
        )


@dataclasses.dataclass(frozen=True)
class ScriptResult:
    """What `--sql` and `--mongosh` print. language: sql or javascript."""

    language: str
    text: str


@dataclasses.dataclass(frozen=True)
class DoneStep:
    """One revision that a run completed. duration_ms: both sides together."""

    revision: str
    message: str
    backends: tuple[BackendName, ...]
    duration_ms: int


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What `upgrade` and `downgrade` did.

    backup: the name of the one that was made before; None: nothing was to be kept.
    verified: with --verify, what was counted before and after; else None.
    emptied: what a downgrade made anew and empty, and which backup has it.
    """

    direction: Direction
    steps: tuple[DoneStep, ...]
    backup: str | None = None
    verified: Survey | None = None
    emptied: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.verified is None or self.verified.ok


@dataclasses.dataclass(frozen=True)
class RestoreResult:
    """What `restore` brought back.

    replaced: tables and collections, as they were before it. kept: what was made since
    the backup and held data, and where that is now. applied: the revisions of each side
    from then on. carried_on: an earlier restore, killed half-way, was brought to its
    end; what it had replaced is not known.
    """

    backup: str
    backends: tuple[BackendName, ...]
    replaced: tuple[Replacement, ...]
    kept: tuple[Kept, ...]
    applied: Mapping[BackendName, tuple[str, ...]]
    carried_on: bool = False


@dataclasses.dataclass(frozen=True)
class StampResult:
    """What `stamp` marked: the heads now, and the sides that were told."""

    heads: tuple[str, ...]
    backends: tuple[BackendName, ...]


@dataclasses.dataclass(frozen=True)
class PairResult:
    """What `repair --pair` made a pair of.

    heads: where each database stands. pair_id: of both.
    """

    heads: Mapping[BackendName, tuple[str, ...]]
    pair_id: str


@dataclasses.dataclass(frozen=True)
class RepairResult:
    """What `repair` decided of a step: that it is done, or is to be called again."""

    revision: str
    step: int
    done: bool


@dataclasses.dataclass(frozen=True)
class AsidesResult:
    """What `asides` lists, oldest first."""

    asides: tuple[Aside, ...]


@dataclasses.dataclass(frozen=True)
class PurgeResult:
    """What `asides --purge-older-than` dropped.

    spared: asides that are old enough, and that a half-done revision needs.
    """

    dropped: tuple[Aside, ...]
    spared: tuple[Aside, ...]


@dataclasses.dataclass(frozen=True)
class CurrentResult:
    """Where each side in use stands: its heads; and whether that is the tree's.

    half_done: the attempts that are open, a line each. ahead: what the databases have
    and the tree lacks, a line each. paired: False if each was migrated with another
    partner.
    """

    heads: Mapping[BackendName, tuple[str, ...]]
    at_head: bool
    half_done: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    paired: bool = True

    @property
    def ok(self) -> bool:
        return self.paired and not self.ahead


@dataclasses.dataclass(frozen=True)
class StatusResult:
    """All revisions, newest first, and how many wait on some side.

    problems: what is wrong with the tree, a line each, as `check` has them. ahead: what
    the databases have and the tree lacks, a line each: no row can show it. paired: as
    in CurrentResult.
    """

    rows: tuple[RevisionStatus, ...]
    backends: tuple[BackendName, ...]
    pending: int
    problems: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    paired: bool = True

    @property
    def ok(self) -> bool:
        return self.paired and not self.ahead


@dataclasses.dataclass(frozen=True)
class GraphRevision:
    """A revision with its place in the history."""

    revision: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    branch_labels: tuple[str, ...]
    message: str
    file_name: str
    is_head: bool
    is_branch_point: bool
    is_merge_point: bool
    children: tuple[str, ...] = ()
    current: tuple[BackendName, ...] = ()


@dataclasses.dataclass(frozen=True)
class GraphResult:
    """What `history`, `heads` and `branches` list."""

    revisions: tuple[GraphRevision, ...]


@dataclasses.dataclass(frozen=True)
class ShowResult:
    """One revision: its place, its files, and all attempts at it on each side."""

    revision: GraphRevision
    files: Mapping[BackendName, str]
    attempts: Mapping[BackendName, tuple[dict[str, Any], ...]]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that `check` found.

    kind: pair, lock-file, databases, edited, deleted, todo, history, half-done, pending
    or models.
    """

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """What `check` found; nothing is good.

    not_compared: what of the models it could not compare, or was told not to.
    """

    findings: tuple[Finding, ...]
    not_compared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings
