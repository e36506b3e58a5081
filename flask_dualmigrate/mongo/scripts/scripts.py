"""The Mongo scripts of a tree: finding them, their operations, their verify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.database import Database

from ...ops import Operation
from ...revisions import BackendName, Revision, Step
from ...runtime.crashpoints import around
from ...runtime.stopping import Stop
from ...runtime.time_limits import Limits
from ...tree.directory import ScriptDirectory
from ...tree.side_scripts import SideScripts, call_verify
from .recording import record


class MongoScripts(SideScripts):
    """Returns the operations of the scripts, and calls their verify.

    load, limits: as SideScripts takes them. stop: interrupts a verify.
    """

    name = BackendName.MONGO

    def __init__(
        self, load: Callable[[], ScriptDirectory], *, limits: Limits, stop: Stop
    ) -> None:
        super().__init__(load, limits)
        self._stop = stop

    def path(self, step: Step) -> str:
        return self.of(step.revision).path

    def operations(self, step: Step) -> tuple[Operation, ...]:
        return record(self.of(step.revision), step.direction)

    def has_verify(self, revision: Revision) -> bool:
        return hasattr(self.of(revision).module, "verify")

    @around("mongo.verify")
    def verify(self, revision: Revision, db: Database[Any]) -> bool:
        """Call a script's verify(db); return whether it has one.

        Raises ScriptError for what it raises.
        """
        return call_verify(
            self.of(revision),
            db,
            argument="db",
            reason_of=lambda error: str(error) or type(error).__name__,
            guard=self._stop.at_once,
        )
