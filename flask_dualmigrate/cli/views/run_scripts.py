"""How the results of `upgrade`, `downgrade` and `stamp` are shown."""

from __future__ import annotations

from collections.abc import Iterator

from ...revisions import Direction
from ...text import duration, one_line
from ...verbs.run_scripts import RunResult, StampResult
from .layout import lines


@lines.register
def _(result: RunResult) -> Iterator[str]:
    if not result.steps:
        yield "Nothing to do."
        return
    verb = "Upgraded" if result.direction is Direction.UPGRADE else "Downgraded"
    for step in result.steps:
        sides = " and ".join(name.label for name in reversed(step.backends))
        took = duration(step.duration_ms)
        message = one_line(step.message)
        yield f"{verb} {step.revision}  {message}  ({sides}, {took})"
    yield from result.emptied
    if result.backup is not None:
        yield f"Backup before it: {result.backup}"
    if result.verified is not None:
        yield ""
        yield from lines(result.verified)


@lines.register
def _(result: StampResult) -> Iterator[str]:
    where = " and ".join(name.label for name in reversed(result.backends))
    yield f"Stamped {where} at {', '.join(result.heads) or 'base'}."
