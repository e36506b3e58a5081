"""Write revisions: choose parents, id and names, and have both sides generated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from alembic.util import rev_id as new_id

from ..errors import UsageError
from ..revisions import BackendName
from .directory import ScriptDirectory, versions_folder
from .graph import refuse_blank, resolution_errors
from .lockfile import LockLine
from .pair import Header
from .script_file import ID_PATTERN, PLACES
from .writing import write_tree

_SLUG_LENGTH = 40


def make_header(
    directory: ScriptDirectory,
    *,
    message: str,
    head: str | Sequence[str] = "head",
    splice: bool = False,
    branch_label: str | None = None,
    depends_on: Sequence[str] = (),
    rev_id: str | None = None,
) -> Header:
    """Return the header of a new pair, with its parents resolved.

    Raises UsageError for an empty message, an id that is invalid or taken, a parent
    that is not a head (without splice), and several heads.
    """
    if not (message or "").strip():
        raise UsageError("A revision needs a message", hint='Give one with: -m "…"')
    revision_id = check_id(directory, new_id() if rev_id is None else rev_id)
    return Header(
        revision=revision_id,
        down_revision=_parents(directory, head, splice=splice),
        branch_labels=_check_label(directory, branch_label, new=revision_id),
        depends_on=_dependencies(directory, depends_on),
        message=message,
        created_at=datetime.now(UTC),
    )


def header_of(directory: ScriptDirectory, revision_id: str) -> Header:
    """Return the header for the missing partner of a script."""
    revision = directory.revisions[revision_id]
    return Header(
        revision=revision.id,
        down_revision=revision.parents,
        branch_labels=revision.branch_labels,
        depends_on=revision.depends_on,
        message=revision.message,
        created_at=datetime.now(UTC),
    )


def write_pair(
    directory: ScriptDirectory, header: Header, sources: Mapping[BackendName, str]
) -> tuple[str, ...]:
    """Write the scripts and revisions.lock; return the paths.

    A script gets the file name of its partner, if there is one. Each source is compiled
    first; a source that does not compile is not written.
    """
    partner = directory.revisions.get(header.revision)
    name = file_name(header) if partner is None else partner.file_name
    files = {
        versions_folder(directory.root, backend) / name: source
        for backend, source in sources.items()
    }
    for path, source in files.items():
        compile(source, str(path), "exec")
    depends_on = tuple(rev.id for rev in directory.resolve(*header.depends_on))
    line = LockLine(header.revision, header.down_revision, depends_on, name)
    others = [item for item in directory.lock_lines() if item.id != line.id]
    write_tree(directory.root, files, [*others, line])
    return tuple(str(path) for path in files)


def file_name(header: Header) -> str:
    """Return the name of both scripts: date, id and slug."""
    slug = slug_of(header.message)
    parts = [f"{header.created_at:%Y%m%d_%H%M}", header.revision, slug]
    return "_".join(part for part in parts if part) + ".py"


def slug_of(message: str) -> str:
    """Return a message as part of a file name: at most 40 of a-z, 0-9 and _."""
    plain = unicodedata.normalize("NFKD", message).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.lower())
    slug = "_".join(words)
    if len(slug) > _SLUG_LENGTH:
        slug = slug[: _SLUG_LENGTH + 1].rpartition("_")[0] or slug[:_SLUG_LENGTH]
    return slug


def check_id(directory: ScriptDirectory, revision_id: str) -> str:
    if not ID_PATTERN.fullmatch(revision_id):
        raise UsageError(
            f"{revision_id!r} is not a valid revision id",
            hint="Use 1 to 32 of the characters a-z, 0-9 and _.",
        )
    if revision_id in _taken(directory):
        raise UsageError(
            f"The revision id {revision_id} is taken",
            hint="Choose another one, or omit --rev-id.",
        )
    return revision_id


def _check_label(
    directory: ScriptDirectory, branch_label: str | None, *, new: str
) -> tuple[str, ...]:
    """Check a label; `name-2` is not one: as a target it means two below `name`."""
    if branch_label is None:
        return ()
    if not re.fullmatch(r"[A-Za-z0-9_.](-?[A-Za-z_.]|\d)*", branch_label):
        raise UsageError(
            f"{branch_label!r} is not a valid branch label",
            hint="A label consists of letters, digits, `_`, `.`, and `-` "
            "before a letter.",
        )
    if branch_label in {new, *_taken(directory)}:
        raise UsageError(
            f"The branch label {branch_label} is taken",
            hint="Choose another one; see `flask db-migrate history`.",
        )
    return (branch_label,)


def _taken(directory: ScriptDirectory) -> set[str]:
    """Return the names already used for a revision, or for a position."""
    revisions = directory.revisions.values()
    labels = {label for revision in revisions for label in revision.branch_labels}
    return {*PLACES, *directory.revisions, *labels}


def _parents(
    directory: ScriptDirectory, head: str | Sequence[str], *, splice: bool
) -> tuple[str, ...]:
    identifiers = [head] if isinstance(head, str) else list(head)
    refuse_blank(identifiers)
    parents: list[Any] = []
    with resolution_errors(directory):
        for identifier in identifiers:
            parents.extend(directory.graph.get_revisions(identifier))
    found = [parent for parent in parents if parent is not None and parent != "base"]
    for parent in found:
        if not splice and not parent.is_head:
            raise UsageError(
                f"Revision {parent.revision} is not a head: another revision follows "
                "it",
                hint="To create a branch from it on purpose, use --splice.",
            )
    return tuple(dict.fromkeys(str(parent.revision) for parent in found))


def _dependencies(
    directory: ScriptDirectory, depends_on: Sequence[str]
) -> tuple[str, ...]:
    """Return dependencies as full ids; a branch label stays a label, as in Alembic."""
    found = []
    for identifier in depends_on:
        revisions = directory.resolve(identifier)
        if not revisions:
            raise UsageError(
                f"--depends-on {identifier} is not a revision",
                hint="To list the revisions: flask db-migrate history",
            )
        for revision in revisions:
            label = identifier in revision.branch_labels
            found.append(identifier if label else revision.id)
    return tuple(found)


def merge_parents(
    directory: ScriptDirectory, revisions: Sequence[str]
) -> tuple[str, ...]:
    """Return the ids of the heads that a merge joins.

    Raises UsageError if there are fewer than two, or one of them is not a head.
    """
    ids = tuple(revision.id for revision in directory.resolve(*revisions))
    for revision_id in ids:
        if revision_id not in directory.heads:
            raise UsageError(
                f"Revision {revision_id} is not a head: another revision follows it",
                hint="List the heads with: flask db-migrate heads",
            )
    if len(ids) < 2:
        raise UsageError(
            "A merge needs at least two heads",
            hint="List them with: flask db-migrate heads",
        )
    return ids
