"""Waiting for the databases of a run to come up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..errors import DatabaseUnavailable, redact
from ..revisions import BackendName

Ask = Callable[[float], str | None]
"""Probes a server, for at most so many seconds; returns None, or why it cannot be used.

Raises DatabaseUnavailable for what waiting cannot fix, such as a wrong password.
"""

_FIRST_TRY_S, _LONGEST_TRY_S = 1.0, 10.0
"""Seconds for an answer: few at first, so that a reason is shown soon, then
doubled each time, so that a distant server can answer."""

_PAUSE_S = 0.25


def wait_for_servers(
    servers: Mapping[BackendName, Ask],
    *,
    wait_s: float,
    on_absent: Callable[[str], None],
) -> None:
    """Return when all of them can be used.

    wait_s: seconds, for all of them together; the last attempt may take one or two
    more.
    on_absent: called with the side it waits for and why, again when that changes.
    Raises DatabaseUnavailable, with the last reason, when the time is up.
    """
    give_up = time.monotonic() + wait_s
    for name, ask in servers.items():
        told, try_s = None, _FIRST_TRY_S
        while (reason := ask(try_s)) is not None:
            reason = redact(reason)
            if time.monotonic() >= give_up:
                raise DatabaseUnavailable(
                    f"{name.label} did not come up in {wait_s:g} s: {reason}",
                    hint="Check its URL, and that the server is running.",
                )
            if reason != told:
                on_absent(f"{name.label}: {reason}")
                told = reason
            time.sleep(_PAUSE_S)
            left_s = give_up - time.monotonic()
            longest_s = max(_FIRST_TRY_S, min(_LONGEST_TRY_S, left_s))
            try_s = min(2 * try_s, longest_s)
