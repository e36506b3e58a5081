"""The revisions of a tree as Alembic's graph, one for both sides.

It is built from the scripts, or from revisions.lock alone, without running a script.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from alembic.script.revision import (
    CycleDetected,
    MultipleHeads,
    RangeNotAncestorError,
    ResolutionError,
    RevisionError,
    RevisionMap,
)
from alembic.script.revision import Revision as Node

from ..errors import TreeError, UsageError
from ..revisions import Revision
from .lockfile import LOCK_FILE, REWRITE, LockLine


class RevisionGraph:
    """Which revision follows which.

    root: the migrations directory. revisions: id -> revision.
    nodes: id -> Alembic's node, which may be a script; the graph marks those that it
    is made from, and Alembic's steps need that.
    Raises TreeError for a cycle.
    """

    def __init__(
        self, root: Path, revisions: Mapping[str, Revision], nodes: Mapping[str, Node]
    ) -> None:
        self.root = root
        self.revisions = revisions
        self.graph = RevisionMap(nodes.values)
        with resolution_errors(self):
            self.graph._revision_map  # noqa: B018  (built here, so that errors occur here)

    @classmethod
    def of_lock_file(cls, root: Path, lines: Sequence[LockLine]) -> RevisionGraph:
        """Return the graph in revisions.lock, which has no labels.

        Raises TreeError, naming that file, if its lines do not form a graph.
        """
        revisions = {
            line.id: Revision(
                line.id, line.parents, line.depends_on, file_name=line.file_name
            )
            for line in lines
        }
        for line in lines:
            for below in (*line.parents, *line.depends_on):
                if below not in revisions:
                    what = f"lists {line.id} after {below}, and not {below} itself"
                    raise _wrong_lock_file(root, what)
        try:
            nodes = {
                line.id: Node(line.id, line.parents, dependencies=line.depends_on)
                for line in lines
            }
            return cls(root, revisions, nodes)
        except (CycleDetected, TreeError) as error:
            raise _wrong_lock_file(root, "lists a cycle of revisions") from error

    def resolve(self, *identifiers: str) -> tuple[Revision, ...]:
        """Return the revisions that ids, prefixes, labels or `heads` stand for."""
        refuse_blank(identifiers)
        found: list[Revision] = []
        with resolution_errors(self):
            for identifier in identifiers:
                for item in self.graph.get_revisions(identifier):
                    if isinstance(item, Node):
                        found.append(self.revisions[item.revision])
        return tuple(dict.fromkeys(found))

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.graph.heads)

    def topological(self) -> tuple[Revision, ...]:
        """Return all revisions, parents first."""
        return self._ordered

    @cached_property
    def _ordered(self) -> tuple[Revision, ...]:
        with resolution_errors(self):
            walk = self.graph.iterate_revisions("heads", "base")
            return tuple(self.revisions[rev.revision] for rev in walk)[::-1]

    def ancestors(self, heads: Sequence[str]) -> frozenset[str]:
        """Return the ids of revisions and of all those they follow or depend on."""
        seen: set[str] = set()
        todo = [head for head in heads if head in self.revisions]
        while todo:
            revision_id = todo.pop()
            if revision_id not in seen:
                seen.add(revision_id)
                todo.extend(self.below(revision_id))
        return frozenset(seen)

    def heads_of(self, applied: frozenset[str]) -> tuple[str, ...]:
        """Return the revisions of a set that no other revision in it follows."""
        below: set[str] = set()
        for revision_id in applied & self.revisions.keys():
            below |= self.below(revision_id)
        return tuple(sorted(applied - below))

    def below(self, revision_id: str) -> frozenset[str]:
        """Return the ids that a revision directly follows or depends on."""
        node: Any = self.graph.get_revision(revision_id)
        return frozenset(node._all_down_revisions)


def _wrong_lock_file(root: Path, what: str) -> TreeError:
    return TreeError(
        f"revisions.lock {what}", where=str(root / LOCK_FILE), hint=REWRITE
    )


def refuse_blank(identifiers: Iterable[str]) -> None:
    """Raise UsageError for a name that is empty, or ends with a branch's @."""
    for identifier in identifiers:
        if not identifier.rpartition("@")[2].strip():
            raise UsageError(
                f"{identifier!r} is not a revision",
                hint="Give an id, a prefix of an id, a label, or head. To list them: "
                "flask db-migrate history",
            )


@contextmanager
def resolution_errors(directory: RevisionGraph) -> Iterator[None]:
    """Turn the errors of Alembic's graph into this package's, with hints."""
    try:
        yield
    except MultipleHeads as error:
        heads = ", ".join(error.heads)
        raise UsageError(
            f"There are several heads: {heads}",
            hint="Name one, use `heads`, or join them: flask db-migrate merge heads",
        ) from error
    except CycleDetected as error:
        circle = ", ".join(error.revisions)
        raise TreeError(
            f"The revisions form a cycle: {circle}",
            where=str(directory.root),
            hint="Fix a down_revision or a depends_on in both scripts.",
        ) from error
    except RangeNotAncestorError as error:
        raise UsageError(
            "Neither of these revisions is an ancestor of the other",
            hint="To see it: flask db-migrate history",
        ) from error
    except ResolutionError as error:
        said = str(error).partition(";")[0].rstrip(".")
        raise UsageError(said, hint=_nearest(error.argument, directory)) from error
    except AssertionError as error:  # from Alembic: `rev+9`, `rev-9` beyond the ends
        raise UsageError(
            "That goes beyond the end of the history",
            hint="To see it: flask db-migrate history",
        ) from error
    except (RevisionError, KeyError) as error:
        said = str(error).rstrip(".")
        if said == "Ambiguous walk":
            said = "Several revisions lie in that direction, so a number is ambiguous"
        raise UsageError(
            said, hint="Name a revision. To list them: flask db-migrate history"
        ) from error


def _nearest(argument: str, directory: RevisionGraph) -> str:
    names = {name for name in directory.revisions if name.startswith(argument)}
    if len(names) > 1:
        return "Give more of the id. To list the revisions: flask db-migrate history"
    near = difflib.get_close_matches(argument, directory.revisions, n=1, cutoff=0.4)
    if near:
        return f"Did you mean {near[0]}? See `flask db-migrate history`."
    return "To list the revisions: flask db-migrate history"
