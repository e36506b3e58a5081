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


def redundant_rows(heads: Sequence[str], graph: RevisionGraph) -> tuple[str, ...]:
    """Return the rows that another row follows, and so says already.

    Alembic keeps none; one that a revision only depends on may stand for a branch.
    """
    followed: set[str] = set()
    todo = [parent for head in heads for parent in _parents(head, graph)]
    while todo:
        revision_id = todo.pop()
        if revision_id not in followed:
            followed.add(revision_id)
            todo.extend(_parents(revision_id, graph))
    return tuple(head for head in heads if head in followed)


def _parents(revision_id: str, graph: RevisionGraph) -> tuple[str, ...]:
    known = graph.revisions.get(revision_id)
    return known.parents if known is not None else ()
