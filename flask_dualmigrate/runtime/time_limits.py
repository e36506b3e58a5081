"""Time limits on statements and commands: of the app, of a revision, of one run.

The most specific one wins: an option, else a name in the script, else the app's config.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import TreeError, UsageError
from ..revisions import BackendName

NAMES: Mapping[BackendName, tuple[str, ...]] = MappingProxyType(
    {
        BackendName.MONGO: ("max_time_s",),
        BackendName.POSTGRES: (
            "lock_timeout_s",
            "lock_retries",
            "statement_timeout_s",
        ),
    }
)
"""Limits that a script of each side may set, as names in its module."""


LONGEST_S = 2_147_483
"""Seconds (24 days): both servers store a limit as milliseconds in 31 bits."""

_MEND = f"Give a number of seconds up to {LONGEST_S:,}; 0 means no limit."

GivenLimits = Mapping[str, float | None]
"""Name of a limit, as in scripts -> its value, or None if not set."""

NO_LIMITS: GivenLimits = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits that apply to one revision; 0 seconds: no limit.

    lock_timeout_s: how long a PostgreSQL statement waits for a table's lock.
    lock_retries: how often its transaction is tried again after that.
    statement_timeout_s: how long a statement may take; None: the server's own setting.
    max_time_s: the same for a batch or any other command of a MongoDB operation.
    """

    lock_timeout_s: float = 5.0
    lock_retries: int = 5
    statement_timeout_s: float | None = None
    max_time_s: float = 0.0
    of_run: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def for_run(self, given: GivenLimits) -> Limits:
        """Return these limits, overridden by those given to one run; None: not given.

        Raises UsageError for an invalid name or value.
        """
        of_run = {name: value for name, value in given.items() if value is not None}
        for name, value in of_run.items():
            problem = _problem(name, value)
            if problem:
                raise UsageError(problem, hint=_MEND)
        return dataclasses.replace(self, of_run=of_run)

    def for_script(self, module: Any, path: str, side: BackendName) -> Limits:
        """Return these limits, overridden by a script's, and then by the run's.

        Raises TreeError for an invalid value, or a limit of the other side.
        """
        own: dict[str, Any] = {}
        for name in (name for names in NAMES.values() for name in names):
            if not hasattr(module, name):
                continue
            if name not in NAMES[side]:
                raise TreeError(
                    f"{name} is not a time limit of {side.label}",
                    where=path,
                    hint="It belongs in the other script of the pair.",
                )
            own[name] = getattr(module, name)
            problem = _problem(name, own[name])
            if problem:
                raise TreeError(problem, where=path, hint=_MEND)
        return dataclasses.replace(self, **{**own, **self.of_run})


DEFAULT = Limits()


def how_to_raise(name: str, key: str) -> str:
    """Return the hint for a limit that was reached.

    name: its name in scripts; key: its name in the app's config.
    """
    option = name.removesuffix("_s").replace("_", "-")
    return (
        f"Raise it for this run with --{option}, for the revision with {name} in its "
        f"script, or for the app with {key}; 0 means no limit."
    )


def _problem(name: str, value: Any) -> str | None:
    """Return why a value cannot be a limit; None if it can."""
    if not any(name in names for names in NAMES.values()):
        return f"{name} is not a time limit"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == "lock_retries":
        fits = isinstance(value, int) and is_number and value >= 0
        return None if fits else f"{name} must be a number of times, not {value!r}"
    if is_number and 0 <= value <= LONGEST_S:
        return None
    is_long = is_number and value > LONGEST_S
    bounds = f"{LONGEST_S} at most" if is_long else "0 or more"
    return f"{name} must be a number of seconds, {bounds}, not {value!r}"
