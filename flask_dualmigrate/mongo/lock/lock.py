"""The lock in MongoDB: a lease on one document, renewed while it is held.

Reported times are the server's ($$NOW). Decisions do not depend on a clock that someone
may set: the holder stops by its own monotonic clock, read before each request, and a
waiting run takes over by its own, having seen no renewal for the length of the lease:
see vigil.py. The token grows with each holder and is stored in whatever a holder
writes: a holder that wakes too late is fenced out. A process whose lease is over cannot
send commands that take no token: see watchdog.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pymongo
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from ...backend.holder import Holder, OnWait, mark_of
from ...backend.journal import Actor
from ...errors import LockLost, LockTimeout
from ...revisions import BackendName
from ...runtime.crashpoints import around
from ...runtime.events import tell
from ..journal.attempts import Doc
from ..journal.journal import COLLECTION as JOURNAL
from ..journal.journal import durable
from ..journal.steps import STEPS, StepStore
from ..server.clients import own_database
from ..server.errors import driver_errors
from ..server.views import exact_view
from .vigil import Vigil
from .watchdog import Watchdog, clock

log = logging.getLogger(__name__)

COLLECTION = "_migrations_lock"
_POLL_S = 0.25
_LOOK_S = 1.0
"""Seconds between two checks of who holds it."""
_NOTICE_S = 1.0
"""Seconds that a script's function may outlive the lock before that is noticed."""
_SPARE_S = 3.0
_ROOMY = 10
"""The pool size at which the lock always finds a connection."""

_BEAT = {"$add": [{"$ifNull": ["$beats", 0]}, 1]}


