"""`flask db-migrate test`: which revisions to prove, on what data, and the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pymongo

from ..environment import Environment
from ..errors import DatabaseUnavailable, ScriptError, UsageError
from ..run.plan import require_known
from .data.scratches import Scratches
from .proofs import ProofResult
from .scratch.scratch import ANSWER_S, bench
from .walk import Walk


@dataclasses.dataclass(frozen=True)
class ProofOptions:
    """Options of a proof.

    data: insert rows and documents with edge values. sample: how many real rows or
    documents to copy from each table and collection; 0: none. embedded: use embedded
    servers. keep: do not drop the scratch databases. strict: a revision that cannot be
    downgraded counts as different.
    """

    data: bool = False
    sample: int = 0
    embedded: bool = False
    keep: bool = False
    strict: bool = False


def prove(
    env: Environment,
    revisions: Sequence[str] = (),
    *,
    all_: bool = False,
    since: str | None = None,
    options: ProofOptions = ProofOptions(),
) -> ProofResult:
    """Prove revisions on scratch databases; the real ones are at most read.

    revisions: ids, prefixes, labels; all_: all in the tree; since: those above one.
    If none is given: the pending revisions, or the heads if nothing is pending.
    Raises UsageError if two of them are given, and what creating databases raises.
    """
    if bool(revisions) + all_ + (since is not None) > 1:
        raise UsageError(
            "Name revisions, or use one of --all and --since",
            hint="Without any of them, the pending revisions are proved.",
        )
    if options.data and options.sample:
        raise UsageError(
            "--data and --sample exclude each other",
            hint="To use both, run the command twice.",
        )
    env.directory.require_pairs()
    wanted, notes = _wanted(env, revisions, all_, since)
    below = _applied(env, wanted) if options.sample else frozenset()
    result = ProofResult(
        (),
        (),
        data="seeded" if options.data else "sampled" if options.sample else "none",
        problems=several_heads(env),
        notes=notes,
        strict=options.strict,
    )
    again = True
    while again:
        done = {proof.revision for proof in result.proofs}
        result, again = _walk(env, wanted - done, options, below, result)
    return result


def _walk(
    env: Environment,
    wanted: frozenset[str],
    options: ProofOptions,
    below: frozenset[str],
    before: ProofResult,
) -> tuple[ProofResult, bool]:
    """Add the result of a walk on new databases; return whether another is needed."""
    with bench(env, embedded=options.embedded, keep=options.keep) as made:
        scratches = Scratches(
            made.env, with_data=options.data, real=env, sample=options.sample
        )
        walk = Walk(made.env, wanted, scratches, below=below)
        with made.env.run.locked():
            walk.run()
        models, why_not = walk.models()
        result = dataclasses.replace(
            before,
            proofs=(*before.proofs, *walk.proofs),
            scratch=made.scratch,
            models=models,
            why_not=why_not,
            notes=(*before.notes, *scratches.notes),
            kept=(*before.kept, *made.kept),
        )
        return result, walk.again


def _wanted(
    env: Environment, revisions: Sequence[str], all_: bool, since: str | None
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the ids to prove, and notes for the user."""
    directory = env.directory
    everything, heads = frozenset(directory.revisions), frozenset(directory.heads)
    if all_:
        return everything, ()
    if since is not None:
        below = directory.ancestors([rev.id for rev in directory.resolve(since)])
        return everything - below, ()
    if revisions:
        return frozenset(rev.id for rev in directory.resolve(*revisions)), ()
    try:
        with pymongo.timeout(ANSWER_S):
            env.run.check_servers()
            states = env.run.states()
    except DatabaseUnavailable:
        said = "The heads were proved: the real databases do not show what is pending."
        return heads, (said,)
    applied = [state.applied for state in states.values()]
    return everything - frozenset.intersection(*applied) or heads, ()


def _applied(env: Environment, wanted: frozenset[str]) -> frozenset[str]:
    """Return the revisions applied to the real databases, which their data matches.

    Raises UsageError if a revision cannot be proved on such data.
    """
    env.run.check_servers()
    states = env.run.states()
    require_known(env.directory, states)
    applied = {state.applied for state in states.values()}
    if len(applied) > 1:
        raise UsageError(
            "The two databases are at different revisions, and so is their data",
            hint="See `flask db-migrate status`, or use --data.",
        )
    below = frozenset.intersection(*applied) & env.directory.revisions.keys()
    again = sorted(wanted & below)
    if again:
        raise UsageError(
            f"{again[0]} is already applied, so the real data is not what it would run "
            "on",
            hint="Use --data, or name pending revisions.",
        )
    return below


def several_heads(env: Environment) -> tuple[str, ...]:
    """Return a line about several heads, unless each has a branch label."""
    heads = env.directory.heads
    nodes = [env.directory.graph.get_revision(head) for head in heads]
    if len(heads) < 2 or all(node is not None and node.branch_labels for node in nodes):
        return ()
    return (
        f"The tree has {len(heads)} heads: {', '.join(sorted(heads))}. Join them: "
        "flask db-migrate merge heads",
    )


def tree_problems(env: Environment) -> tuple[str, ...]:
    """Return why the two trees are not a pair that can run."""
    return (*env.directory.pair_problems(), *env.directory.lock_problems())


def models_at_head(env: Environment) -> tuple[str, ...]:
    """Return how the models differ from a scratch database at head.

    Raises ScriptError if head cannot be reached.
    """
    with bench(env, embedded=False, keep=False) as made:
        walk = Walk(
            made.env,
            frozenset(),
            Scratches(made.env, with_data=False, real=env),
            below=frozenset(),
        )
        with made.env.run.locked():
            walk.run()
        if walk.proofs:
            raise ScriptError(str(walk.proofs[0].error))
        return walk.models()[0] or ()
