"""`--sql`: the PostgreSQL side of a plan as a script, made without a connection.

It contains what a normal run writes: the scripts' statements, the version rows, our
journal rows; one transaction per revision, with autocommit blocks outside of them.
Times are the server's when the script is run.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script.base import Script

from ...errors import DualMigrateError, ScriptError
from ...revisions import Direction, Step
from ...tree.side_scripts import SideScripts
from ..dialects import Other
from ..journal.journal import PostgresJournal
from ..server.alembic_env import NAMED, environment, revision_step

_BY = "(SQL script)"


class OfflineScript:
    """Writes the script of some steps.

    scripts: those of this side. environment_options: as `env.environment` takes them.
    """

    def __init__(
        self,
        scripts: SideScripts,
        dialect: Other,
        *,
        schema: str | None,
        environment_options: Mapping[str, Any],
    ) -> None:
        self._scripts = scripts
        self._known = dialect
        # The dialect that Alembic uses for printing.
        self._dialect = sa.make_url(f"{dialect.name}://").get_dialect()(**NAMED)
        self._journal = PostgresJournal(schema, table_options=dialect.table_options)
        self._options = environment_options

    def text(self, steps: Sequence[Step], heads: Sequence[str]) -> str:
        """Return the script. heads: the heads of the database before it.

        Raises ScriptError naming the revision whose script needs a connection.
        """
        buffer = io.StringIO()
        buffer.write(_header(steps, heads, self._known.offline_notes))
        buffer.write(self._known.offline_lock())
        buffer.write(self._known.offline_begin)
        for table in self._journal.tables:
            create = sa.schema.CreateTable(table, if_not_exists=True)
            buffer.write(f"{self._compiled(create)};\n\n")
        buffer.write(self._known.offline_commit)
        self._write_steps(buffer, steps, heads)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def _write_steps(
        self, buffer: io.StringIO, steps: Sequence[Step], heads: Sequence[str]
    ) -> None:
        by_id = {step.revision.id: step for step in steps}

        def alembic_steps(
            found: Any, context: MigrationContext
        ) -> Sequence[MigrationStep]:
            return [self._guarded(step, context) for step in steps]

        def before_commit(*, ctx: MigrationContext, step: Any, **_: Any) -> None:
            if check := self._known.offline_check:
                ctx.impl.static_output(check)
            ctx.impl.static_output(
                f"{self._journal_row(by_id[step.up_revision_ids[0]])};"
            )

        with environment(
            None,
            self._scripts.directory,
            steps=alembic_steps,
            dialect_name=self._dialect.name,
            dialect_opts=NAMED,
            output_buffer=buffer,
            literal_binds=True,
            transaction_per_migration=True,
            starting_rev=list(heads) or "base",
            on_version_apply=before_commit,
            **self._options,
        ) as context:
            context.run_migrations()

    def _guarded(self, step: Step, context: MigrationContext) -> MigrationStep:
        """Return Alembic's step, whose printing errors name the revision."""
        script = self._scripts.of(step.revision)
        tree = self._scripts.directory
        alembic_step = revision_step(tree, script, step.direction)
        function = alembic_step.migration_fn

        @functools.wraps(function)  # Alembic prints its name
        def printed(**arguments: Any) -> None:
            for limit in self._known.limit_statements(self._scripts.limits_of(step)):
                context.impl.static_output(f"{limit};")
            up = step.direction is Direction.UPGRADE
            if up and getattr(script.module, "verify", None):
                context.impl.static_output("-- verify(connection) is not run here")
            try:
                function(**arguments)
            except DualMigrateError:
                raise
            except Exception as error:
                raise _needs_connection(script, step, error) from error

        alembic_step.migration_fn = printed
        return alembic_step

    def _journal_row(self, step: Step) -> str:
        row = self._journal.offline_row(
            step.revision,
            direction=step.direction,
            checksum=self._scripts.checksum(step.revision),
            by_server=self._known.offline_columns(_BY),
        )
        return self._compiled(row)

    def _compiled(self, statement: Any) -> str:
        compiled = statement.compile(
            dialect=self._dialect, compile_kwargs={"literal_binds": True}
        )
        return str(compiled).strip()


def _header(steps: Sequence[Step], heads: Sequence[str], notes: Sequence[str]) -> str:
    ids = ", ".join(step.revision.id for step in steps) or "none"
    direction = steps[0].direction if steps else "upgrade"
    lines = [
        f"{str(direction).capitalize()} of PostgreSQL, by Flask-DualMigrate.",
        f"Revisions, in this order: {ids}",
        f"Made for a database at: {', '.join(heads) or 'base'}",
    ]
    return "".join(f"-- {line}\n" for line in (*lines, *notes)) + "\n"


def _needs_connection(script: Script, step: Step, error: Exception) -> ScriptError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return ScriptError(
        f"The PostgreSQL script of revision {step.revision.id} cannot be printed "
        f"without a connection: {reason}",
        where=script.path,
        hint="The script uses the result of a query, which is not known offline. "
        f"Print the revisions around it (FROM:TO), and run {step.revision.id} with: "
        f"flask db-migrate {step.direction}",
    )
