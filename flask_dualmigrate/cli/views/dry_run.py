"""The forecast of a dry run, and scripts that are printed instead of run."""

from __future__ import annotations

from collections.abc import Iterator

from ...backend import Forecast, PlannedStep
from ...text import counted, one_line
from ...verbs.dry_run import PlanResult
from .layout import lines


@lines.register
def _(result: PlanResult) -> Iterator[str]:
    if not result.revisions:
        yield "Nothing to do."
        return
    for planned in result.revisions:
        message = one_line(planned.message)
        yield f"-- {result.direction} {planned.revision}  {message}"
        for side in planned.sides:
            yield f"   {side.backend.label}:"
            yield from _side(side)
    if result.backup is not None:
        yield f"A backup of {result.backup} would be made first."
    if result.backup_refused is not None:
        yield f"The run would be refused: {result.backup_refused}."
    yield from result.emptied
    count = len(result.problems)
    if count:
        yield f"{counted(count, 'problem')} would make the {result.direction} fail."
    yield "Nothing was changed."


def _side(side: PlannedStep) -> Iterator[str]:
    if not side.lines:
        yield "     nothing to do"
    for number, line in enumerate(side.lines):
        # A statement may span several lines.
        yield from (f"     {part.expandtabs(4)}" for part in line.split("\n"))
        if number < len(side.forecasts):
            for text in _forecast(side.forecasts[number]):
                yield f"       {text}"


def _forecast(forecast: Forecast) -> Iterator[str]:
    counts = _counts(forecast)
    if counts:
        yield counts
    for problem in forecast.problems:
        yield f"FAILS: {problem}"
    yield from forecast.notes


def _counts(forecast: Forecast) -> str:
    """Return the line of counts; empty if there are none."""
    parts = []
    if forecast.matches is not None:
        about = "" if forecast.exact else "about "
        verb = "builds over" if forecast.builds else "matches"
        parts.append(f"{verb} {about}{counted(forecast.matches, 'document')}")
    if forecast.writes is not None and forecast.writes != forecast.matches:
        parts.append(f"writes {counted(forecast.writes, 'document')}")
    if forecast.plan:
        parts.append(f"by {forecast.plan}")
    return ", ".join(parts)
