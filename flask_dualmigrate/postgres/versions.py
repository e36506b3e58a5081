"""What the rows of alembic_version say: the heads, and with them all below. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..graph import RevisionGraph
from ..journal import Entry


def applied_below(
    heads: Sequence[str], graph: RevisionGraph, entries: Mapping[str, Entry]
) -> frozenset[str]:
    """Return the heads and all below them, by the tree or else by the journal."""
    below = {
        parent
        for head in heads
        if head not in graph.revisions and head in entries
        for parent in entries[head].down_revision
    }
    found = graph.ancestors(heads) | frozenset(heads)
    return found | applied_below(sorted(below), graph, entries) if below else found
