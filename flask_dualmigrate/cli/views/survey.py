"""The table of `upgrade --verify`."""

from __future__ import annotations

from collections.abc import Iterator

from ...text import counted
from ...verbs.survey import PairedField, PairedValues, Place, Survey
from .layout import lines, table


@lines.register
def _(survey: Survey) -> Iterator[str]:
    if not survey.places:
        yield "Verified: no tables or collections were touched."
        return
    head = ["Side", "Table or collection", "Before", "After", ""]
    yield from table([head, *map(_place, survey.places)])
    filled = [pair for pair in survey.fields if pair.rows or pair.documents]
    if filled:
        yield ""
        head = ["Column", "Field", "Nulls", "Missing", "Types", ""]
        yield from table([head, *map(_field, filled)])
    if survey.values:
        yield ""
        head = ["Column", "Field", "Values compared", ""]
        yield from table([head, *map(_values, survey.values)])
    problems = len(list(survey.problems()))
    found = counted(problems, "difference") if problems else "everything as expected"
    yield f"Verified: {found}."


def _place(place: Place) -> list[str]:
    before, after = (
        "-" if number is None else f"{number:,}"
        for number in (place.before, place.after)
    )
    return [place.backend.label, place.name, before, after, _verdict(place.problem)]


def _field(pair: PairedField) -> list[str]:
    return [
        f"{pair.table}.{pair.column}",
        f"{pair.collection}.{pair.field}",
        f"{pair.nulls:,}",
        f"{pair.missing:,}",
        ", ".join(pair.types) or "-",
        _verdict(pair.problem),
    ]


def _values(pair: PairedValues) -> list[str]:
    looked_at = (
        f"{pair.compared:,} of {pair.total:,}"
        if pair.rows < pair.total or pair.compared < pair.rows
        else f"all {pair.compared:,}"
    )
    return [
        f"{pair.table}.{pair.column}",
        f"{pair.collection}.{pair.field}",
        looked_at,
        _verdict(pair.problem),
    ]


def _verdict(problem: str | None) -> str:
    return "OK" if problem is None else f"DIFFERENT: {problem}"
