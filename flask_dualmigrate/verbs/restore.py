"""The verb `restore`: bring both databases back to the state of a backup."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ..backend.restorer import Kept, Replacement, Unfinished
from ..backups import Manifest
from ..environment import Environment
from ..errors import UsageError
from ..revisions import BackendName
from ..run.plan import States
from ..run.restore import Restoring, applied_then, carry_on, decided, losses
from ..run.restore_reach import require_reach


@dataclasses.dataclass(frozen=True)
class RestoreResult:
    """What `restore` brought back.

    replaced: tables and collections, as they were before it. kept: what was made since
    the backup and held data, and where that is now. applied: the revisions of each side
    from then on. carried_on: an earlier restore, killed halfway, was completed; what
    it had replaced is not known.
    """

    backup: str
    backends: tuple[BackendName, ...]
    replaced: tuple[Replacement, ...]
    kept: tuple[Kept, ...]
    applied: Mapping[BackendName, tuple[str, ...]]
    carried_on: bool = False


def restore(
    env: Environment,
    name: str,
    *,
    confirm: Callable[[Manifest, Sequence[str]], None] | None = None,
) -> RestoreResult:
    """Bring the sides in use to the state and the revision of a backup.

    name: of the backup, a prefix of it, or "latest". A restore that was killed halfway
    is continued without asking again. Raises IntegrityError, changing nothing, if the
    backup is damaged, belongs to other databases, or holds less than later revisions
    changed; UsageError if there is none, and what `confirm` raises.
    """
    env.run.check_servers()
    begun = decided(env.run.states_as_they_are())
    if begun is not None:
        return _carry_on(env, name, begun)
    with env.backup_store.find(name) as (folder, manifest):
        restoring = Restoring(env.backends, folder, manifest)
        states = env.run.states_as_they_are()
        restoring.require_whole(states)
        known = env.backup_store.list()
        require_reach(manifest, states, known)
        replaced = restoring.replacements()
        if confirm is not None:
            confirm(manifest, losses(manifest, states, replaced))
        with env.run.locked():
            # Someone may have restored or migrated while we asked and waited.
            states = env.run.states()
            restoring.require_fitting(states)
            require_reach(manifest, states, known)
            kept = restoring.run()
    return RestoreResult(
        manifest.name, tuple(env.backends), replaced, kept, _ways(manifest, states)
    )


def _carry_on(env: Environment, name: str, begun: Unfinished) -> RestoreResult:
    if name != "latest" and not begun.backup.startswith(name):
        raise UsageError(
            f"The restore of {begun.backup} is half done and must be finished first",
            hint=f"Carry it on with: flask db-migrate restore {begun.backup}",
        )
    with env.run.locked():
        kept = carry_on(env.backends, begun)
    return RestoreResult(
        begun.backup, tuple(env.backends), (), kept, {}, carried_on=True
    )


def _ways(manifest: Manifest, states: States) -> dict[BackendName, tuple[str, ...]]:
    """Return the revisions that each side has again, sorted."""
    return {name: tuple(sorted(applied_then(manifest, name))) for name in states}
