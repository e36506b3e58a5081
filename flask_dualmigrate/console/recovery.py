"""The results of `unlock`, `repair` and `verify`."""

from __future__ import annotations

from collections.abc import Iterator

from ..recovery import SideLock, UnlockResult
from .text import lines


@lines.register
def _(result: UnlockResult) -> Iterator[str]:
    for side in result.sides:
        yield f"{side.backend.label}: {_lock(side)}"
    for line in result.under_way:
        yield f"Under way: {line}"
    if not result.ok:
        yield (
            "If that process is at work, wait for it. If it hangs, end it; if it is "
            "gone for sure, take the lock from it: flask db-migrate unlock --force"
        )


def _lock(side: SideLock) -> str:
    if side.holder is None:
        return "nobody holds the lock."
    if side.outcome == "free":
        return f"nobody holds the lock any more; {side.holder} had it."
    if side.outcome == "freed":
        why = f": {side.gone}" if side.gone else ""
        return f"freed the lock of {side.holder}{why}."
    left = side.holder.lease_s
    lease = "" if left is None else f"; its lease has {left:.0f} s left"
    return f"{side.holder} holds the lock{lease}."
