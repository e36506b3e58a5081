"""The results of the `index` commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...indexes import Difference, FoundIndex, State, Verdict
from ...revisions import BackendName
from ...text import duration, size, when
from ...verbs.index import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
)
from .layout import lines, table

_PLACE = {BackendName.MONGO: "Collection", BackendName.POSTGRES: "Table"}
_SYNC = "flask db-migrate index sync"
_NOT_SHOWN = ("definition", "hidden", "textIndexVersion", "2dsphereIndexVersion")
_OF_TEXT = {"default_language": "english", "language_override": "language"}


@lines.register
def _(result: IndexListResult) -> Iterator[str]:
    if not result.indexes:
        yield "There are no indexes."
    for number, backend in enumerate(_backends(result.indexes)):
        if number:
            yield ""
        yield f"{backend.label}:"
        rows = [[_PLACE[backend], "Index", "Key", "Options", "Size", "Used", "State"]]
        rows += [_row(item) for item in result.indexes if item.backend is backend]
        yield from table(rows)
    yield from _notes(result.notes)


@lines.register
def _(result: IndexDiffResult) -> Iterator[str]:
    yield from _differences(result.differences)
    yield from _notes(result.notes)
    others = {item.verdict for item in result.differences} - {Verdict.OK}
    if not others - {Verdict.NOT_COMPARED}:
        those = " that were compared" if others else ""
        yield f"All indexes{those} are as declared."
    elif others - {Verdict.NOT_COMPARED} == {Verdict.UNDECLARED}:
        yield f"To drop undeclared indexes, run: {_SYNC} --drop-undeclared"
    else:
        dropping = any(item.also for item in result.differences)
        more = " --drop-undeclared" if dropping else ""
        yield f"To fix this, run: {_SYNC}{more}"


@lines.register
def _(result: IndexSyncResult) -> Iterator[str]:
    for action in result.actions:
        verb = "Would" if result.dry_run else "Done:"
        yield f"{verb} {action.text} ({action.backend.label})"
    if not result.actions:
        yield "Nothing to do."
    if result.dry_run:
        yield from _left(result)
        yield "Nothing was changed."
    elif result.remaining:
        yield ""
        yield from _differences(result.remaining)
        if any(item.verdict is Verdict.UNDECLARED for item in result.remaining):
            yield "To drop undeclared indexes, add --drop-undeclared."
    yield from _notes(result.notes)


def _left(result: IndexSyncResult) -> Iterator[str]:
    """Yield the conflicts that a sync would leave, and why."""
    mended = {(each.backend, each.place, each.name) for each in result.actions}
    left = [
        item
        for item in result.remaining
        if item.verdict is Verdict.CONFLICT
        and (item.backend, item.place, item.name) not in mended
    ]
    for item in left:
        yield f"Would leave {item.place}.{item.name}: {item.why}"
    if any(item.also for item in left):
        yield "To drop undeclared indexes, add --drop-undeclared."


@lines.register
def _(result: IndexDropResult) -> Iterator[str]:
    yield f"Dropped {result.place}.{result.name} on {result.backend.label}."


@lines.register
def _(result: IndexRebuildResult) -> Iterator[str]:
    took = duration(result.duration_ms)
    yield f"Rebuilt {result.place}.{result.name} on {result.backend.label} ({took})."


def _backends(indexes: Sequence[FoundIndex | Difference]) -> list[BackendName]:
    return sorted({item.backend for item in indexes}, reverse=True)


def _row(index: FoundIndex) -> list[str]:
    state = index.state.upper() if index.state is not State.READY else ""
    options = _options(index.options)
    if index.constraint and not index.options.get("primary_key"):
        options = f"{options}, constraint" if options else "constraint"
    large = "unknown" if index.size_bytes is None else size(index.size_bytes)
    key = _key(index.key)
    return [index.place, index.name, key, options, large, _used(index), state]


def _key(key: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(name if way == 1 else f"{name} {way}" for name, way in key)


def _options(options: Mapping[str, Any]) -> str:
    words = []
    for name, value in options.items():
        if name in _NOT_SHOWN or _OF_TEXT.get(name) == value:
            continue
        if name == "weights" and set(value.values()) == {1}:
            continue
        if name == "collation":
            words.append(_collation(value))
        else:
            words.append(name if value is True else f"{name}={_value(value)}")
    return ", ".join(words).replace("primary_key", "primary key")


def _collation(value: Mapping[str, Any]) -> str:
    shown = [str(value.get("locale"))]
    if value.get("strength", 3) != 3:
        shown.append(f"strength {value['strength']}")
    return f"collation={' '.join(shown)}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = (f"{name}: {_value(item)}" for name, item in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)


def _used(index: FoundIndex) -> str:
    if index.uses is None:
        return "unknown"
    times = "never" if index.uses == 0 else f"{index.uses:,} times"
    return f"{times} since {when(index.since)}" if index.since else times


def _differences(differences: Sequence[Difference]) -> Iterator[str]:
    for number, backend in enumerate(_backends(differences)):
        if number:
            yield ""
        yield f"{backend.label}:"
        mine = [item for item in differences if item.backend is backend]
        rows = [["Verdict", _PLACE[backend], "Index", "Key", "Declared by"]]
        rows += [_difference(item) for item in mine]
        yield from table(rows)
        for item in mine:
            if item.why:
                yield f"{item.verdict} {item.place}.{item.name}: {item.why}"
    if differences:
        yield ""
        counts = Counter(item.verdict for item in differences)
        yield ", ".join(f"{counts[each]} {each}" for each in Verdict if counts[each])


def _difference(item: Difference) -> list[str]:
    index = item.declared or item.found
    assert index is not None
    key = _key(index.key or (item.found.key if item.found else ()))
    sources = ", ".join(item.declared.sources) if item.declared else "nothing"
    return [item.verdict, item.place, item.name, key, sources]


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield f"Note: {note.rstrip('.')}."
