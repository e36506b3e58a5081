"""Whether the holder of the lock renews it, by the clock of who waits for it.

The server's clock may be set while it is held, or be another server's after a failover:
a lease that is over by it may be renewed in the next second. A holder stops when it
could not renew for as long as its lease; so one that was seen to renew nothing for that
long, by a clock that no one sets, has stopped.
"""

from __future__ import annotations

from ..journal.attempts import Doc
from .watchdog import clock

_BEATS = ("owner", "beats", "expires_at")


class Vigil:
    """Watches the document of the lock, look by look.

    lease_s: of a holder that did not write down its own, as earlier versions.
    silent: what the document says of a holder that renews it no more; None: no one was
    seen to be silent for so long.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._beat: Doc | None = None
        self._since_s = 0.0
        self.silent: Doc | None = None

    def look(self, doc: Doc | None) -> bool:
        """Look at the document as it was just read; return whether its holder is gone.

        doc: None: no one holds the lock.
        """
        beat = None if doc is None else {name: doc.get(name) for name in _BEATS}
        self.silent = None
        if doc is None or beat != self._beat:
            self._beat, self._since_s = beat, clock()
        elif clock() - self._since_s >= float(doc.get("lease_s") or self._lease_s):
            self.silent = beat
        return self.silent is not None
