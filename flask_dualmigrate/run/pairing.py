"""Giving both sides of a pair one id on their first run."""

from __future__ import annotations

from uuid import uuid4

from ..backend import Journals
from .plan import States, require_pair


def pair_up(journals: Journals, states: States) -> None:
    """Check that both sides belong together; give them an id if they have none yet.

    Raises IntegrityError if they hold different ids.
    """
    require_pair(states)
    if len(states) < 2:
        return
    ids = [state.pair_id for state in states.values() if state.pair_id]
    pair_id = ids[0] if ids else uuid4().hex
    # The emptier side first: a kill in between must not look like a lost history.
    for name in sorted(states, key=lambda name: len(states[name].applied)):
        if states[name].pair_id is None:
            journals[name].set_pair_id(pair_id)
