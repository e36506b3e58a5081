"""`repair`, `verify` and `unlock` as functions."""

from __future__ import annotations

from ..verbs import repair as repairing
from ..verbs import unlock as unlocking
from ..verbs import verify as verifying
from ..verbs.unlock import UnlockResult
from ..verbs.verify import VerifyResult
from .environment import parts


def repair(
    directory: str | None = None,
    *,
    revision: str | None = None,
    step: int | None = None,
    done: bool | None = None,
    undo: bool = False,
    accept_checksum: bool = False,
    pair: bool = False,
) -> repairing.Repaired:
    """Return what is unfinished or wrong, `.ok` if nothing is; or make one choice.

    step, done: a step in doubt did its work, or must be called again. undo: undo what
    is half done. accept_checksum: accept an edited script as the one that was run.
    pair: make a pair of two databases that had different partners.
    """
    return repairing.repair(
        parts(directory),
        revision,
        step=step,
        done=done,
        undo=undo,
        accept_checksum=accept_checksum,
        pair=pair,
    )


def verify(
    directory: str | None = None,
    revision: str | None = None,
    *,
    head_only: bool = False,
    counts: bool = True,
    count_limit: int = verifying.COUNT_LIMIT,
    backend: str | None = None,
) -> VerifyResult:
    """Run the verify functions of applied revisions, and compare counts; see `.ok`."""
    return verifying.verify(
        parts(directory, backend=backend),
        revision,
        head_only=head_only,
        counts=counts,
        count_limit=count_limit,
    )


def unlock(
    directory: str | None = None, *, force: bool = False, backend: str | None = None
) -> UnlockResult:
    """Free the locks whose holders are gone; `.ok` unless one is still held.

    force: free them even if their holders may still be running.
    """
    return unlocking.unlock(parts(directory, backend=backend), force=force)
