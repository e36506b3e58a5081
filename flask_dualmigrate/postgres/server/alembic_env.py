"""Running or recording one Alembic script as an env.py does, but without one.

A connection that ran a SELECT before configure() has begun a transaction; Alembic then
takes it for someone else's and commits nothing. So each step gets a clean connection.
`alembic.op` and `alembic.context` are process-global: one script at a time.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from alembic.config import Config as AlembicConfig
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script.base import Script
from alembic.script.base import ScriptDirectory as AlembicScripts
from sqlalchemy import Connection

from ...alembic_scripts.hooks import callbacks, command_options
from ...revisions import Direction
from ...runtime.process_lock import one_script_at_a_time
from ...runtime.user_code import why_undone
from ...sql.literals import write_values
from ...tree.graph import RevisionGraph

Callback = Callable[..., None]

NAMED = {"paramstyle": "named"}
"""For printing: other parameter styles would double each %."""


@contextmanager
def environment(
    connection: Connection | None,
    tree: RevisionGraph,
    *,
    options: Mapping[str, Any],
    x_arg: Sequence[str] = (),
    metadata: Any = None,
    steps: Callable[[Any, MigrationContext], Sequence[MigrationStep]] | None = None,
    **configure: Any,
) -> Iterator[EnvironmentContext]:
    """Hold an EnvironmentContext, configured as an env.py would.

    options: the app's arguments for configure(); configure: ours, which take
    precedence.
    """
    as_sql = connection is None
    ours = callbacks(options.get(_APPLIED), configure.pop(_APPLIED, None))
    given = {**options, **configure, _APPLIED: ours}
    with unconfigured(tree, command_options(x_arg), fn=steps, as_sql=as_sql) as context:
        context.configure(connection=connection, target_metadata=metadata, **given)
        if as_sql:
            write_values(context.get_context().impl.dialect)
        yield context


_APPLIED = "on_version_apply"


@contextmanager
def unconfigured(
    tree: RevisionGraph, options: Namespace, **more: Any
) -> Iterator[EnvironmentContext]:
    """Hold an EnvironmentContext, which `alembic.context` stands for meanwhile.

    options: what is context.config.cmd_opts. more: as EnvironmentContext takes them.
    The config has a script_location, so that a hook may read the scripts with
    ScriptDirectory.from_config(context.config).
    """
    config = AlembicConfig()
    config.set_main_option("script_location", _escaped(tree.root / "postgres"))
    config.cmd_opts = options
    script = AlembicScripts(str(tree.root))
    script.revision_map = tree.graph
    with (
        one_script_at_a_time,
        EnvironmentContext(config, script, **more) as context,
    ):
        yield context


def _escaped(path: Path) -> str:
    """Return a path escaped for configparser, which interprets %(…)s."""
    return str(path).replace("%", "%%")


def revision_step(
    tree: RevisionGraph, script: Script, direction: Direction
) -> RevisionStep:
    """Return Alembic's step for one script."""
    if direction is Direction.UPGRADE:
        return MigrationStep.upgrade_from_script(tree.graph, script)
    return MigrationStep.downgrade_from_script(tree.graph, script)


def run_script(
    connection: Connection,
    tree: RevisionGraph,
    script: Script,
    direction: Direction,
    *,
    before_script: Callback,
    before_commit: Callback,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    **environment_options: Any,
) -> None:
    """Run one script in one transaction, together with its version row.

    before_script: called in the transaction, just before the script; before_commit:
    after the version row, as Alembic's on_version_apply callbacks are. guard: held
    around the script only.
    """

    def steps(heads: Any, context: MigrationContext) -> Sequence[MigrationStep]:
        step = revision_step(tree, script, direction)
        function = step.migration_fn

        def limited(**arguments: Any) -> None:
            before_script()
            with guard():
                refuse_undone(direction, function(**arguments))

        step.migration_fn = limited
        return [step]

    with environment(
        connection,
        tree,
        steps=steps,
        transaction_per_migration=True,
        on_version_apply=before_commit,
        **environment_options,
    ) as context:
        context.run_migrations()


def refuse_undone(direction: Direction, result: Any) -> None:
    why = why_undone(result)
    if why is not None:
        raise TypeError(f"{direction}() {why}")


def script_as_sql(
    tree: RevisionGraph,
    script: Script,
    direction: Direction,
    *,
    dialect_name: str,
    buffer: TextIO,
    **environment_options: Any,
) -> None:
    """Write the statements of one script to a buffer, without a connection."""
    step = revision_step(tree, script, direction)

    def steps(heads: Any, context: MigrationContext) -> Sequence[MigrationStep]:
        return []

    with (
        environment(
            None,
            tree,
            steps=steps,
            dialect_name=dialect_name,
            dialect_opts=NAMED,
            output_buffer=buffer,
            literal_binds=True,
            **environment_options,
        ) as context,
        Operations.context(context.get_context()),
    ):
        step.migration_fn()