class MongoLock:
    """A lease on the lock document of one database.

    lease_s: seconds that it lives without being renewed. keep_going: called while
    waiting for the lock; raises when the run must stop.
    """

    def __init__(
        self,
        db: Database[Any],
        *,
        lease_s: float,
        keep_going: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._locks = self._renewed = durable(db)[COLLECTION]
        self._lease_s = lease_s
        self._keep_going = keep_going
        self._owner = uuid4().hex
        # How long before the end of the lease the holder stops, if it could not renew
        # it.
        self._spare_s = min(_SPARE_S, lease_s / 4)
        self._ends_at = 0.0
        self._watchdog = Watchdog()
        self._binding = threading.Event()
        self._stop = threading.Event()
        self.token = 0

    @contextmanager
    def held(self, *, timeout_s: float, on_wait: OnWait) -> Iterator[None]:
        """Hold the lock; raises LockTimeout, naming the holder.

        on_wait: called with the holder about once a second.
        """
        with driver_errors("take its lock"):
            self._wait(timeout_s, on_wait)
        self._stop.clear()
        with self._apart():
            renewer = threading.Thread(
                target=self._renew, name="dualmigrate-lease", daemon=True
            )
            renewer.start()
            try:
                self._arm()
                yield
            finally:
                self._stop.set()
                try:
                    renewer.join()
                finally:  # a Ctrl-C here must not end the program at some later point
                    self._watchdog.disarm()
                self._release()

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Renew through a separate client if the app's has few connections.

        Commands that last longer than the lease may take all of them.
        """
        size = self._db.client.options.pool_options.max_pool_size
        if not size or size >= _ROOMY:
            yield
            return
        own = own_database(self._db)
        self._renewed = durable(own)[COLLECTION]
        try:
            yield
        finally:
            own.client.close()

    @contextmanager
    def binding(self) -> Iterator[None]:
        """End this process with its lease: what runs inside does not call `require`.

        Elsewhere a process is killed only if it does not notice the end of its lease.
        """
        self._binding.set()
        try:
            yield
        finally:
            self._binding.clear()
            if self._left_s() <= 0:
                self._watchdog.disarm()

    def require(self) -> None:
        """Raise LockLost if the lease may have ended, or is just about to."""
        if self._left_s() <= 0:
            raise LockLost(
                "The lock on MongoDB was lost: it was not renewed in time",
                hint="Nothing was written after that. Run the same command again.",
            )

    def is_held(self) -> bool:
        """Return whether someone holds the lock and is not provably gone."""
        holder = self.holder()
        return holder is not None and holder.gone is None and not holder.is_overdue

    @around("mongo.lock.seed")
    def _seed(self) -> None:
        """Make sure the document exists; $expr in an upsert's filter is refused.

        If someone dropped it, the tokens continue after the last one in use.
        """
        if self._locks.find_one({"_id": "lock"}, {"_id": True}) is not None:
            return
        new = {"token": self._last_token(), "owner": None, "expires_at": None}
        try:
            self._locks.update_one(
                {"_id": "lock"},
                {"$setOnInsert": new},
                upsert=True,
            )
        except DuplicateKeyError:
            return  # another worker seeded it at the same moment

    def _last_token(self) -> int:
        """Return the highest token in a journal; 0 if there is none."""
        found = [
            document["token"]
            for name in (JOURNAL, STEPS)
            for document in self._locks.database[name]
            .find({"token": {"$exists": True}})
            .sort("token", -1)
            .limit(1)
        ]
        return max(map(int, found), default=0)

    @around("mongo.lock")
    def _wait(self, timeout_s: float, on_wait: OnWait) -> None:
        give_up = time.monotonic() + timeout_s
        look_at, vigil = 0.0, Vigil(self._lease_s)
        self._keep_going()
        if self._take():
            return
        self._seed()
        while not self._take(vigil.silent):
            now = time.monotonic()
            if now >= min(look_at, give_up):
                doc = self._held()
                holder = None if doc is None else _holder_of(doc)
                if self._outlived(holder) or vigil.look(doc):
                    continue
                # Watching a holder whose lease is over takes no longer than its lease.
                if now >= give_up and not (holder and holder.is_overdue):
                    raise LockTimeout.of("MongoDB", holder, timeout_s)
                on_wait(holder)
                look_at = time.monotonic() + _LOOK_S
            time.sleep(_POLL_S)
            self._keep_going()

    def _outlived(self, holder: Holder | None) -> bool:
        """Free the lock of a process that is provably gone: it no longer renews it."""
        return holder is not None and holder.gone is not None and self.free(holder)

    def outwatch(self, holder: Holder) -> bool:
        """Watch a holder whose lease is over; return whether it stopped renewing it."""
        vigil = Vigil(self._lease_s)
        while True:
            doc = self._held()
            if doc is None or doc["owner"] != holder.key:
                return False
            if vigil.look(doc):
                return True
            if not _holder_of(doc).is_overdue:
                return False
            time.sleep(_POLL_S)
            self._keep_going()

    def _take(self, silent: Doc | None = None) -> bool:
        """Take the lock if no one has it, or if its document still equals `silent`."""
        asked = clock()
        doc = self._locks.find_one_and_update(
            {"_id": "lock", **(silent or {"owner": None})},
            [{"$set": self._mark()}],
            return_document=ReturnDocument.AFTER,
        )
        if doc is None:
            return False
        self.token = int(doc["token"])
        self._ends_at = asked + self._lease_s
        return True

    def _arm(self) -> None:
        """Have this process killed when its lease ends unless it is renewed."""
        if self._left_s() > 0 and not self._stop.is_set():
            self._watchdog.arm(self._ends_at)

    def _left_s(self) -> float:
        """Return the seconds until the holder has to stop."""
        return self._ends_at - self._spare_s - clock()

    def _mark(self) -> Doc:
        actor = Actor.current()
        return {
            "owner": self._owner,
            "token": {"$add": ["$token", 1]},
            "since": "$$NOW",
            "user": {"$literal": actor.user},
            "host": {"$literal": actor.host},
            "pid": actor.pid,
            "mark": {"$literal": mark_of(actor.pid)},
            "lease_s": self._lease_s,
            "beats": 0,
            "expires_at": self._expiry(),
        }

    def _expiry(self) -> Doc:
        return {"$add": ["$$NOW", int(self._lease_s * 1000)]}

    def _renew(self) -> None:
        """Renew at a third of the lease, and more often after a failed try.

        While a function of a script runs, which can only be stopped by ending this
        process, check more often whether the lock is still ours.
        """
        pause = self._lease_s / 3
        while not self._paused(pause):
            asked, left_s = clock(), self._left_s()
            if left_s <= 0:
                return self._lose(self._ends_at)
            try:
                with pymongo.timeout(left_s):
                    result = self._renewed.update_one(
                        {"_id": "lock", "owner": self._owner},
                        [{"$set": {"expires_at": self._expiry(), "beats": _BEAT}}],
                    )
            except PyMongoError:
                pause = max(0.0, min(1.0, self._lease_s / 10, self._left_s()))
                continue
            if not result.matched_count:
                return self._lose(clock())
            self._ends_at = asked + self._lease_s
            self._arm()
            pause = self._lease_s / 3

    def _paused(self, seconds: float) -> bool:
        """Pause; return whether the lock was released meanwhile."""
        end = clock() + seconds
        while (left := end - clock()) > 0:
            if self._stop.wait(min(left, _NOTICE_S)):
                return True
            if self._binding.is_set():
                break
        return self._stop.is_set()

    def _lose(self, ends_at: float) -> None:
        """Make `require` refuse from now on; let this process live if it calls that."""
        self._ends_at = 0.0
        if not self._binding.is_set():
            self._watchdog.disarm()
            return
        tell(
            log,
            "lock_lost",
            "The lock on MongoDB was lost while a function of a script is "
            "running: to stop it from writing, this process is killed "
            f"{_when(ends_at - clock())}, unless the function ends before",
            level=logging.ERROR,
            backend=BackendName.MONGO,
        )
        self._watchdog.arm(ends_at)
        if not self._binding.is_set():  # it has just ended
            self._watchdog.disarm()

    @around("mongo.unlock")
    def _release(self) -> None:
        try:
            self._locks.update_one(
                {"_id": "lock", "owner": self._owner},
                {"$set": {"owner": None, "expires_at": None}},
            )
        except PyMongoError:
            return  # the lease ends by itself

    def holder(self) -> Holder | None:
        """Return who holds the lock, or held it when its lease ended, if anyone."""
        doc = self._held()
        return None if doc is None else _holder_of(doc)

    def _held(self) -> Doc | None:
        """Return the lock's document, with the server's time; None if it is free."""
        pipeline: list[Doc] = [
            {"$match": {"_id": "lock", "owner": {"$ne": None}}},
            {"$set": {"now": "$$NOW"}},
        ]
        return next(iter(self._locks.aggregate(pipeline)), None)

    @around("mongo.lock.free")
    def free(self, holder: Holder) -> bool:
        """Take the lock from a holder and shut it out; False if it no longer has it.

        The token grows, and is checked by the fence of whatever a run writes: whatever
        the old holder still tries is refused, and its open transactions are ended. What
        a function of a script sends has no token: no one else gets the lock until the
        holder has noticed and is killed.
        """
        freed = self._locks.find_one_and_update(
            {"_id": "lock", "owner": holder.key},
            [{"$set": self._mark()}],
            return_document=ReturnDocument.AFTER,
        )
        if freed is None:
            return False
        StepStore(exact_view(self._db), token=int(freed["token"])).shut_out()
        if holder.gone is None:
            time.sleep(1.5 * _NOTICE_S)
        self._release()
        return True


def _when(left_s: float) -> str:
    return f"in {left_s:.1f} s" if left_s > 0 else "now"


def _holder_of(doc: Doc) -> Holder:
    now = doc["now"]
    return Holder(
        user=doc.get("user"),
        host=doc.get("host"),
        pid=doc.get("pid"),
        since=doc["since"],
        age_s=(now - doc["since"]).total_seconds(),
        mark=doc.get("mark"),
        lease_s=(doc["expires_at"] - now).total_seconds(),
        key=doc["owner"],
    )
