"""What a view reads according to its definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_READING = ("$lookup", "$graphLookup", "$unionWith")
"""Stages that read a collection other than the one they belong to."""


def sources_of(definition: Mapping[str, Any]) -> frozenset[str]:
    """Return the collections named in a view's definition.

    definition: the options of `create`; empty for what is no view.
    """
    if "viewOn" not in definition:
        return frozenset()
    return frozenset({definition["viewOn"], *_named_in(definition.get("pipeline"))})


def readers_of(collection: str, reads: Mapping[str, frozenset[str]]) -> set[str]:
    """Return the views that read a collection, directly or through other views.

    reads: view -> the collections that its definition names.
    """
    found: set[str] = set()
    reached = {collection}
    while reached:
        reached = {view for view in reads if reads[view] & reached} - found
        found |= reached
    return found - {collection}


def _named_in(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in _READING:
                yield from _named_by(value)
            yield from _named_in(value)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _named_in(each)


def _named_by(stage: Any) -> Iterator[str]:
    """Yield the name in such a stage: a text, `from` or `coll`."""
    if isinstance(stage, Mapping):
        stage = stage.get("from", stage.get("coll"))
    if isinstance(stage, str):
        yield stage
