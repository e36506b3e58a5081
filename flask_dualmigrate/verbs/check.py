"""`check`: find what makes a deployment unsafe."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..environment import Environment
from ..ops import Todo
from ..revisions import BackendName, Revision
from ..run.consistency import contradictions
from ..run.plan import NOT_A_PAIR, ahead, is_pair
from ..run.status import edited_scripts, half_done, pending


def check(env: Environment, *, wait_s: float = 0.0) -> CheckResult:
    """Look for what makes a deployment unsafe, changing nothing.

    wait_s: seconds to wait for the servers to come up.
    """
    env.run.wait_for_servers(wait_s)
    directory = env.directory
    findings = [Finding("pair", text) for text in directory.pair_problems()]
    findings += [Finding("lock-file", text) for text in directory.lock_problems()]
    findings += [Finding("todo", text) for text in _todos(env)]
    states = env.run.states()
    if not is_pair(states):
        findings.append(Finding("databases", NOT_A_PAIR))
    findings += [Finding("edited", text) for text in edited_scripts(directory, states)]
    beyond = ahead(directory, states)
    findings += [Finding("deleted", text) for text in beyond]
    found = contradictions(directory, states)
    findings += [Finding("history", contradiction.what) for contradiction in found]
    findings += [Finding("half-done", text) for text in half_done(states)]
    waiting = pending(directory, states)
    findings += [
        Finding("pending", f"Revision {rev.id} ({rev.message}) is pending")
        for rev in waiting
    ]
    differing, not_compared = _look_at_models(env, beyond=beyond, waiting=waiting)
    findings += [Finding("models", text) for text in differing]
    if env.config.validators != "off":
        not_compared = (*not_compared, "the validators of MongoDB with the models")
    return CheckResult(tuple(findings), not_compared)


def _look_at_models(
    env: Environment, *, beyond: Sequence[str], waiting: Sequence[Revision]
) -> tuple[Sequence[str], tuple[str, ...]]:
    """Return what `check` says about the models, and what it did not compare."""
    if not env.compares_models:
        compared = env.models.against_scripts()
        there = "what the Alembic scripts create"
        return _differing(compared.differences, there), compared.not_compared
    if beyond:
        return [_NOT_COMPARED], ()
    if waiting:
        return (), ("the models with the database: revisions are pending",)
    compared = env.models.compare(env.directory.heads)
    return _differing(compared.differences), compared.not_compared


_NOT_COMPARED = (
    "The models were not compared: what the database has beyond this code would look "
    "like something to drop"
)


def _todos(env: Environment) -> list[str]:
    directory = env.directory
    if BackendName.MONGO not in env.available:
        return []
    return [
        f"Revision {revision_id} has a todo left: {operation.text}"
        for revision_id in directory.revisions
        if directory.has(BackendName.MONGO, revision_id)
        for operation in env.mongo_operations(revision_id)
        if isinstance(operation, Todo)
    ]


def model_differences(env: Environment) -> Sequence[str]:
    """Return in words where the models differ from PostgreSQL, which is at head."""
    if not env.compares_models:
        return []
    return _differing(env.models.compare(env.directory.heads).differences)


def _differing(found: Sequence[str], there: str = "the database") -> list[str]:
    return [f"The models differ from {there}: {text}" for text in found]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that `check` found.

    kind: pair, lock-file, databases, edited, deleted, todo, history, half-done, pending
    or models.
    """

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """What `check` found; empty if all is well.

    not_compared: the parts of the models that it could not or was not to compare.
    """

    findings: tuple[Finding, ...]
    not_compared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings
