"""Running one Alembic script in one transaction, its version rows left to the caller.

Alembic's own run reads the version table before each script and writes it on its own;
here both are part of statements that are sent anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import HeadMaintainer, MigrationContext, log
from alembic.script.base import Script
from sqlalchemy import Connection

from ...revisions import Direction
from ...tree.graph import RevisionGraph
from .alembic_env import environment, refuse_undone, revision_step

Move = tuple[str | None, str | None]
"""From one version to another: None before is a new row, None after a row that goes."""


class Moves(HeadMaintainer):
    """Notes what Alembic would write to the version table."""

    def __init__(self, context: MigrationContext, heads: Sequence[str]) -> None:
        super().__init__(context, heads)
        self.moves: list[Move] = []

    def _insert_version(self, version: str) -> None:
        self.heads.add(version)
        self.moves.append((None, version))

    def _delete_version(self, version: str) -> None:
        self.heads.remove(version)
        self.moves.append((version, None))

    def _update_version(self, from_: str, to_: str) -> None:
        self.heads.remove(from_)
        self.heads.add(to_)
        self.moves.append((from_, to_))


def run_step(
    connection: Connection,
    tree: RevisionGraph,
    script: Script,
    direction: Direction,
    *,
    begin: Callable[[MigrationContext], Sequence[str]],
    script_guard: AbstractContextManager[None],
    guard: Callable[[], AbstractContextManager[None]],
    finish: Callable[[MigrationContext, Sequence[Move]], None],
    **environment_options: Any,
) -> None:
    """Run one script; COMMIT after `finish` and the app's on_version_apply.

    begin: called first in the transaction; returns the rows of the version table.
    script_guard: held around the script. guard: held around all but the COMMIT.
    finish: writes the moves, after the script.
    """
    step = revision_step(tree, script, direction)
    with (
        environment(
            connection, tree, transaction_per_migration=True, **environment_options
        ) as context,
        Operations.context(context.get_context()),
    ):
        migration = context.get_context()
        migration.impl.start_migrations()
        with migration.begin_transaction(_per_migration=True):
            versions = Moves(migration, begin(migration))
            log.info("Running %s", step)
            with guard():
                with script_guard:
                    refuse_undone(direction, step.migration_fn())
                versions.update_to_step(step)
                finish(migration, versions.moves)
            for callback in migration.on_version_apply_callbacks:
                callback(
                    ctx=migration,
                    step=step.info,
                    heads=set(versions.heads),
                    run_args={},
                )
