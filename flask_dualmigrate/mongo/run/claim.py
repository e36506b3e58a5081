"""Shutting out earlier runs: once for as long as the lock is held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from ...errors import LockLost
from ...revisions import Direction
from ..batches.step_under_way import Bench
from ..journal.journal import completed
from ..server.errors import driver_errors
from ..server.time_limit import unhurried
from ..server.views import sent_in


class Claim:
    """What a run has to itself: the fence, and a session for all its transactions."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._kept: ExitStack | None = None
        self._session: ClientSession | None = None
        self._recorded: set[tuple[str, Direction]] = set()

    @contextmanager
    def once(self) -> Iterator[None]:
        """Shut out earlier runs at the first `made` inside, not at each."""
        with ExitStack() as self._kept:
            try:
                yield
            finally:
                self._kept, self._session = None, None

    @contextmanager
    def made(self) -> Iterator[ClientSession]:
        """Shut out earlier runs; the session is for all transactions."""
        with ExitStack() as stack:
            session = self._session or self._make(self._kept or stack)
            if self._kept is not None:
                self._session = session
            with sent_in(session), unhurried(session.client):
                yield session

    def _make(self, stack: ExitStack) -> ClientSession:
        """Shut out earlier runs in a session that ends with the stack."""
        bench, client = self._bench, self._bench.db.client
        with driver_errors("write the journal of its operations"), unhurried(client):
            session = client.start_session(causal_consistency=False)
            stack.enter_context(session)
            self._recorded = bench.store.claim(session.session_id)
            if not bench.store.has_touched:
                bench.touched.prepare()
            left = completed(bench.db, self._recorded) if self._recorded else []
        if left:
            with sent_in(session), unhurried(client):
                self.forget(left)
            self._recorded -= set(left)
        return session

    def may_have_records(self, revision: str, direction: Direction) -> bool:
        """Return whether there may be records; from now on, this run adds some."""
        if (revision, direction) in self._recorded:
            return True
        self._recorded.add((revision, direction))
        return False

    def forget(self, attempts: Sequence[tuple[str, Direction]]) -> None:
        """Forget revisions; their records last, by which a later run finds the rest."""
        with driver_errors("tidy up after the migration"):
            for each in attempts:
                self._bench.asides.settle(*each)
            self._bench.touched.remove(attempts)
            self._bench.store.remove(attempts)

    @contextmanager
    def flushed(self, session: ClientSession) -> Iterator[None]:
        """Write at the end which operations are done, even if one of them failed."""
        store = self._bench.store
        try:
            yield
        except LockLost:
            raise
        except BaseException:
            with suppress(PyMongoError, LockLost):
                store.flush(session)
            store.drop_due()
            raise
        with driver_errors("write the journal of its operations"):
            store.flush(session)
