"""Whether the states of the databases are consistent. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from ..backend import State
from ..errors import IntegrityError
from ..revisions import BackendName, Status
from ..tree.graph import RevisionGraph
from .plan import States

_URLS = {BackendName.MONGO: "MONGO_URI", BackendName.POSTGRES: "DATABASE_URL"}


@dataclasses.dataclass(frozen=True)
class Choice:
    """One option. command: the command to run; None: it is outside this tool."""

    what: str
    command: str | None = None


@dataclasses.dataclass(frozen=True)
class Contradiction:
    """A contradiction. what, where, hint: as in an error.

    kind: extra-row or lost-mark. choices: the options in the hint, one by one.
    """

    kind: str
    backend: BackendName
    what: str
    where: str
    hint: str
    choices: tuple[Choice, ...]


def require_consistent(directory: RevisionGraph, states: States) -> None:
    """Raise IntegrityError for the first contradiction."""
    for found in contradictions(directory, states):
        raise IntegrityError(found.what, where=found.where, hint=found.hint)


def contradictions(directory: RevisionGraph, states: States) -> Iterator[Contradiction]:
    """Yield where version rows, journals and partners disagree."""
    for name, state in states.items():
        if directory.revisions.keys() >= set(state.rows):
            yield from _superfluous_rows(directory, name, state)
            yield from _rows_against_journal(directory, name, state)
    yield from _lost_journals(directory, states)
    yield from _lost_histories(directory, states)


def _superfluous_rows(
    directory: RevisionGraph, name: BackendName, state: State
) -> Iterator[Contradiction]:
    """Yield rows below other rows: Alembic keeps only the heads."""
    for row in state.rows:
        above = [other for other in state.rows if row in _below(directory, other)]
        if above:
            stamp = f"flask db-migrate stamp --backend {name}"
            yield Contradiction(
                "extra-row",
                name,
                f"The version table of {name.label} has two rows for one branch: "
                f"{row} is an ancestor of {above[0]}",
                where="alembic_version",
                hint="Find out which revision the database is at, then record it: "
                f"{stamp} {above[0]}",
                choices=(
                    Choice(f"it is at {above[0]}", f"{stamp} {above[0]}"),
                    Choice(f"it is at {row}", f"{stamp} {row}"),
                ),
            )


def _below(directory: RevisionGraph, revision_id: str) -> set[str]:
    """Return all ancestors; what a revision depends on keeps its row."""
    found: set[str] = set()
    todo = list(directory.revisions[revision_id].parents)
    while todo:
        parent = todo.pop()
        if parent not in found:
            found.add(parent)
            todo.extend(directory.revisions[parent].parents)
    return found


def _rows_against_journal(
    directory: RevisionGraph, name: BackendName, state: State
) -> Iterator[Contradiction]:
    closed = [entry for entry in state.entries.values() if not entry.open]
    applied = frozenset(entry.revision for entry in closed if entry.applied)
    missing = applied - state.applied
    taken_back = {
        entry.revision for entry in closed if entry.status is Status.ROLLED_BACK
    } & state.applied
    if not (missing or taken_back):
        return
    rows = " and ".join(state.rows) or "nothing"
    journal = directory.heads_of(
        (applied & directory.revisions.keys()) | state.applied - taken_back
    )
    stamp = f"flask db-migrate stamp --backend {name}"
    yield Contradiction(
        "lost-mark",
        name,
        f"The version table of {name.label} says {rows}, and its journal "
        f"{' and '.join(journal) or 'nothing'}",
        where="alembic_version, dualmigrate_journal",
        hint=f"If another tool changed it and did the work: {stamp} "
        f"{_target(state.rows)}. If the row is wrong: {stamp} {_target(journal)}",
        choices=(
            Choice(
                "the row was lost or is wrong, and the journal is right",
                f"{stamp} {_target(journal)}",
            ),
            Choice(
                "another tool changed the row and did the work",
                f"{stamp} {_target(state.rows)}",
            ),
        ),
    )


def _target(heads: Sequence[str]) -> str:
    return heads[0] if heads else "base"


def _lost_journals(directory: RevisionGraph, states: States) -> Iterator[Contradiction]:
    """Find a stamp without its journal, on a side that was migrated with its partner.

    If no partner knows about it, it is a database that only Alembic has managed so far.
    """
    for name, state in states.items():
        if state.has_journal:
            continue
        for other, partner in states.items():
            together = _run_in_a_pair(partner) & state.applied
            if other == name or not together:
                continue
            head = _target(directory.heads_of(state.applied))
            stamp = f"flask db-migrate stamp --backend {name} {head}"
            yield Contradiction(
                "lost-mark",
                name,
                f"{name.label} is at {head} and has no journal, but was migrated "
                f"together with this {other.label}: the record of when and how its "
                "revisions were run is lost, and so are the checksums that reveal an "
                "edited script",
                where="dualmigrate_journal",
                hint="Restore the table. If the scripts are those that were run, write "
                f"it again: {stamp}",
                choices=(
                    Choice("if the table can be restored: from a backup"),
                    Choice(
                        "if the scripts are those that were run: write it again", stamp
                    ),
                ),
            )


def _run_in_a_pair(partner: State) -> frozenset[str]:
    """Return the revisions a side has and may have applied together with another."""
    if partner.pair_id is None:
        return frozenset()
    done = {entry.revision for entry in partner.entries.values() if not entry.open}
    return frozenset(done & partner.applied)


def _lost_histories(
    directory: RevisionGraph, states: States
) -> Iterator[Contradiction]:
    """Find a side without any history that had one, or whose partner shares one.

    Running everything there again would apply the changes to its data twice.
    """
    for name, state in states.items():
        if state.applied or state.entries:
            continue
        # Created but never used: a run was stopped between the pairing and the work.
        if state.unused:
            continue
        known = any(_run_in_a_pair(states[other]) for other in states if other != name)
        if state.lost and not known:
            yield _lost_alone(name)
        for other, partner in states.items():
            applied = _run_in_a_pair(partner)
            if other == name or not applied:
                continue
            head = _target(directory.heads_of(applied))
            stamp = f"flask db-migrate stamp --backend {name} {head}"
            yield Contradiction(
                "lost-mark",
                name,
                f"{name.label} has no history, but was migrated together with this "
                f"{other.label}, which is at {head}",
                where=_JOURNALS[name],
                hint=f"Check {_URLS[name]}, or restore what was lost. If its data is "
                f"that of this revision, record it: {stamp}",
                choices=(
                    Choice(f"{_URLS[name]} is wrong: correct it"),
                    Choice("if what was lost can be restored: from a backup"),
                    Choice(f"if its data is that of {head}", stamp),
                ),
            )


def _lost_alone(name: BackendName) -> Contradiction:
    stamp = f"flask db-migrate stamp --backend {name}"
    return Contradiction(
        "lost-mark",
        name,
        f"{name.label} has lost its history: revisions were run there, but the record "
        "of which ones is gone",
        where=_JOURNALS[name],
        hint="Restore what was lost. If you know which revision its data is at, record "
        f"it: {stamp} REV. To start again from the beginning: {stamp} base",
        choices=(
            Choice("if what was lost can be restored: from a backup"),
            Choice("if its data is that of a revision: give it as REV", f"{stamp} REV"),
            Choice("if it should start again from the first revision", f"{stamp} base"),
        ),
    )


_JOURNALS = {
    BackendName.MONGO: "_migrations",
    BackendName.POSTGRES: "alembic_version, dualmigrate_journal",
}
