"""Whether the holder of the lock renews it, by the clock of the waiting run.

The server's clock may be set while the lock is held, or be another server's after a
failover: a lease that is over by that clock may be renewed in the next second. A holder
stops if it could not renew for the length of its lease; so one that was not seen to
renew for that long, by a monotonic clock, has stopped.
"""

from __future__ import annotations

from ..journal.attempts import Doc
from .watchdog import clock

_BEATS = ("owner", "beats", "expires_at")


class Vigil:
    """Watches the lock's document from one look to the next.

    lease_s: for a holder that did not record its own, as in earlier versions. silent:
    what the document says about a holder that no longer renews it; None: no holder was
    seen to be silent for that long.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._beat: Doc | None = None
        self._since_s = 0.0
        self.silent: Doc | None = None

    def look(self, doc: Doc | None) -> bool:
        """Look at the document as just read; return whether its holder is gone.

        doc: None: no one holds the lock.
        """
        beat = None if doc is None else {name: doc.get(name) for name in _BEATS}
        self.silent = None
        if doc is None or beat != self._beat:
            self._beat, self._since_s = beat, clock()
        elif clock() - self._since_s >= float(doc.get("lease_s") or self._lease_s):
            self.silent = beat
        return self.silent is not None
