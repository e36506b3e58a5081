"""The verb `asides`: list the data kept in MongoDB, and drop old data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

from ..backend import Aside
from ..environment import Environment
from ..errors import UsageError


@dataclasses.dataclass(frozen=True)
class AsidesResult:
    """What `asides` lists, oldest first."""

    asides: tuple[Aside, ...]


@dataclasses.dataclass(frozen=True)
class PurgeResult:
    """What `asides --purge-older-than` dropped.

    spared: asides that are old enough but that a half-done revision needs.
    """

    dropped: tuple[Aside, ...]
    spared: tuple[Aside, ...]


_AGE = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def asides(env: Environment) -> AsidesResult:
    """List the asides, oldest first."""
    side = env.mongo_side("Asides are kept in MongoDB")
    side.check()
    return AsidesResult(side.asides())


def purge_asides(
    env: Environment,
    older_than: str,
    *,
    confirm: Callable[[Sequence[Aside]], None] | None = None,
) -> PurgeResult:
    """Drop the asides of at least a given age, such as "30d".

    It holds the locks of a migration, so that no run finds one half dropped. An aside
    that a half-done revision needs is spared.
    Raises UsageError for an invalid age, and what `confirm` raises.
    """
    least_s = age_in_seconds(older_than)
    side = env.mongo_side("Asides are kept in MongoDB")
    env.run.check_servers()
    asked = _to_drop(side.asides(), least_s)
    if asked and confirm is not None:
        confirm(asked)
    with env.run.locked():
        old = [aside for aside in side.asides() if aside.age_s >= least_s]
        names = {aside.name for aside in asked}
        dropped = [aside for aside in _to_drop(old, least_s) if aside.name in names]
        for aside in dropped:
            side.purge_aside(aside)
        side.forget_leftovers()
    spared = tuple(aside for aside in old if aside.needed)
    return PurgeResult(tuple(dropped), spared)


def age_in_seconds(text: str) -> int:
    """Return "90s", "15m", "12h", "30d" or "2w" in seconds; UsageError for others."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is not an age",
            hint="Give a number and a unit, s, m, h, d or w: 30d is thirty days.",
        )
    return int(match[1]) * _SECONDS[match[2]]


def _to_drop(found: Sequence[Aside], least_s: int) -> list[Aside]:
    return [aside for aside in found if aside.age_s >= least_s and not aside.needed]
