"""The Alembic scripts of a tree: finding, printing and verifying them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ...backend import Dropped, PlannedStep
from ...revisions import BackendName, Direction, Revision, Step
from ...runtime.crashpoints import around
from ...runtime.time_limits import Limits
from ...sql.tables import Mentioned, mentioned
from ...tree.directory import ScriptDirectory
from ...tree.script_file import LoadedScript
from ...tree.side_scripts import SideScripts, call_verify
from ..dialects import Other
from ..preflight.destructive import Destructive, destructive_calls
from ..preflight.preflight import refuse_irreversible
from ..run.failures import script_failure
from ..server.alembic_env import script_as_sql
from .for_psql import OfflineScript
from .recorded import record


class PostgresScripts(SideScripts):
    """Shows what the scripts would do, for one dialect.

    load, limits: as SideScripts takes them. environment_options: as `env.environment`
    takes them. schema: of the version table and the journal.
    """

    name = BackendName.POSTGRES

    def __init__(
        self,
        load: Callable[[], ScriptDirectory],
        dialect: Other,
        *,
        environment_options: Mapping[str, Any],
        limits: Limits,
        schema: str | None,
    ) -> None:
        super().__init__(load, limits)
        self._dialect = dialect
        self._options = environment_options
        self._schema = schema

    def fit(self, steps: Sequence[Step]) -> list[LoadedScript]:
        """Return the scripts of steps; TreeError for one that cannot be run."""
        scripts = [self.of(step.revision) for step in steps]
        for script, step in zip(scripts, steps, strict=True):
            refuse_irreversible(script, step.direction)
            self.limits_of(step)
            self._dialect.refuse_script(script, step.direction)
        return scripts

    def destructive(self, step: Step) -> tuple[Destructive, ...]:
        return destructive_calls(self.of(step.revision), step.direction)

    def dropped_by_upgrade(self, step: Step) -> tuple[Dropped, ...]:
        """Return the tables and columns that the upgrade of a revision dropped."""
        calls = destructive_calls(self.of(step.revision), Direction.UPGRADE)
        return tuple(
            Dropped(call.table, call.schema, call.column)
            for call in calls
            if call.drops and call.table is not None
        )

    def planned(self, step: Step) -> PlannedStep:
        """Return the statements of a step, as offline mode prints them."""
        buffer = io.StringIO()
        script = self.of(step.revision)
        try:
            script_as_sql(
                self.directory,
                script,
                step.direction,
                dialect_name=self._dialect.name,
                buffer=buffer,
                **self._options,
            )
        except (NameError, ImportError) as error:
            raise script_failure(script, error, self.limits_of(step)) from error
        except Exception as error:
            # For example a query whose answer the script uses: there is none here.
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            buffer.write(
                f"\n-- the rest cannot be shown without a connection: {reason}"
            )
        lines = (line.rstrip() for line in buffer.getvalue().splitlines())
        return PlannedStep(self.name, tuple(line for line in lines if line))

    def mentioned(self, steps: Sequence[Step]) -> Mentioned:
        """Return what the SQL of steps affects, as far as it is known beforehand."""
        found = Mentioned()
        for step in steps:
            recorded = record(
                self.of(step.revision),
                step.direction,
                dialect_name=self._dialect.name,
                options=self._options["options"],
            )
            if recorded.missed is not None:
                why = f"revision {step.revision.id}: {recorded.missed}"
                found |= Mentioned(unsaid=why)
            found |= mentioned(recorded.statements)
        return found

    def as_sql(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        """Return the script of steps, for a database that has `applied`."""
        self.fit(steps)
        heads = self.directory.heads_of(frozenset(applied))
        script = OfflineScript(
            self, self._dialect, schema=self._schema, environment_options=self._options
        )
        return script.text(steps, heads)

    def has_verify(self, revision: Revision) -> bool:
        return getattr(self.of(revision).module, "verify", None) is not None

    @around("postgres.verify")
    def verify(self, revision: Revision, connection: Connection) -> bool:
        """Call a script's verify(connection); return whether it has one.

        Raises ScriptError for what it raises.
        """
        return call_verify(
            self.of(revision), connection, argument="connection", reason_of=_in_one_line
        )


def _in_one_line(error: BaseException) -> str:
    """Return an error's message, without the statement that SQLAlchemy adds."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
