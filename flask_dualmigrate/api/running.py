"""The verbs that change databases, and set them right."""

from __future__ import annotations

from collections.abc import Sequence

from .. import asides as asides_verb
from .. import (
    commands,
    repairing,
    unlocking,
    verifying,
)
from ..limits import NO_LIMITS, GivenLimits
from ..recovery import UnlockResult, VerifyResult
from ..results import (
    AsidesResult,
    PlanResult,
    PurgeResult,
    RunResult,
    ScriptResult,
    StampResult,
)
from ..run.options import RunOptions
from .parts import parts


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
    """Bring the databases up to a revision, or say what that would do.

    wait_s: seconds to wait for the databases to come up; not for a script.
    verify: count what is there before and after: `.verified`, and `.ok`.
    sql, mongosh: return the script of it, for PostgreSQL or for MongoDB; revision may
    then be a range, FROM:TO, which needs no database.
    limits: time limits of this run, by their names in scripts: lock_timeout_s,
    lock_retries, statement_timeout_s, max_time_s.
    backup: "touched" or "all": back that up first, however large it is; "never": make
    no backup; None: as DUALMIGRATE_BACKUP says.
    on_error: "undo", "restore" (this run's backup) or "keep": what becomes of both
    databases when a script fails.
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
    """Take the databases down to a revision, or say what that would do.

    sql, mongosh: return the script of it, for PostgreSQL or for MongoDB; revision may
    then be a range, FROM:TO, which needs no database.
    limits: time limits of this run, by their names in scripts: lock_timeout_s,
    lock_retries, statement_timeout_s, max_time_s.
    backup: "touched" or "all": back that up first, however large it is; "never": make
    no backup; None: as DUALMIGRATE_BACKUP says.
    on_error: "undo", "restore" (this run's backup) or "keep": what becomes of both
    databases when a script fails.
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
    """Mark the databases as being at a revision; run nothing."""
    return commands.stamp(parts(directory, backend=backend), revision)


def repair(
    directory: str | None = None,
    *,
    revision: str | None = None,
    step: int | None = None,
    done: bool | None = None,
    undo: bool = False,
    accept_checksum: bool = False,
    pair: bool = False,
) -> repairing.Repaired:
    """Return what is open or wrong, `.ok` if nothing is; or make one choice.

    step, done: a step in doubt did its work, or is to be called again. undo: take back
    what is half done. accept_checksum: take an edited script for what was run. pair:
    make a pair of two databases that each had another partner.
    """
    return repairing.repair(
        parts(directory),
        revision,
        step=step,
        done=done,
        undo=undo,
        accept_checksum=accept_checksum,
        pair=pair,
    )


def verify(
    directory: str | None = None,
    revision: str | None = None,
    *,
    head_only: bool = False,
    counts: bool = True,
    count_limit: int = verifying.COUNT_LIMIT,
    backend: str | None = None,
) -> VerifyResult:
    """Call the verify functions of what is applied, and compare counts; see `.ok`."""
    return verifying.verify(
        parts(directory, backend=backend),
        revision,
        head_only=head_only,
        counts=counts,
        count_limit=count_limit,
    )


def unlock(
    directory: str | None = None, *, force: bool = False, backend: str | None = None
) -> UnlockResult:
    """Free the locks whose holders are gone; `.ok` unless one is still held.

    force: free them even if their holders may be at work.
    """
    return unlocking.unlock(parts(directory, backend=backend), force=force)


def asides(
    directory: str | None = None, *, purge_older_than: str | None = None
) -> AsidesResult | PurgeResult:
    """List what is kept aside in MongoDB, or drop what is as old as, say, "30d"."""
    env = parts(directory)
    if purge_older_than is None:
        return asides_verb.asides(env)
    return asides_verb.purge_asides(env, purge_older_than)
