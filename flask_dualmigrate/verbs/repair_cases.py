"""Problems between two journals, case by case, with options. Pure functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from ..backend import Doubt, Progress, Ways
from ..backend.holder import Holder
from ..backend.journal import Entry
from ..backend.progress import how_far
from ..revisions import BackendName, Direction, target_of_step
from ..run.consistency import Choice, contradictions
from ..run.plan import States, is_pair
from ..run.status import OpenProgress, edited_ids, unfinished
from ..text import when
from ..tree.directory import ScriptDirectory


@dataclasses.dataclass(frozen=True)
class Case:
    """Something that is unfinished or wrong.

    kind: at-work, pair, lost-mark, extra-row, unknown, edited, in-doubt, half-done or
    not-closed. backend: the side it is on; None: between the two.
    """

    kind: str
    backend: BackendName | None
    revision: str | None
    text: str
    choices: tuple[Choice, ...]


Doubts = Mapping[tuple[BackendName, str], Sequence[Doubt]]
"""Side and revision id -> the steps that only a person can decide on."""

OpenWays = Mapping[tuple[BackendName, str], Ways]
"""Side and revision id -> what can be done with its open attempt."""

_RUN = "flask db-migrate"


def find_cases(
    directory: ScriptDirectory,
    states: States,
    *,
    doubts: Doubts,
    progress: OpenProgress,
    ways: OpenWays,
    holders: Mapping[BackendName, Holder],
) -> tuple[Case, ...]:
    """Return what is unfinished or wrong, most serious first.

    holders: who holds a lock and is not provably gone: open attempts are theirs.
    """
    if holders:
        return tuple(_at_work(holders))
    return (
        *_pair(states),
        *_contradicting(directory, states),
        *_unknown(directory, states),
        *_edited(directory, states),
        *_half_done(states, doubts, progress, ways),
    )


def _at_work(holders: Mapping[BackendName, Holder]) -> Iterator[Case]:
    for name, holder in holders.items():
        yield Case(
            "at-work",
            name,
            None,
            f"{holder} holds the lock on {name.label}: the unfinished work is its own",
            (
                Choice("wait for it", None),
                Choice("if it hangs or is gone", f"{_RUN} unlock"),
            ),
        )


def _pair(states: States) -> Iterator[Case]:
    ids = {name: state.pair_id for name, state in states.items() if state.pair_id}
    if is_pair(states):
        return
    said = ", ".join(f"{name.label} has {pair}" for name, pair in ids.items())
    yield Case(
        "pair",
        None,
        None,
        f"The two databases do not belong together: each was migrated with another "
        f"partner ({said})",
        (
            Choice("if a URL is wrong, correct it: DATABASE_URL, MONGO_URI"),
            Choice("if one was restored, restore the other from the same backup"),
            Choice("if they should be a pair from now on", f"{_RUN} repair --pair"),
        ),
    )


def _contradicting(directory: ScriptDirectory, states: States) -> Iterator[Case]:
    for found in contradictions(directory, states):
        yield Case(found.kind, found.backend, None, found.what, found.choices)


def _unknown(directory: ScriptDirectory, states: States) -> Iterator[Case]:
    for name, state in states.items():
        for revision_id in sorted(state.applied - directory.revisions.keys()):
            yield Case(
                "unknown",
                name,
                revision_id,
                f"{name.label} has {revision_id}, which has no script",
                (
                    Choice("deploy the code that has it, or restore its scripts"),
                    Choice(
                        "if the mark is wrong, mark the right revision",
                        f"{_RUN} stamp --backend {name} REVISION",
                    ),
                ),
            )


def _edited(directory: ScriptDirectory, states: States) -> Iterator[Case]:
    for name, state in states.items():
        for revision_id in edited_ids(directory, name, state):
            yield Case(
                "edited",
                name,
                revision_id,
                f"The {name.label} script of {revision_id} was edited after it was run",
                (
                    Choice(
                        "restore it, and make the change in a new revision",
                        f'{_RUN} revision -m "what the edit changes"',
                    ),
                    Choice(
                        "if the edit changes nothing that was run, accept it",
                        f"{_RUN} repair {revision_id} --accept-checksum",
                    ),
                ),
            )


def _half_done(
    states: States, doubts: Doubts, progress: OpenProgress, ways: OpenWays
) -> Iterator[Case]:
    for name, entry in unfinished(states):
        choices = _choices(entry, ways[name, entry.revision])
        found = doubts.get((name, entry.revision), ())
        undecided = [doubt for doubt in found if not doubt.failed]
        if undecided:
            yield from (_doubt(name, entry, doubt) for doubt in undecided)
        elif entry.awaits_partner:
            yield _awaiting(states, name, entry, choices)
        else:
            yield _stopped(name, entry, doubts, progress, choices)


def _doubt(name: BackendName, entry: Entry, doubt: Doubt) -> Case:
    began = f" at {when(doubt.began)}" if doubt.began else ""
    step = f"{_RUN} repair {entry.revision} --step {doubt.step}"
    return Case(
        "in-doubt",
        name,
        entry.revision,
        f"Step {doubt.step} ({doubt.verb}) of the {entry.direction} of "
        f"{entry.revision} is in doubt on {name.label}: begun{began} by {doubt.by} on "
        f"{doubt.host}, its outcome is unknown. Check what it did",
        (
            Choice("it did its work", f"{step} --done"),
            Choice("it did nothing, or may be run again", f"{step} --retry"),
        ),
    )


def _awaiting(
    states: States, name: BackendName, entry: Entry, choices: tuple[Choice, ...]
) -> Case:
    (partner,) = (other for other in states if other != name)
    applied = entry.revision in states[partner].applied
    if applied is (entry.direction is Direction.UPGRADE):
        return Case(
            "not-closed",
            name,
            entry.revision,
            f"Both databases have done the {entry.direction} of {entry.revision}; only "
            f"the journal of {name.label} is not closed",
            (Choice("close it", f"{_RUN} {entry.direction} {target_of(entry)}"),),
        )
    return Case(
        "half-done",
        name,
        entry.revision,
        f"{name.label} has done the {entry.direction} of {entry.revision}, and "
        f"{partner.label} has not",
        choices,
    )


def _stopped(
    name: BackendName,
    entry: Entry,
    doubts: Doubts,
    progress: OpenProgress,
    choices: tuple[Choice, ...],
) -> Case:
    at = progress.get((name, entry.revision))
    error = f": {entry.error.rstrip('.')}" if entry.error else ""
    far = f", at {_where(at)}" if at else ""
    given_up = tuple(
        Choice(
            f"give up step {doubt.step} ({doubt.verb}), which failed",
            f"{_RUN} repair {entry.revision} --step {doubt.step} --done",
        )
        for doubt in doubts.get((name, entry.revision), ())
    )
    verb = "failed, and some of it remains" if entry.partial else "stopped halfway"
    what = f"The {'undoing of the ' if entry.undoing else ''}{entry.direction}"
    return Case(
        "half-done",
        name,
        entry.revision,
        f"{what} of {entry.revision} {verb} on {name.label}{far}{error}",
        (*choices, *given_up),
    )


def _where(at: Progress) -> str:
    subject = f" {at.subject}" if at.subject else ""
    return f"step {at.step}, {at.verb}{subject}: {how_far(at)}"


def _choices(entry: Entry, ways: Ways) -> tuple[Choice, ...]:
    """Return the options that work; the others only give the reason."""
    on = Choice("carry it on", f"{_RUN} {entry.direction} {target_of(entry)}")
    back = Choice("undo it", f"{_RUN} repair {entry.revision} --undo")
    if ways.not_on is not None:
        on = Choice(f"it cannot be carried on as it is: {ways.not_on}")
    if ways.not_back is not None:
        back = Choice(f"it cannot be undone: {ways.not_back}")
    return on, back


def target_of(entry: Entry) -> str:
    """Return the target of a run that goes exactly as far as the attempt."""
    return target_of_step(entry.direction, entry.revision, entry.down_revision)
