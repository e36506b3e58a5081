"""revisions.lock: one line for each revision: id, parents, file name.

It makes two branches conflict in git, and shows the heads without running a script.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import TreeError
from .regular_file import read_regular_file

LOCK_FILE = "revisions.lock"
REWRITE = "Check the scripts, then rewrite it with: flask db-migrate init"
"""What to do if revisions.lock does not match the scripts."""


@dataclasses.dataclass(frozen=True)
class LockLine:
    """One revision as revisions.lock lists it."""

    id: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    file_name: str

    def __post_init__(self) -> None:
        # Their order has no meaning, and a script may give them as a set.
        object.__setattr__(self, "depends_on", tuple(sorted(self.depends_on)))

    def __str__(self) -> str:
        parents = ",".join(self.parents) or "-"
        depends = f"+{','.join(self.depends_on)}" if self.depends_on else ""
        return f"{self.id} {parents}{depends} {self.file_name}"

    @classmethod
    def parse(cls, line: str) -> LockLine:
        revision_id, links, file_name = line.rstrip().split(maxsplit=2)
        if not file_name.endswith(".py"):
            raise ValueError(line)
        parents, _, depends = links.partition("+")
        return cls(
            revision_id,
            () if parents == "-" else tuple(parents.split(",")),
            tuple(depends.split(",")) if depends else (),
            file_name,
        )


def read_lock_file(root: Path) -> tuple[LockLine, ...] | None:
    """Return the lines of revisions.lock; None if there is no such file.

    Raises TreeError naming an invalid line, for example after a merge conflict.
    """
    path = root / LOCK_FILE
    try:
        text = read_regular_file(path).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise TreeError(
            f"revisions.lock cannot be read: {said}",
            where=str(path),
            hint="Restore it, or delete it and rewrite it with: flask db-migrate init",
        ) from error
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            lines.append(_parse(line, f"{path}:{number}"))
    return tuple(lines)


def _parse(line: str, where: str) -> LockLine:
    if not line.startswith(("<<<", "===", ">>>", "|||")):
        try:
            return LockLine.parse(line)
        except ValueError:
            pass
    raise TreeError(
        "A line of revisions.lock is invalid",
        where=where,
        hint="After a git conflict, keep the scripts of both branches, delete this "
        "file, and rewrite it with: flask db-migrate init",
    )


def are_ordered(lines: Sequence[LockLine]) -> bool:
    """Return whether each line comes once, and after all that it follows.

    So it is in what is written; a graph made of other lines may have a fault.
    """
    seen: set[str] = set()
    for line in lines:
        if line.id in seen or not seen.issuperset(line.parents + line.depends_on):
            return False
        seen.add(line.id)
    return True


def implied_by(lines: Sequence[LockLine], heads: Collection[str]) -> set[str]:
    """Return revisions and all those that they follow or depend on.

    lines: ordered.
    """
    found = set(heads)
    for line in reversed(lines):
        if line.id in found:
            found.update(line.parents, line.depends_on)
    return found
