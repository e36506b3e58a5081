"""The rows of alembic_version: the heads, which imply all below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from ...backend.journal import Entry
from ...tree.graph import RevisionGraph
from ..server.alembic_env import environment


def read_heads(
    connection: Connection, tree: RevisionGraph, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the rows; none if there is no such table. options: `environment`'s.

    A row that someone set to NULL is returned as an empty text, which names no
    revision.
    """
    with environment(connection, tree, **options) as context:
        heads: tuple[str | None, ...] = context.get_context().get_current_heads()
        return tuple(head or "" for head in heads)


def write_heads(
    connection: Connection,
    tree: RevisionGraph,
    options: Mapping[str, Any],
    heads: Sequence[str],
) -> None:
    """Make these the only rows, in the connection's transaction."""
    with environment(connection, tree, **options) as context:
        migration = context.get_context()
        migration._ensure_version_table()
        connection.execute(migration._version.delete())
        for head in heads:
            row = migration._version.insert().values(version_num=head)
            connection.execute(row)


def applied_below(
    heads: Sequence[str], graph: RevisionGraph, entries: Mapping[str, Entry]
) -> frozenset[str]:
    """Return the heads and all below them, by the tree, or else by the journal."""
    below = {
        parent
        for head in heads
        if head not in graph.revisions and head in entries
        for parent in entries[head].down_revision
    }
    found = graph.ancestors(heads) | frozenset(heads)
    return found | applied_below(sorted(below), graph, entries) if below else found
