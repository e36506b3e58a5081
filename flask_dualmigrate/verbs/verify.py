"""The verb `verify`: check that the databases still hold what revisions promised."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..backend import State
from ..environment import Environment
from ..errors import ScriptError, UsageError
from ..revisions import BackendName, Revision
from ..run.plan import require_known, require_pair
from .count_and_compare import count, mirrored
from .history import single


@dataclasses.dataclass(frozen=True)
class Verified:
    """What verify() of one script said. outcome: passed, failed, or none there.

    later: how many revisions were applied after it; they may be why it fails.
    """

    backend: BackendName
    revision: str
    outcome: str
    error: str | None = None
    later: int = 0


@dataclasses.dataclass(frozen=True)
class Counted:
    """Rows of a table and documents of its collection; None if there is none.

    exact: False if the counting stopped at the limit.
    """

    table: str
    collection: str
    rows: int | None
    documents: int | None
    exact: bool = True

    @property
    def ok(self) -> bool:
        return self.rows == self.documents


@dataclasses.dataclass(frozen=True)
class VerifyResult:
    """What `verify` found; limit: where counting stopped, 0: nowhere."""

    checks: tuple[Verified, ...]
    counts: tuple[Counted, ...]
    limit: int

    @property
    def ok(self) -> bool:
        passed = all(check.outcome != "failed" for check in self.checks)
        return passed and all(count.ok for count in self.counts)


COUNT_LIMIT = 1_000_000
"""Rows and documents to count one by one by default."""


def verify(
    env: Environment,
    identifier: str | None = None,
    *,
    head_only: bool = False,
    counts: bool = True,
    count_limit: int = COUNT_LIMIT,
) -> VerifyResult:
    """Run the verify functions of applied revisions, and compare counts.

    identifier: of one revision; head_only: only the current revisions. counts: compare
    tables with their collections too, if both sides are in use.
    count_limit: stop counting there; 0: nowhere.
    Raises UsageError for a revision that is not applied on any side, IntegrityError if
    a database has one that the tree lacks, as its verify cannot be called.
    """
    if identifier is not None and head_only:
        raise UsageError(
            "Use either a revision or --head-only",
            hint="They exclude each other.",
        )
    env.run.check_servers()
    states = env.run.states()
    require_pair(states)
    require_known(env.directory, states)
    only = None if identifier is None else single(env.directory, identifier).id
    checks = tuple(
        check
        for name in reversed(env.in_scope)
        for check in _verify_side(env, name, states[name], only, head_only)
    )
    if only is not None and not checks:
        raise UsageError(
            f"Revision {only} is not applied on any side",
            hint="To see what is applied: flask db-migrate status",
        )
    compared = tuple(_counts(env, count_limit)) if counts and only is None else ()
    return VerifyResult(checks, compared, count_limit)


def _verify_side(
    env: Environment,
    name: BackendName,
    state: State,
    only: str | None,
    head_only: bool,
) -> Iterator[Verified]:
    directory = env.directory
    unfinished = {entry.revision for entry in state.open_entries()}
    there = [
        revision
        for revision in directory.topological()
        if revision.id in state.applied - unfinished
        and directory.has(name, revision.id)
    ]
    heads = directory.heads_of(state.applied)
    for number, revision in enumerate(there, start=1):
        if only in (None, revision.id) and (not head_only or revision.id in heads):
            yield _verify(env, name, revision, len(there) - number)


def _verify(
    env: Environment, name: BackendName, revision: Revision, later: int
) -> Verified:
    try:
        has_one = env.backends[name].verify(revision)
    except ScriptError as error:
        return Verified(name, revision.id, "failed", error.what, later)
    return Verified(name, revision.id, "passed" if has_one else "none", None, later)


def _counts(env: Environment, limit: int) -> Iterator[Counted]:
    """Compare what corresponds, without a model that no revision has created yet."""
    if len(env.in_scope) < 2:
        return
    pairs = dict(env.models.mirrored())
    counts = count(
        env,
        {BackendName.POSTGRES: pairs.keys(), BackendName.MONGO: {*pairs.values()}},
        limit=limit,
    )
    for table, collection in mirrored(env, counts):
        rows = counts[BackendName.POSTGRES].get(table)
        documents = counts[BackendName.MONGO].get(collection)
        at_limit = limit > 0 and limit in (rows, documents)
        yield Counted(table, collection, rows, documents, exact=not at_limit)
