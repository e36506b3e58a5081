"""`upgrade`, `downgrade` and `stamp` as functions."""

from __future__ import annotations

from collections.abc import Sequence

from ..run.options import RunOptions
from ..runtime.time_limits import NO_LIMITS, GivenLimits
from ..verbs import run_scripts as commands
from ..verbs.dry_run import PlanResult, ScriptResult
from ..verbs.run_scripts import RunResult, StampResult
from .environment import parts


def upgrade(
    directory: str | None = None,
    revision: str = "head",
    *,
    dry_run: bool = False,
    sql: bool = False,
    mongosh: bool = False,
    wait_s: float = 0.0,
    verify: bool = False,
    backend: str | None = None,
    x_arg: Sequence[str] | str | None = None,
    limits: GivenLimits = NO_LIMITS,
    backup: str | None = None,
    on_error: str = "undo",
) -> RunResult | PlanResult | ScriptResult:
    """Upgrade the databases to a revision, or show what that would do.

    wait_s: seconds to wait for the databases to come up; not for a printed script.
    verify: compare counts before and after: `.verified` and `.ok`.
    sql, mongosh: return the script of it, for PostgreSQL or for MongoDB; revision may
    then be a range, FROM:TO, which needs no database.
    limits: time limits of this run, by their names in scripts: lock_timeout_s,
    lock_retries, statement_timeout_s, max_time_s.
    backup: "touched" or "all": what to back up first, regardless of size; "never": make
    no backup; None: as DUALMIGRATE_BACKUP says.
    on_error: "undo", "restore" (this run's backup) or "keep": what to do with both
    databases if a script fails.
    """
    options = RunOptions(
        dry_run=dry_run,
        sql=sql,
        mongosh=mongosh,
        wait_s=wait_s,
        verify=verify,
        limits=limits,
        backup=backup,
        on_error=on_error,
    )
    return commands.upgrade(parts(directory, x_arg, backend), revision, options)


def downgrade(
    directory: str | None = None,
    revision: str = "-1",
    *,
    dry_run: bool = False,
    sql: bool = False,
    mongosh: bool = False,
    backend: str | None = None,
    x_arg: Sequence[str] | str | None = None,
    limits: GivenLimits = NO_LIMITS,
    backup: str | None = None,
    on_error: str = "undo",
) -> RunResult | PlanResult | ScriptResult:
    """Downgrade the databases to a revision, or show what that would do.

    sql, mongosh: return the script of it, for PostgreSQL or for MongoDB; revision may
    then be a range, FROM:TO, which needs no database.
    limits: time limits of this run, by their names in scripts: lock_timeout_s,
    lock_retries, statement_timeout_s, max_time_s.
    backup: "touched" or "all": what to back up first, regardless of size; "never": make
    no backup; None: as DUALMIGRATE_BACKUP says.
    on_error: "undo", "restore" (this run's backup) or "keep": what to do with both
    databases if a script fails.
    """
    options = RunOptions(
        dry_run=dry_run,
        sql=sql,
        mongosh=mongosh,
        limits=limits,
        backup=backup,
        on_error=on_error,
    )
    return commands.downgrade(parts(directory, x_arg, backend), revision, options)


def stamp(
    directory: str | None = None, revision: str = "head", *, backend: str | None = None
) -> StampResult:
    """Mark the databases as being at a revision, without running anything."""
    return commands.stamp(parts(directory, backend=backend), revision)
