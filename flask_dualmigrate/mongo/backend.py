"""The MongoDB side of a run: it cannot decide atomically, so it keeps an undo log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..backend import Aside, Doubt, Dumped, Extent, PlannedStep, Progress, Ways
from ..backend.holder import Holder
from ..backend.journal import Entry
from ..backend.restorer import Kept
from ..backups import BackupFolder, Manifest
from ..errors import (
    DatabaseUnavailable,
    ScriptError,
    UsageError,
)
from ..revisions import Revision, Step
from .asides.purge import KeptAsides
from .backup.dump import MongoDump
from .batches.step_under_way import progress_at
from .execution import MongoExecution
from .journal.resume import described, doubts
from .preflight.abilities import require_abilities, require_indexes
from .preflight.preflight import (
    refuse_todos,
    refuse_uncallables,
    refuse_without_transactions,
)
from .preflight.privileges import require_privileges
from .restore.restore import MongoRestorer
from .restore.stored import StoredCollections
from .restore.switch import finish
from .run.mongosh_script import MongoshScript
from .run.options import find_ways
from .run.rehearsal import Rehearsal
from .run.runner import OperationRunner
from .server.errors import driver_errors
from .server.time_limit import takes_its_time
from .waking import why_absent


class MongoBackend(MongoExecution):
    """The MongoDB side: all that the engine asks of it; see MongoExecution."""

    def place(self) -> str:
        nodes = sorted(f"{host}:{port}" for host, port in self._db.client.nodes)
        return f"database {self._db.name} on {', '.join(nodes) or 'its server'}"

    def why_absent(self, timeout_s: float) -> str | None:
        return why_absent(self._db, timeout_s)

    def check(self) -> None:
        with driver_errors("be reached"):
            self._hello = hello = self._db.client.admin.command("hello")
        if not hello.get("isWritablePrimary"):
            raise DatabaseUnavailable(
                "This MongoDB server is not a primary: it accepts no writes",
                hint="Name the replica set in MONGO_URI (?replicaSet=…), so "
                "that the driver can find the primary.",
            )

    def holder(self) -> Holder | None:
        with driver_errors("read its lock"):
            return self._lock.holder()

    def outwatch(self, holder: Holder) -> bool:
        with driver_errors("read its lock"):
            return self._lock.outwatch(holder)

    def free(self, holder: Holder) -> bool:
        with driver_errors("free its lock"):
            return self._lock.free(holder)

    def prepare(self) -> None:
        """Record what the server was found able to do; the rest is made when needed."""
        if self._tried is not None:
            self._lock.require()
            with driver_errors("write its journal"):
                self._journal.note_tried(self._tried)
        self._tried = None

    def preflight(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._scripts.limits_of(step)
            operations, path = self._scripts.operations(step), self._scripts.path(step)
            refuse_todos(step, operations, path)
            refuse_uncallables(step, operations, self._db)
            if operations and not self._has_transactions:
                refuse_without_transactions(step, operations, path)

    def check_rights(self, steps: Sequence[Step]) -> None:
        operations = [
            found for step in steps for found in self._scripts.operations(step)
        ]
        require_privileges(self._db, operations)
        server = _kind_of(self._hello or {})
        if server is None or self._journal.tried != server:
            require_abilities(self._db, transactions=self._has_transactions)
            self._tried = server
        require_indexes(self._db, operations)

    @takes_its_time
    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        runner = self._runner()
        with driver_errors("be looked at"), self._db.client.start_session() as session:
            rehearsal = Rehearsal(runner, session)
            return tuple(self._plan(step, runner, rehearsal) for step in steps)

    def _plan(
        self, step: Step, runner: OperationRunner, rehearsal: Rehearsal
    ) -> PlannedStep:
        revision_id, direction = step.revision.id, step.direction
        found = runner.records(revision_id, direction)
        records = {record.step: record for record in found}
        operations = self._scripts.operations(step)
        forecasts = rehearsal.foretell(revision_id, direction, operations, records)
        lines = described(operations, records)
        return PlannedStep(self.name, (*lines, *self._lost(step)), forecasts)

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        for step in steps:
            refuse_todos(step, self._scripts.operations(step), self._scripts.path(step))
        client = self._db.client
        with client.start_session(causal_consistency=False) as session:
            return MongoshScript(
                self._new_runner(connects=False),
                session,
                operations_of=self._scripts.operations,
                checksum_of=lambda step: self._scripts.checksum(step.revision),
                verified=lambda step: self._scripts.has_verify(step.revision),
            ).text(steps, applied, database=self._db.name)

    def asides(self) -> tuple[Aside, ...]:
        """Return what the operations keep aside, oldest first."""
        unfinished = {entry.revision for entry in self.read().open_entries()}
        with driver_errors("read its asides"):
            return KeptAsides(self._db).all(frozenset(unfinished))

    @takes_its_time
    def purge_aside(self, aside: Aside) -> None:
        """Drop an aside; the caller holds the lock, and `asides` has just listed it."""
        self._lock.require()
        with driver_errors("drop an aside"):
            KeptAsides(self._db).purge(aside)

    def forget_leftovers(self) -> None:
        """Tidy up after a purge that was killed."""
        self._lock.require()
        with driver_errors("tidy up its asides"):
            KeptAsides(self._db).forget_leftovers()

    def is_at_work(self) -> bool:
        with driver_errors("read its lock"):
            return self._lock.is_held()

    def progress(self, entry: Entry) -> Progress | None:
        with driver_errors("read its journal"):
            now = self._db.client.admin.command("hello")["localTime"]
        records = self._runner().records(entry.revision, entry.direction)
        return progress_at(now, records)

    def doubts(self, entry: Entry) -> tuple[Doubt, ...]:
        return doubts(self._runner().records(entry.revision, entry.direction))

    def ways(self, step: Step) -> Ways:
        revision_id, direction = step.revision.id, step.direction
        try:
            operations = self._scripts.operations(step)
        except (ScriptError, UsageError) as error:
            return Ways(str(error), str(error))
        return find_ways(self._runner().counted(revision_id, direction), operations)

    @takes_its_time
    def verify(self, revision: Revision) -> bool:
        return self._scripts.verify(revision, self._db)

    def restorer(
        self, folder: BackupFolder, manifest: Manifest, *, partner: bool
    ) -> MongoRestorer:
        return MongoRestorer(
            self._db,
            StoredCollections(folder, manifest),
            manifest,
            partner=partner,
            lock=self._lock,
            keep_going=self._stop.require,
            on_progress=self._on_progress,
        )

    @takes_its_time
    def finish_restore(self, mark: str) -> tuple[Kept, ...]:
        return finish(self._db, self._lock, mark)

    def require_dump(self) -> None:
        """Do nothing: a dump needs only the driver."""

    @takes_its_time
    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        return MongoDump(
            self._db,
            has_snapshots=self._has_transactions,
            keep_going=self._keep_going,
            on_progress=self._on_progress,
        ).write(folder, extent, applied)

    def history(self, revision_id: str) -> tuple[dict[str, Any], ...]:
        """Return all attempts at a revision, oldest first."""
        with driver_errors("read its journal"):
            return self._journal.history(revision_id)


def _kind_of(hello: Mapping[str, Any]) -> str | None:
    """Return what tells a server apart from one that may do less; None if unknown."""
    version = hello.get("maxWireVersion")
    place = hello.get("setName") or hello.get("msg") or "standalone"
    return None if version is None else f"{place} {version}"
