"""The verbs that only look, as functions; `lint` and `prove` among them."""

from __future__ import annotations

from collections.abc import Sequence

from .. import proving
from ..linter import LintResult
from ..proving.proofs import ProofResult
from ..verbs import check as check_verb
from ..verbs import inspect
from ..verbs import lint as linting
from ..verbs.check import CheckResult
from ..verbs.history import GraphResult
from ..verbs.inspect import CurrentResult, ShowResult, StatusResult
from .environment import parts


def current(
    directory: str | None = None, *, backend: str | None = None
) -> CurrentResult:
    """Return the current revision of each database."""
    return inspect.current(parts(directory, backend=backend))


def status(directory: str | None = None, *, backend: str | None = None) -> StatusResult:
    """Return the state of each revision on each side."""
    return inspect.status(parts(directory, backend=backend))


def history(
    directory: str | None = None,
    rev_range: str | None = None,
    *,
    indicate_current: bool = False,
) -> GraphResult:
    """List the revisions, newest first; rev_range is FROM:TO."""
    env = parts(directory)
    return inspect.history(env, rev_range, indicate_current=indicate_current)


def show(directory: str | None = None, revision: str = "head") -> ShowResult:
    """Return everything known about one revision."""
    return inspect.show(parts(directory), revision)


def heads(directory: str | None = None) -> GraphResult:
    """List the revisions that have no successor."""
    return inspect.heads(parts(directory))


def branches(directory: str | None = None) -> GraphResult:
    """List the revisions that have several successors."""
    return inspect.branches(parts(directory))


def check(
    directory: str | None = None, *, wait_s: float = 0.0, backend: str | None = None
) -> CheckResult:
    """Report anything pending, missing, edited or different; `.ok` if there is nothing.

    wait_s: seconds to wait for the databases to come up.
    """
    return check_verb.check(parts(directory, backend=backend), wait_s=wait_s)


def lint(
    directory: str | None = None,
    revisions: str | Sequence[str] = (),
    *,
    since: str | None = None,
    sql_only: bool = False,
    mongo_only: bool = False,
) -> LintResult:
    """Look for dangerous changes in scripts; `.ok` if there are none.

    revisions: ids, or FROM:TO; none: all of them. since: those after this one.
    """
    named = [revisions] if isinstance(revisions, str) else list(revisions)
    return linting.lint(
        parts(directory), named, since=since, sql_only=sql_only, mongo_only=mongo_only
    )


def prove(
    revisions: str | Sequence[str] = (),
    *,
    all_: bool = False,
    since: str | None = None,
    data: bool = False,
    sample: int = 0,
    embedded: bool = False,
    keep: bool = False,
    strict: bool = False,
    directory: str | None = None,
    x_arg: Sequence[str] | str | None = None,
    backend: str | None = None,
) -> ProofResult:
    """Run revisions up, down and up again on scratch databases: the command `test`.

    It is not called `test`, because pytest would collect it wherever it is imported.
    revisions: none: what is pending, or the heads. data: use values at the limits of
    the types; sample: use that many real rows and documents of each table and
    collection. strict: a revision without a downgrade is not `.ok`. The real databases
    are not written.
    """
    named = [revisions] if isinstance(revisions, str) else list(revisions)
    return proving.prove(
        parts(directory, x_arg, backend),
        named,
        all_=all_,
        since=since,
        options=proving.ProofOptions(data, sample, embedded, keep, strict),
    )
