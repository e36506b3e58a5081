"""The revisions as a graph, for `history`, `heads`, `branches` and `show`. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..revisions import BackendName, Revision
from ..tree.graph import RevisionGraph, resolution_errors


@dataclasses.dataclass(frozen=True)
class GraphRevision:
    """A revision with its place in the history."""

    revision: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    branch_labels: tuple[str, ...]
    message: str
    file_name: str
    is_head: bool
    is_branch_point: bool
    is_merge_point: bool
    children: tuple[str, ...] = ()
    current: tuple[BackendName, ...] = ()


@dataclasses.dataclass(frozen=True)
class GraphResult:
    """What `history`, `heads` and `branches` list."""

    revisions: tuple[GraphRevision, ...]


Marks = Mapping[str, tuple[BackendName, ...]]
"""Revision id -> the sides that are at it."""


def list_history(
    directory: RevisionGraph, rev_range: str | None, marks: Marks
) -> GraphResult:
    """List revisions, newest first; rev_range is `from:to`, either may be left out."""
    base, head = _range(rev_range)
    with resolution_errors(directory):
        walk = directory.graph.iterate_revisions(
            head, base, inclusive=base != "base", implicit_base=True
        )
        ids = [item.revision for item in walk]
    return GraphResult(tuple(place(directory, key, marks) for key in ids))


def list_heads(directory: RevisionGraph) -> GraphResult:
    """List the revisions that have no successor."""
    return GraphResult(tuple(place(directory, key) for key in directory.heads))


def list_branches(directory: RevisionGraph) -> GraphResult:
    """List the revisions that have several successors."""
    places = (place(directory, rev.id) for rev in directory.topological())
    return GraphResult(tuple(item for item in places if item.is_branch_point))


def place(
    directory: RevisionGraph, revision_id: str, marks: Marks | None = None
) -> GraphRevision:
    """Return a revision with its place in the history."""
    node: Any = directory.graph.get_revision(revision_id)
    described = directory.revisions[revision_id]
    return GraphRevision(
        revision=revision_id,
        parents=described.parents,
        depends_on=described.depends_on,
        branch_labels=tuple(sorted(node.branch_labels)),
        message=described.message,
        file_name=described.file_name,
        is_head=node.is_head,
        is_branch_point=node.is_branch_point,
        is_merge_point=node.is_merge_point,
        children=tuple(sorted(node.nextrev)),
        current=(marks or {}).get(revision_id, ()),
    )


def single(directory: RevisionGraph, identifier: str) -> Revision:
    """Return the one revision that an id, a prefix or `head` names.

    Raises UsageError if it names none, or several.
    """
    found = directory.resolve(identifier)
    if len(found) != 1:
        raise UsageError(
            f"{identifier} is not a single revision",
            hint="To list the revisions: flask db-migrate history",
        )
    return found[0]


def _range(rev_range: str | None) -> tuple[str, str]:
    if rev_range is None:
        return "base", "heads"
    base, colon, head = rev_range.partition(":")
    if not colon:
        raise UsageError(
            f"{rev_range!r} is not a range",
            hint="A range has the form FROM:TO, :TO or FROM:",
        )
    return base or "base", head or "heads"
