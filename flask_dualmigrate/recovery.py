"""What `unlock`, `repair` and `verify` say: values, and the cases read off the states.

Pure: nothing here touches a database.
"""

from __future__ import annotations

import dataclasses

from .holder import Holder
from .revision import BackendName


@dataclasses.dataclass(frozen=True)
class SideLock:
    """The lock of one side, as `unlock` leaves it.

    outcome: free (nobody had it), freed (it was taken from the holder) or held.
    gone: why the holder cannot be at work any more; None: that is not proven.
    """

    backend: BackendName
    outcome: str
    holder: Holder | None = None
    gone: str | None = None


@dataclasses.dataclass(frozen=True)
class UnlockResult:
    """What `unlock` found and did; `ok` unless somebody still holds a lock.

    under_way: the revisions that the journals call open, and how far they are.
    """

    sides: tuple[SideLock, ...]
    under_way: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(side.outcome != "held" for side in self.sides)
