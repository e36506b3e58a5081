"""Checking that a backup covers everything later revisions may have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..backend import State
from ..backups import Manifest, MongoPart, PostgresPart
from ..errors import IntegrityError
from ..revisions import BackendName
from .plan import States

_ASIDE = "_aside_"


def require_reach(
    manifest: Manifest, states: States, known: Sequence[Manifest]
) -> None:
    """Raise IntegrityError if other revisions changed something not in the backup.

    Their tables would stay as they are, while the restored journal says that they are
    not applied, or that they are. A backup of everything covers any revision; a backup
    of what its run touched covers those that touched no more, according to their own
    backups. known: the existing backups, oldest first.
    """
    for name, state in states.items():
        part = part_of(manifest, name)
        if part is None or _held(part) is None:
            continue
        beyond = [
            revision
            for revision in sorted(_changed(part, state) - set(manifest.plan))
            if not _covers(part, revision, name, known)
        ]
        if beyond:
            raise IntegrityError(
                f"Backup {manifest.name} holds only what {_words(manifest.plan)} "
                f"touches, and since then {_words(beyond)} changed more on "
                f"{name.label}, which would stay as it is; nothing was changed",
                hint=_hint(state, beyond, name, known),
            )


def part_of(manifest: Manifest, name: BackendName) -> PostgresPart | MongoPart | None:
    return manifest.postgres if name is BackendName.POSTGRES else manifest.mongo


def _words(revisions: Sequence[str]) -> str:
    return ", ".join(revisions) or "its run"


def _changed(part: PostgresPart | MongoPart, state: State) -> frozenset[str]:
    """Return the revisions whose state differs from that at the time of the backup."""
    return (state.applied ^ set(part.applied)) | _begun(state)


def _begun(state: State) -> set[str]:
    return {entry.revision for entry in state.open_entries()}


def _held(part: PostgresPart | MongoPart) -> set[str] | None:
    """Return what a part holds, without asides; None: everything."""
    if isinstance(part, PostgresPart):
        if part.tables is None:
            return None
        return {f"{table.schema}.{table.name}" for table in part.tables}
    if part.collections is None:
        return None
    names = {each.name for each in part.collections}
    return {name for name in names if not name.startswith(_ASIDE)}


def _covers(
    part: PostgresPart | MongoPart,
    revision: str,
    name: BackendName,
    known: Sequence[Manifest],
) -> bool:
    """Return whether this part contains all that the runs of a revision touched."""
    touched = [_held(other) for other in _parts(revision, name, known)]
    held = _held(part)
    assert held is not None
    return bool(touched) and all(t is not None and t <= held for t in touched)


def _parts(
    revision: str, name: BackendName, known: Sequence[Manifest]
) -> Iterator[PostgresPart | MongoPart]:
    for manifest in known:
        part = part_of(manifest, name)
        if part is not None and revision in manifest.plan:
            yield part


def _hint(
    state: State, beyond: Sequence[str], name: BackendName, known: Sequence[Manifest]
) -> str:
    for manifest in reversed(known):
        part = part_of(manifest, name)
        if part is None:
            continue
        for revision in set(beyond) & set(manifest.plan):
            was, is_now = revision in part.applied, revision in state.applied
            if was is not is_now or revision in _begun(state):
                return (
                    "Restore the backup before that one first: flask db-migrate "
                    f"restore {manifest.name}"
                )
    return (
        "Bring the databases to the revisions of that time first, with upgrade or "
        "downgrade; or restore a backup that was made with --backup all."
    )
