"""Migrations directories on disk, for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flask_dualmigrate.backend import State
from flask_dualmigrate.revisions import BackendName
from flask_dualmigrate.tree.directory import ScriptDirectory, versions_folder
from flask_dualmigrate.tree.writing import write_tree

MONGO, POSTGRES = BackendName.MONGO, BackendName.POSTGRES
BOTH = (MONGO, POSTGRES)


class Tree:
    """A migrations directory; revisions are added by id, parents and file by file."""

    def __init__(self, root: Path, sides: Sequence[BackendName] = BOTH) -> None:
        self.root = root
        self.sides = tuple(sides)
        for side in self.sides:
            versions_folder(root, side).mkdir(parents=True)

    def add(
        self,
        revision: str,
        *parents: str,
        depends_on: Sequence[str] = (),
        labels: Sequence[str] = (),
        message: str | None = None,
        sides: Sequence[BackendName] | None = None,
        body: str = "",
    ) -> Tree:
        """Write the scripts of a revision; body goes below upgrade and downgrade."""
        source = (
            f'"""{message or f"make {revision}"}\n\nmore text\n"""\n'
            f"revision = {revision!r}\n"
            f"down_revision = {parents or None!r}\n"
            f"branch_labels = {tuple(labels) or None!r}\n"
            f"depends_on = {tuple(depends_on) or None!r}\n"
            "def upgrade(*args): pass\n"
            "def downgrade(*args): pass\n"
            f"{body}\n"
        )
        for side in self.sides if sides is None else sides:
            self.write(side, f"{revision}.py", source)
        return self

    def write(self, side: BackendName, name: str, source: str | bytes) -> Path:
        """Write one file as it is given."""
        path = versions_folder(self.root, side) / name
        data = source.encode() if isinstance(source, str) else source
        path.write_bytes(data)
        return path

    def load(self) -> ScriptDirectory:
        return ScriptDirectory(self.root, self.sides)

    def lock(self) -> Tree:
        """Make revisions.lock list just the scripts that are there."""
        write_tree(self.root, {}, self.load().lock_lines())
        return self


def line_of(root: Path, *ids: str) -> Tree:
    """Return a tree of revisions that follow one another, listed in revisions.lock."""
    tree = Tree(root)
    for revision, parent in zip(ids, ("", *ids), strict=False):
        tree.add(revision, *([parent] if parent else []))
    return tree.lock()


def applied(*ids: str) -> State:
    """Return the state of a side that has these revisions, by Alembic's stamp alone."""
    return State(frozenset(ids), {})
