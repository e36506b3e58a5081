"""`lint`: which revisions, which sides; and the warnings of a new revision."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..environment import Environment
from ..errors import UsageError
from ..linter import Finding, Linter, LintResult
from ..revisions import BackendName
from ..tree.directory import ScriptDirectory


def lint(
    env: Environment,
    revisions: Sequence[str] = (),
    *,
    since: str | None = None,
    sql_only: bool = False,
    mongo_only: bool = False,
) -> LintResult:
    """Look for dangerous changes in the scripts of revisions, or of all of them.

    revisions: ids, or FROM:TO: what is above FROM, up to TO. since: what is above that
    one, up to the heads. No database is needed; if MongoDB is available, its content is
    counted.
    """
    sides = _sides(env, sql_only=sql_only, mongo_only=mongo_only)
    directory = env.directory
    wanted = _wanted(directory, revisions, since)
    linter = _linter(env, directory, sides, counts=True)
    return _result(list(linter.findings(wanted)), len(wanted))


def lint_written(env: Environment, revision_id: str) -> LintResult:
    """Check a revision that was just written, without a database."""
    directory = ScriptDirectory(env.config.directory, env.available)
    linter = _linter(env, directory, env.available, counts=False)
    return _result(list(linter.findings({revision_id})), 1)


def _linter(
    env: Environment,
    directory: ScriptDirectory,
    sides: Collection[BackendName],
    *,
    counts: bool,
) -> Linter:
    """Return what looks for dangers in scripts. counts: a MongoDB may be asked."""
    return Linter(
        directory,
        env.wings(counts=counts),
        limits=env.config.limits,
        sides=sides,
        ignored=env.config.lint_ignore,
        on_postgres=env.on_postgres,
    )


def _result(found: Sequence[Finding], revisions: int) -> LintResult:
    return LintResult(
        tuple(finding for finding in found if finding.allowed is None),
        tuple(finding for finding in found if finding.allowed is not None),
        revisions,
    )


def _sides(
    env: Environment, *, sql_only: bool, mongo_only: bool
) -> tuple[BackendName, ...]:
    if sql_only and mongo_only:
        raise UsageError(
            "--sql-only and --mongo-only together leave nothing to check",
            hint="Use one of them, or neither to check both scripts.",
        )
    unwanted = {BackendName.MONGO} if sql_only else set()
    unwanted |= {BackendName.POSTGRES} if mongo_only else set()
    found = tuple(name for name in env.available if name not in unwanted)
    if not found:
        raise UsageError(
            "This app has no scripts for that side", hint="See `flask db-migrate show`."
        )
    return found


def _wanted(
    directory: ScriptDirectory, revisions: Sequence[str], since: str | None
) -> Collection[str]:
    """Return the ids of the requested revisions."""
    if since is not None and revisions:
        raise UsageError(
            "Name revisions or use --since, not both",
            hint="For a range: flask db-migrate lint FROM:TO",
        )
    if since is not None:
        return _between(directory, since, "heads")
    wanted: set[str] = set()
    for name in revisions:
        start, colon, end = name.partition(":")
        if colon:
            wanted |= _between(directory, start, end or "heads")
        else:
            wanted |= {revision.id for revision in directory.resolve(name)}
    return wanted if revisions else set(directory.revisions)


def _between(directory: ScriptDirectory, start: str, end: str) -> set[str]:
    """Return what is above one revision, up to another one."""
    above = directory.ancestors([each.id for each in directory.resolve(end)])
    if start in ("", "base"):
        return set(above)
    below = directory.ancestors([each.id for each in directory.resolve(start)])
    return set(above - below)
