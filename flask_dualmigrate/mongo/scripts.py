"""The Mongo scripts of a tree: found, recorded as operations, and their verify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.script.base import Script
from pymongo.database import Database

from ..crashpoints import around
from ..errors import ScriptError
from ..limits import Limits
from ..ops import Operation
from ..revision import BackendName, Revision, Step
from ..script import ScriptDirectory
from ..stopping import Stop
from .recording import record


class MongoScripts:
    """Reads the scripts of one side.

    limits: of the app and of the run; each script may have its own. stop: cuts a
    verify short.
    """

    def __init__(
        self, load: Callable[[], ScriptDirectory], *, limits: Limits, stop: Stop
    ) -> None:
        self._load = load
        self._limits = limits
        self._stop = stop

    def of(self, revision: Revision) -> Script:
        return self._load().script(BackendName.MONGO, revision.id)

    def path(self, step: Step) -> str:
        return self.of(step.revision).path

    def checksum(self, revision: Revision) -> str:
        return self._load().checksum(BackendName.MONGO, revision.id)

    def limits_of(self, step: Step) -> Limits:
        script = self.of(step.revision)
        return self._limits.for_script(script.module, script.path, BackendName.MONGO)

    def operations(self, step: Step) -> tuple[Operation, ...]:
        return record(self.of(step.revision), step.direction)

    def has_verify(self, revision: Revision) -> bool:
        return hasattr(self.of(revision).module, "verify")

    @around("mongo.verify")
    def verify(self, revision: Revision, db: Database[Any]) -> bool:
        """Call a script's verify(db); return whether it has one.

        Raises ScriptError for what it raises.
        """
        script = self.of(revision)
        verify = getattr(script.module, "verify", None)
        if verify is None:
            return False
        try:
            with self._stop.at_once():
                verify(db)
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise ScriptError(
                f"verify(db) of revision {revision.id} failed: {reason}",
                where=script.path,
            ) from error
        return True
