"""The verb `unlock`: show who holds the locks, and free abandoned ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..backend.holder import Holder
from ..environment import Environment
from ..revisions import BackendName
from ..run.lock_wait import under_way
from ..run.options import Confirm


@dataclasses.dataclass(frozen=True)
class SideLock:
    """The lock of one side, as `unlock` leaves it.

    outcome: free (no one had it), freed (it was taken from the holder) or held. gone:
    why the holder cannot still be running; None: this is not proven.
    """

    backend: BackendName
    outcome: str
    holder: Holder | None = None
    gone: str | None = None


@dataclasses.dataclass(frozen=True)
class UnlockResult:
    """What `unlock` found and did; `ok` unless someone still holds a lock.

    under_way: the revisions that are open in the journals, and how far they are.
    """

    sides: tuple[SideLock, ...]
    under_way: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(side.outcome != "held" for side in self.sides)


def unlock(
    env: Environment, *, force: bool = False, confirm: Confirm | None = None
) -> UnlockResult:
    """Free the locks whose holders are provably gone.

    force: free them all; confirm is asked first about holders that may still be
    running.
    """
    holders = {name: backend.holder() for name, backend in env.backends.items()}
    alive = [
        f"{name.label}: {holder}"
        for name, holder in holders.items()
        if holder is not None and holder.gone is None
    ]
    if force and alive and confirm is not None:
        confirm([*alive, *_what_goes_on(env, holders)])
    # MongoDB's first, in the order listed: from then on its holder writes nothing.
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
        gone = _outwatched(env, name, holder)
        if gone is None:
            return SideLock(name, "held", holder)
    freed = env.backends[name].free(holder)
    return SideLock(name, "freed" if freed else "free", holder, gone)


def _outwatched(env: Environment, name: BackendName, holder: Holder) -> str | None:
    """Return why a holder is gone, if it no longer renews its lease.

    Expiry by the server's clock proves nothing, because that clock may have been set.
    """
    if not holder.is_overdue:
        return None
    env.run.on_wait(f"its lease has expired; checking whether it renews it: {holder}")
    if env.backends[name].outwatch(holder):
        return "its lease has expired, and it does not renew it"
    return None


def _what_goes_on(
    env: Environment, holders: Mapping[BackendName, Holder | None]
) -> tuple[str, ...]:
    """Return what taking the locks does not stop."""
    on_mongo = holders.get(BackendName.MONGO)
    if on_mongo is None or on_mongo.gone is not None:
        return ()
    at_work = [f"under way: {line}" for line in under_way(env.backends)]
    return (
        *at_work,
        "what a script function (op.run) sends to MongoDB is not refused: on Linux its "
        "process is killed within about a second, if it is running and can reach the "
        "server; elsewhere, or if it is stopped, it may keep writing until the "
        "function ends. Commands that MongoDB has already received also continue. To "
        "be sure, end that process first",
    )
