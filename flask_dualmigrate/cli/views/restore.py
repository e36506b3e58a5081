"""The result of `restore`."""

from __future__ import annotations

from collections.abc import Iterator

from ...backend.restorer import Kept, Replacement
from ...revisions import BackendName
from ...text import counted
from ...verbs.restore import RestoreResult
from .layout import lines


@lines.register
def _(result: RestoreResult) -> Iterator[str]:
    where = " and ".join(name.label for name in sorted(result.backends, reverse=True))
    if result.carried_on:
        yield f"Restored {where} from {result.backup}, continuing a stopped restore."
    else:
        yield f"Restored {where} from {result.backup}."
    for item in result.replaced:
        yield f"  {_replaced(item)}"
    for kept in result.kept:
        yield f"  {_kept(kept)}"
    for name, applied in sorted(result.applied.items(), reverse=True):
        noun = "revision" if len(applied) == 1 else "revisions"
        yield f"{name.label}: {len(applied) or 'no'} {noun} applied, as at that time."
    yield (
        "Changes that scripts made outside these databases are in no backup and remain."
    )


def _replaced(item: Replacement) -> str:
    place = f"{item.name} on {item.backend.label}"
    if item.then is None:
        return f"{place}: removed"
    return f"{place}: {_counted(item.backend, item.then)}"


def _kept(kept: Kept) -> str:
    count = _counted(kept.backend, kept.count)
    return f"{kept.was} on {kept.backend.label}: {count} kept in {kept.name}"


def _counted(backend: BackendName, count: int) -> str:
    return counted(count, "row" if backend is BackendName.POSTGRES else "document")
