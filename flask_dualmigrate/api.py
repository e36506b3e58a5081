"""The verbs as functions, for the current app: same names and results as the commands.

The first arguments are Flask-Migrate's, in its order. All of them take:

directory: the migrations directory, instead of the app's.
x_arg: what scripts get from context.get_x_argument().
backend: "postgres", "mongo" or "both": narrows the run to one of the sides in use.

They raise the errors of `flask_dualmigrate.errors`; none asks a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import asides as asides_verb
from . import (
    authoring,
    backup_commands,
    commands,
    index_commands,
    linting,
    repairing,
    restores,
    unlocking,
    verifying,
)
from .backup_results import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
)
from .environment import Environment
from .extension import environment_of
from .indexes import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
)
from .limits import NO_LIMITS, GivenLimits
from .lint import LintResult
from .recovery import UnlockResult, VerifyResult
from .results import (
    AsidesResult,
    CheckResult,
    CurrentResult,
    GraphResult,
    InitResult,
    PlanResult,
    PurgeResult,
    RestoreResult,
    RevisionResult,
    RunResult,
    ScriptResult,
    ShowResult,
    StampResult,
    StatusResult,
)
from .revision import Direction


def _env(
    directory: str | None,
    x_arg: Sequence[str] | str | None = None,
    backend: str | None = None,
) -> Environment:
    words = [x_arg] if isinstance(x_arg, str) else list(x_arg or ())
    return environment_of(directory=directory, x_arg=words, backend=backend)


def init(directory: str | None = None) -> InitResult:
    """Make the migrations directory, or complete one, and rewrite revisions.lock."""
    return authoring.init(_env(directory))


def revision(
    directory: str | None = None,
    message: str = "",
    autogenerate: bool = False,
    *,
    head: str | Sequence[str] = "head",
    splice: bool = False,
    branch_label: str | None = None,
    depends_on: Sequence[str] = (),
    rev_id: str | None = None,
    pair: str | None = None,
    x_arg: Sequence[str] | str | None = None,
) -> RevisionResult:
    """Write a pair of scripts, or with `pair` the missing partner of one."""
    return authoring.revision(
        _env(directory, x_arg),
        message,
        autogenerate=autogenerate,
        pair=pair,
        head=head,
        splice=splice,
        branch_label=branch_label,
        depends_on=depends_on,
        rev_id=rev_id,
    )


def migrate(
    directory: str | None = None, message: str = "", **more: Any
) -> RevisionResult:
    """Write a pair from what the models changed: revision(autogenerate=True)."""
    return revision(directory, message, True, **more)


def edit(directory: str | None = None, revision: str = "head") -> tuple[str, ...]:
    """Return the paths of both scripts of a revision, to open in an editor."""
    return authoring.script_paths(_env(directory), revision)


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
    env = _env(directory, x_arg, backend)
    language = commands.language_of(revision, dry_run=dry_run, sql=sql, mongosh=mongosh)
    if language is not None:
        return commands.print_script(
            env, revision, Direction.UPGRADE, language, limits=limits
        )
    return commands.upgrade(
        env,
        revision,
        dry_run=dry_run,
        wait_s=wait_s,
        verify=verify,
        limits=limits,
        backup=backup,
        on_error=on_error,
    )


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
    env = _env(directory, x_arg, backend)
    language = commands.language_of(revision, dry_run=dry_run, sql=sql, mongosh=mongosh)
    if language is not None:
        return commands.print_script(
            env, revision, Direction.DOWNGRADE, language, limits=limits
        )
    return commands.downgrade(
        env,
        revision,
        dry_run=dry_run,
        limits=limits,
        backup=backup,
        on_error=on_error,
    )


def stamp(
    directory: str | None = None, revision: str = "head", *, backend: str | None = None
) -> StampResult:
    """Mark the databases as being at a revision; run nothing."""
    return commands.stamp(_env(directory, backend=backend), revision)


def repair(
    directory: str | None = None,
    *,
    revision: str | None = None,
    step: int | None = None,
    done: bool | None = None,
    undo: bool = False,
    accept_checksum: bool = False,
) -> repairing.Repaired:
    """Return what is open or wrong, `.ok` if nothing is; or make one choice.

    step, done: a step in doubt did its work, or is to be called again. undo: take back
    what is half done. accept_checksum: take an edited script for what was run.
    """
    return repairing.repair(
        _env(directory),
        revision,
        step=step,
        done=done,
        undo=undo,
        accept_checksum=accept_checksum,
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
        _env(directory, backend=backend),
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
    return unlocking.unlock(_env(directory, backend=backend), force=force)


def asides(
    directory: str | None = None, *, purge_older_than: str | None = None
) -> AsidesResult | PurgeResult:
    """List what is kept aside in MongoDB, or drop what is as old as, say, "30d"."""
    env = _env(directory)
    if purge_older_than is None:
        return asides_verb.asides(env)
    return asides_verb.purge_asides(env, purge_older_than)


def current(
    directory: str | None = None, *, backend: str | None = None
) -> CurrentResult:
    """Say where the databases stand."""
    return commands.current(_env(directory, backend=backend))


def status(directory: str | None = None, *, backend: str | None = None) -> StatusResult:
    """Say of each revision how it stands on each side."""
    return commands.status(_env(directory, backend=backend))


def history(
    directory: str | None = None,
    rev_range: str | None = None,
    *,
    indicate_current: bool = False,
) -> GraphResult:
    """List the revisions, newest first; rev_range is FROM:TO."""
    env = _env(directory)
    return commands.history(env, rev_range, indicate_current=indicate_current)


def show(directory: str | None = None, revision: str = "head") -> ShowResult:
    """Say all about one revision."""
    return commands.show(_env(directory), revision)


def heads(directory: str | None = None) -> GraphResult:
    """List the revisions that nothing follows."""
    return commands.heads(_env(directory))


def branches(directory: str | None = None) -> GraphResult:
    """List the revisions that more than one follows."""
    return commands.branches(_env(directory))


def merge(
    directory: str | None = None,
    revisions: str | Sequence[str] = ("heads",),
    message: str = "",
    *,
    branch_label: str | None = None,
    rev_id: str | None = None,
) -> RevisionResult:
    """Write a pair that joins several heads."""
    names = [revisions] if isinstance(revisions, str) else list(revisions)
    return authoring.merge(
        _env(directory), names, message, branch_label=branch_label, rev_id=rev_id
    )


def index_list(
    collection: str | None = None,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexListResult:
    """List the indexes of one collection or table, or of all."""
    env = _env(directory, backend=backend)
    return index_commands.list_indexes(env, collection)


def index_diff(
    collection: str | None = None,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexDiffResult:
    """Compare the indexes that are declared with those there are; `.ok` if alike."""
    env = _env(directory, backend=backend)
    return index_commands.diff_indexes(env, collection)


def index_sync(
    collection: str | None = None,
    *,
    drop_undeclared: bool = False,
    dry_run: bool = False,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexSyncResult:
    """Make the indexes there are those that are declared, or say what that would do."""
    return index_commands.sync_indexes(
        _env(directory, backend=backend),
        collection,
        drop_undeclared=drop_undeclared,
        dry_run=dry_run,
    )


def index_drop(
    collection: str,
    name: str,
    *,
    hidden_for_s: float = 0.0,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexDropResult:
    """Drop an index; on MongoDB it is hidden first, and that long."""
    env = _env(directory, backend=backend)
    return index_commands.drop_index(env, collection, name, hidden_for_s=hidden_for_s)


def index_rebuild(
    collection: str,
    name: str,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexRebuildResult:
    """Build an index anew, with never a moment without it."""
    env = _env(directory, backend=backend)
    return index_commands.rebuild_index(env, collection, name)


def restore(
    backup: str,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> RestoreResult:
    """Bring the databases back to the state and the revision of a backup.

    backup: its name, the begin of it, or "latest". What was written since is lost.
    """
    return restores.restore(_env(directory, backend=backend), backup)


def backup_create(
    directory: str | None = None, *, backend: str | None = None
) -> BackupCreateResult:
    """Back the databases in use up now, whole."""
    return backup_commands.create(_env(directory, backend=backend))


def backup_list(directory: str | None = None) -> BackupListResult:
    """List the backups, oldest first."""
    return backup_commands.list_backups(_env(directory))


def backup_verify(
    directory: str | None = None, name: str | None = None
) -> BackupVerifyResult:
    """Compare the files of a backup, or of all, with their checksums; see `.ok`."""
    return backup_commands.verify(_env(directory), name)


def backup_prune(directory: str | None = None, *, keep: int) -> BackupPruneResult:
    """Remove all backups but the `keep` newest, and what killed runs left."""
    return backup_commands.prune(_env(directory), keep)


def check(
    directory: str | None = None, *, wait_s: float = 0.0, backend: str | None = None
) -> CheckResult:
    """Look for what is pending, missing, edited or different; `.ok` if nothing is.

    wait_s: seconds to wait for the databases to come up.
    """
    return commands.check(_env(directory, backend=backend), wait_s=wait_s)


def lint(
    directory: str | None = None,
    revisions: str | Sequence[str] = (),
    *,
    since: str | None = None,
    sql_only: bool = False,
    mongo_only: bool = False,
) -> LintResult:
    """Look for what is dangerous in scripts; `.ok` if nothing is.

    revisions: ids, or FROM:TO; none: all of them. since: what comes after that one.
    """
    named = [revisions] if isinstance(revisions, str) else list(revisions)
    return linting.lint(
        _env(directory), named, since=since, sql_only=sql_only, mongo_only=mongo_only
    )
