"""The verbs that write scripts, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..verbs import write_scripts
from ..verbs.write_scripts import InitResult, RevisionResult
from .environment import parts


def init(directory: str | None = None) -> InitResult:
    """Create the migrations directory, or complete one, and rewrite revisions.lock."""
    return write_scripts.init(parts(directory))


def revision(
    directory: str | None = None,
    message: str = "",
    autogenerate: bool = False,
    *,
    head: str | Sequence[str] = "head",
    splice: bool = False,
    branch_label: str | None = None,
    depends_on: Sequence[str] = (),
    rev_id: str | None = None,
    pair: str | None = None,
    x_arg: Sequence[str] | str | None = None,
) -> RevisionResult:
    """Write a pair of scripts, or with `pair` the missing partner of one."""
    return write_scripts.revision(
        parts(directory, x_arg),
        message,
        autogenerate=autogenerate,
        pair=pair,
        head=head,
        splice=splice,
        branch_label=branch_label,
        depends_on=depends_on,
        rev_id=rev_id,
    )


def migrate(
    directory: str | None = None, message: str = "", **more: Any
) -> RevisionResult:
    """Write a pair from the changes of the models: revision(autogenerate=True)."""
    return revision(directory, message, True, **more)


def edit(directory: str | None = None, revision: str = "head") -> tuple[str, ...]:
    """Return the paths of both scripts of a revision, to open in an editor."""
    return write_scripts.script_paths(parts(directory), revision)


def merge(
    directory: str | None = None,
    revisions: str | Sequence[str] = ("heads",),
    message: str = "",
    *,
    branch_label: str | None = None,
    rev_id: str | None = None,
) -> RevisionResult:
    """Write a pair that joins several heads."""
    names = [revisions] if isinstance(revisions, str) else list(revisions)
    return write_scripts.merge(
        parts(directory), names, message, branch_label=branch_label, rev_id=rev_id
    )
