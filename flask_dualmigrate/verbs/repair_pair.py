"""`repair --pair`: make a pair of two databases that had different partners."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from uuid import uuid4

from ..environment import Environment
from ..errors import IntegrityError, UsageError
from ..revisions import BackendName
from ..run.options import Confirm
from ..run.plan import States, is_pair
from ..run.status import heads_of


@dataclasses.dataclass(frozen=True)
class PairResult:
    """What `repair --pair` made a pair of.

    heads: the revisions of each database. pair_id: of both.
    """

    heads: Mapping[BackendName, tuple[str, ...]]
    pair_id: str


def pair(env: Environment, confirm: Confirm | None = None) -> PairResult:
    """Give both databases one new id, if they are of two pairs; ask `confirm` first.

    Nothing is run, and nothing else is written. A kill between the two writes leaves
    them in different pairs, as before. Raises UsageError if only one side is in use;
    IntegrityError if they are a pair already, or if something is half done with the
    former partner.
    """
    env.run.check_servers()
    states = env.run.states()
    _require_two_pairs(states)
    if confirm is not None:
        confirm([_line(env, states, name) for name in sorted(states, reverse=True)])
    pair_id = uuid4().hex
    with env.run.locked():
        states = env.run.states()
        _require_two_pairs(states)
        for name in states:
            env.backends[name].set_pair_id(pair_id, anew=True)
    return PairResult(heads_of(env.directory, states), pair_id)


def _require_two_pairs(states: States) -> None:
    if len(states) < 2:
        raise UsageError(
            "A pair needs both databases, and only one is in use here",
            hint="See `active=` of DualMigrate.",
        )
    if is_pair(states):
        raise IntegrityError(
            "The two databases do not belong to different pairs, so there is nothing "
            "to pair",
            hint="See: flask db-migrate status",
        )
    for name, state in states.items():
        for entry in state.open_entries():
            raise IntegrityError(
                f"The {entry.direction} of {entry.revision} is half done on "
                f"{name.label}with its former partner",
                hint="First finish it there, with --backend: flask db-migrate "
                f"upgrade --backend {name}, or downgrade --backend {name}.",
            )


def _line(env: Environment, states: States, name: BackendName) -> str:
    """Return which database it is, and its revision."""
    heads = ", ".join(heads_of(env.directory, states)[name]) or "base"
    return f"{name.label}: {env.backends[name].place()}, at {heads}"
