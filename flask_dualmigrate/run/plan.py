"""Computing a run's steps from the sides' states and a target. Pure functions."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn

from ..backend import State
from ..errors import IntegrityError, UsageError
from ..revisions import BackendName, Direction, Revision, Step
from ..tree.graph import RevisionGraph, resolution_errors
from ..tree.script_file import ID_PATTERN

States = Mapping[BackendName, State]
_RELATIVE = re.compile(r"[+-]\d+$")
_NOWHERE = re.compile(r"[+-]0+$|base-\d+$")


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of one run, in order."""

    direction: Direction
    target: str
    steps: tuple[Step, ...]

    def within(self, other: Plan) -> Plan:
        """Return this plan up to the first revision that another plan lacks.

        The other plan may be an earlier one for a target such as -1, which has moved
        since; a target that is an id does not move, so its plan stays complete.
        """
        if not _RELATIVE.search(self.target):
            return self
        ids = {step.revision.id for step in other.steps}
        steps = itertools.takewhile(lambda step: step.revision.id in ids, self.steps)
        return dataclasses.replace(self, steps=tuple(steps))

    @property
    def fixed_target(self) -> str:
        """The target as an id, which is the same however much of the plan is done."""
        if not self.steps or not _RELATIVE.search(self.target):
            return self.target
        last = self.steps[-1].revision
        if self.direction is Direction.UPGRADE:
            return last.id
        return last.parents[0] if last.parents else "base"


def make_plan(
    directory: RevisionGraph, states: States, target: str, direction: Direction
) -> Plan:
    """Return the steps from what the sides have to the target.

    states: of the sides in use, in the order they are worked on. A side that is behind
    catches up on the way: each step names the sides that still have to do it. Raises
    UsageError if the target is invalid, IntegrityError if a side has a revision that
    the tree does not know.
    """
    require_target(directory, target, direction)
    require_known(directory, states)
    if direction is Direction.UPGRADE:
        revisions = _upgrade_revisions(directory, states, target)
    else:
        revisions = _downgrade_revisions(directory, states, target)
    steps = []
    for revision in _begun_first(directory, states, revisions, direction):
        todo = tuple(
            name for name in states if _to_do(states, name, revision.id, direction)
        )
        if todo:
            steps.append(Step(revision, direction, todo))
    return Plan(direction, target, tuple(steps))


def require_target(directory: RevisionGraph, target: str, direction: Direction) -> None:
    """Raise UsageError for a target that names no revision or several.

    This needs no database, unless the target counts from the current revision.
    """
    if not target.strip():
        raise UsageError(
            "The target is empty",
            hint="Name a revision, head, base, or a number such as +1 or -1.",
        )
    if _NOWHERE.search(target):
        raise UsageError(
            f"{target} leads nowhere",
            hint="A number is a count of revisions up or down: +1 or -1.",
        )
    if direction is Direction.DOWNGRADE and target in ("head", "heads"):
        raise UsageError(
            "A downgrade cannot go up to head",
            hint="Name a revision, -1 or base.",
        )
    if not _RELATIVE.search(target) and not target.endswith("base"):
        directory.resolve(target)


def require_known(directory: RevisionGraph, states: States) -> None:
    """Raise IntegrityError if a database has a revision that the tree lacks."""
    for text in ahead(directory, states):
        raise IntegrityError(text, where=str(directory.root), hint=WHEN_AHEAD)


WHEN_AHEAD = "Deploy the code that has it, or restore its scripts."


NOT_A_PAIR = (
    "The two databases do not belong together: each was migrated with another partner"
)


def is_pair(states: States) -> bool:
    """Return whether the sides hold one pair id, if they hold any."""
    return len({state.pair_id for state in states.values()} - {None}) < 2


def require_pair(states: States) -> None:
    """Raise IntegrityError if the two sides hold different pair ids."""
    if not is_pair(states):
        refuse_two_pairs()


def refuse_two_pairs() -> NoReturn:
    """Raise IntegrityError for databases of different pairs."""
    raise IntegrityError(
        NOT_A_PAIR,
        hint="Check DATABASE_URL and MONGO_URI, or what was restored. For your "
        "options: flask db-migrate repair",
    )


def unknown_ids(
    directory: RevisionGraph, states: States
) -> dict[BackendName, tuple[str, ...]]:
    """Return what each database has, or has begun, that the tree lacks.

    Another branch of the code made it: "nothing is pending" does not mean "at head".
    """
    found = {}
    for name, state in states.items():
        begun = {entry.revision for entry in state.open_entries()}
        unknown = (state.applied | begun) - directory.revisions.keys()
        if unknown:
            found[name] = tuple(sorted(unknown))
    return found


def ahead(directory: RevisionGraph, states: States) -> tuple[str, ...]:
    """Report which database has each revision that the tree lacks, one line each."""
    return tuple(
        f"The {name.label} database is ahead of this code: it has "
        f"{_shown(revision_id)}, which has no script here"
        for name, ids in unknown_ids(directory, states).items()
        for revision_id in ids
    )


def _shown(revision_id: str) -> str:
    return revision_id if ID_PATTERN.fullmatch(revision_id) else repr(revision_id)


def refuse_half_done(states: States) -> None:
    """Raise IntegrityError if an attempt is open: a stamp would lose its undo log."""
    for name, state in states.items():
        for entry in state.open_entries():
            if entry.awaits_partner and len(states) == 1:
                continue
            raise IntegrityError(
                f"The {entry.direction} of {entry.revision} is half done on "
                f"{name.label}, and a stamp would lose track of it",
                hint="For your options: flask db-migrate repair",
            )


def is_applied(states: States, name: BackendName, revision_id: str) -> bool:
    """Return whether a side needs nothing more for a revision to count as applied."""
    return not _to_do(states, name, revision_id, Direction.UPGRADE)


def _to_do(
    states: States, name: BackendName, revision_id: str, direction: Direction
) -> bool:
    """Return whether a side still has work to do for a revision.

    An open attempt counts as work to do: continuing it is cheap if all of it is done.
    One that only waits for its partner is open while the partner is in use.
    """
    state = states[name]
    entry = state.entries.get(revision_id)
    if entry is not None and entry.open and entry.direction is direction:
        return not entry.awaits_partner or len(states) > 1
    applied = revision_id in state.applied
    return not applied if direction is Direction.UPGRADE else applied


def _is_begun(state: State, revision_id: str) -> bool:
    """Return whether an upgrade stopped halfway: undoing it is one step down."""
    entry = state.entries.get(revision_id)
    return entry is not None and entry.open and entry.direction is Direction.UPGRADE


def _upgrade_revisions(
    directory: RevisionGraph, states: States, target: str
) -> list[Revision]:
    common = frozenset.intersection(
        *(
            frozenset(
                revision_id
                for revision_id in directory.revisions
                if is_applied(states, name, revision_id)
            )
            for name in states
        )
    )
    lower = _closed_heads(directory, common)
    with resolution_errors(directory):
        walk = directory.graph.iterate_revisions(
            target, lower, implicit_base=True, assert_relative_length=True
        )
        return _revisions(directory, walk)[::-1]


def _closed_heads(directory: RevisionGraph, applied: frozenset[str]) -> tuple[str, ...]:
    """Return the heads of those revisions whose ancestors are applied too.

    A revision that one side skipped is an ancestor of others that are applied; the walk
    must begin below it.
    """
    closed: set[str] = set()
    for revision in directory.topological():
        if revision.id in applied and directory.below(revision.id) <= closed:
            closed.add(revision.id)
    return directory.heads_of(frozenset(closed))


def _downgrade_revisions(
    directory: RevisionGraph, states: States, target: str
) -> list[Revision]:
    union = frozenset(
        revision_id
        for name in states
        for revision_id in directory.revisions
        if _to_do(states, name, revision_id, Direction.DOWNGRADE)
        or _is_begun(states[name], revision_id)
    )
    upper = directory.heads_of(union)
    if not upper:
        if not _RELATIVE.search(target):
            directory.resolve(target)
        return []
    if len(upper) > 1 and re.fullmatch(r"-\d+", target):
        raise UsageError(
            f"The databases are at several heads: {', '.join(upper)}",
            hint=f"Choose the branch to downgrade: flask db-migrate downgrade "
            f"{upper[0]}@{target}",
        )
    with resolution_errors(directory):
        walk = directory.graph.iterate_revisions(
            upper, target, select_for_downgrade=True, assert_relative_length=True
        )
        return _revisions(directory, walk)


def _begun_first(
    directory: RevisionGraph,
    states: States,
    revisions: list[Revision],
    direction: Direction,
) -> list[Revision]:
    """Put begun revisions, and what they need, before the rest: branches may mix."""
    begun = {
        entry.revision
        for state in states.values()
        for entry in state.open_entries()
        if entry.direction is direction
    }
    first: Collection[str]
    if direction is Direction.UPGRADE:
        first = directory.ancestors(tuple(begun))
    else:
        first = [r.id for r in revisions if directory.ancestors([r.id]) & begun]
    return sorted(revisions, key=lambda revision: revision.id not in first)


def _revisions(directory: RevisionGraph, walk: Iterable[Any]) -> list[Revision]:
    return [directory.revisions[item.revision] for item in walk]
