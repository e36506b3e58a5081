"""The verb `unlock`: who holds the locks, and taking them from who is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .environment import Environment
from .holder import Holder
from .lock_wait import under_way
from .recovery import SideLock, UnlockResult
from .revision import BackendName

Confirm = Callable[[Sequence[str]], None]


def unlock(
    env: Environment, *, force: bool = False, confirm: Confirm | None = None
) -> UnlockResult:
    """Free the locks whose holders are provably gone.

    force: free them all; confirm is asked first about holders that may be at work.
    """
    holders = {name: backend.holder() for name, backend in env.backends.items()}
    alive = [
        f"{name.label}: {holder}"
        for name, holder in holders.items()
        if holder is not None and holder.gone is None
    ]
    if force and alive and confirm is not None:
        confirm(alive)
    # MongoDB's first, as they are listed: from there on its holder writes nothing.
    sides = [_side(env, name, holder, force) for name, holder in holders.items()]
    result = UnlockResult(tuple(reversed(sides)))
    return result if result.ok else UnlockResult(result.sides, under_way(env.backends))


def _side(
    env: Environment, name: BackendName, holder: Holder | None, force: bool
) -> SideLock:
    if holder is None:
        return SideLock(name, "free")
    gone = holder.gone
    if gone is None and not force:
        return SideLock(name, "held", holder)
    freed = env.backends[name].free(holder)
    return SideLock(name, "freed" if freed else "free", holder, gone)
