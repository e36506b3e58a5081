"""The migrations directory: load both trees and compare them.

The graph is Alembic's RevisionMap, one for both trees.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import TreeError
from ..revisions import BackendName, Revision
from .graph import RevisionGraph
from .lockfile import REWRITE, LockLine, read_lock_file
from .script_file import PLACES, LoadedScript, ScriptFile, read_script, run_script
from .writing import finish_writing

Files = Mapping[BackendName, Mapping[str, ScriptFile]]
"""Side -> file name -> script, before any of them runs."""


class Hashed(Protocol):
    """Scripts with checksums, to compare them with what was applied."""

    @property
    def root(self) -> Path: ...
    @property
    def revisions(self) -> Mapping[str, Revision]: ...
    def has(self, backend: BackendName, revision_id: str) -> bool: ...
    def checksum(self, backend: BackendName, revision_id: str) -> str: ...


@dataclasses.dataclass(frozen=True)
class Unrun:
    """Scripts before they run, with their ids from revisions.lock."""

    root: Path
    revisions: Mapping[str, Revision]
    files: Files

    def has(self, backend: BackendName, revision_id: str) -> bool:
        return self.revisions[revision_id].file_name in self.files[backend]

    def checksum(self, backend: BackendName, revision_id: str) -> str:
        return self.files[backend][self.revisions[revision_id].file_name].checksum


class ScriptDirectory(RevisionGraph):
    """Both trees under one root, loaded and compared.

    root: the migrations directory. backends: the trees it has. before_running: called
    with all scripts, read and compiled, before any of them runs; it raises to stop.
    world_writable: allow a directory that others can write to.
    Raises TreeError if it does not exist, or a script in it is broken.
    """

    def __init__(
        self,
        root: Path,
        backends: Sequence[BackendName],
        *,
        before_running: Callable[[Files], None] = lambda files: None,
        world_writable: bool = False,
    ) -> None:
        self.backends = tuple(backends)
        if not root.is_dir():
            raise TreeError(
                "There is no migrations directory",
                where=str(root),
                hint="Create it with: flask db-migrate init",
            )
        finish_writing(root)
        if not world_writable:
            _refuse_world_writable(root)
        files: Files = {
            name: _read(
                versions_folder(root, name), name, world_writable=world_writable
            )
            for name in self.backends
        }
        before_running(files)
        self._scripts = {name: _run(files[name].values()) for name in self.backends}
        # One script of each revision, Alembic's if both exist: the graph marks the
        # scripts that it is made from, and Alembic's steps need that.
        merged: dict[str, LoadedScript] = {}
        for name in self.backends:
            merged.update(self._scripts[name])
        _refuse_loose_ends(merged)
        revisions = {key: _describe(script) for key, script in merged.items()}
        super().__init__(root, revisions, merged)

    def versions(self, backend: BackendName) -> Path:
        """Return the folder of one side's scripts."""
        return versions_folder(self.root, backend)

    def script(self, backend: BackendName, revision_id: str) -> LoadedScript:
        """Return one side's script; TreeError if it is missing."""
        try:
            return self._scripts[backend][revision_id]
        except KeyError:
            raise TreeError(
                self._missing_partner(backend, revision_id),
                where=str(self.versions(backend)),
                hint=f"Write it with: flask db-migrate revision --pair {revision_id}",
            ) from None

    def has(self, backend: BackendName, revision_id: str) -> bool:
        return revision_id in self._scripts[backend]

    def checksum(self, backend: BackendName, revision_id: str) -> str:
        """Return a script's SHA-256 as hex, ignoring line endings and a BOM."""
        return self.script(backend, revision_id).file.checksum

    def pair_problems(self) -> tuple[str, ...]:
        """Return the reasons why the two trees are not a pair, one line each."""
        found = []
        for revision_id in self.revisions:
            sides = [name for name in self.backends if self.has(name, revision_id)]
            for name in self.backends:
                if name not in sides:
                    found.append(self._missing_partner(name, revision_id))
            if sides == list(self.backends):
                found.extend(self._differences(revision_id))
        return tuple(found)

    def require_pairs(self) -> None:
        """Raise TreeError for the first revision that is not a pair or not listed."""
        for revision_id in self.revisions:
            for name in self.backends:
                self.script(name, revision_id)
            for problem in self._differences(revision_id):
                raise TreeError(
                    problem,
                    where=" and ".join(
                        self.script(name, revision_id).path for name in self.backends
                    ),
                    hint="Make them agree.",
                )
        self.require_lock_file()

    def require_lock_file(self) -> None:
        """Raise TreeError if revisions.lock does not list exactly these scripts."""
        problems = self.lock_problems()
        if problems:
            raise TreeError(
                problems[0],
                where=str(self.root / "revisions.lock"),
                hint=REWRITE,
            )

    def lock_problems(self) -> tuple[str, ...]:
        """Return how revisions.lock and the scripts differ, one line each."""
        listed = read_lock_file(self.root)
        if listed is None:
            return ("There is no revisions.lock",) if self.revisions else ()
        mine = {line.id: line for line in self.lock_lines()}
        theirs = {line.id: line for line in listed}
        missing = [
            f"revisions.lock does not list {key}" for key in mine.keys() - theirs
        ]
        gone = [
            f"revisions.lock lists {key}, which has no script"
            for key in theirs.keys() - mine
        ]
        other = [
            f"revisions.lock does not match the scripts of {key}"
            for key in mine.keys() & theirs
            if mine[key] != theirs[key]
        ]
        return tuple(sorted(missing + gone + other))

    def lock_lines(self) -> tuple[LockLine, ...]:
        """Return what revisions.lock should say."""
        return tuple(
            LockLine(rev.id, rev.parents, self._dependencies(rev.id), rev.file_name)
            for rev in self.topological()
        )

    def _dependencies(self, revision_id: str) -> tuple[str, ...]:
        """Return what a revision depends on, as ids: revisions.lock has no labels."""
        node: Any = self.graph.get_revision(revision_id)
        return tuple(node._resolved_dependencies)

    def _missing_partner(self, backend: BackendName, revision_id: str) -> str:
        return f"Revision {revision_id} has no {backend.label} script"

    def _differences(self, revision_id: str) -> Iterator[str]:
        """Yield how the two scripts of a revision differ, one line each."""
        if len(self.backends) < 2:
            return
        mongo, postgres = (self._scripts[name][revision_id] for name in self.backends)
        for attribute, word in (
            ("_versioned_down_revisions", "parents"),
            ("dependencies", "dependencies"),
            ("_orig_branch_labels", "branch labels"),
        ):
            one, other = getattr(postgres, attribute), getattr(mongo, attribute)
            if set(_tuple(one)) != set(_tuple(other)):
                yield f"Revision {revision_id} has other {word} in its two scripts"
        if postgres.file.path.name != mongo.file.path.name:
            yield f"Revision {revision_id} has a different file name in its two scripts"


def _read(
    folder: Path, backend: BackendName, *, world_writable: bool
) -> dict[str, ScriptFile]:
    if not folder.is_dir():
        raise TreeError(
            f"The migrations directory has no {backend} scripts",
            where=str(folder),
            hint="Complete it with: flask db-migrate init",
        )
    root = folder.parent.parent.resolve()
    _refuse_way_out(folder, root)
    found: dict[str, ScriptFile] = {}
    for entry in _listed(folder):
        is_script = os.path.normcase(entry.name).endswith(".py")
        if not is_script or entry.name.startswith((".", "__init__")):
            continue
        path = folder / entry.name
        if entry.is_symlink():  # what is no symlink is where its folder is
            _refuse_way_out(path, root)
        if not world_writable:
            _refuse_world_writable(path)
        found[entry.name] = read_script(path)
    if not world_writable:
        _refuse_world_writable(folder)
    return found


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise TreeError(
            f"The migrations directory cannot be read: {error.strerror}",
            where=str(folder),
            hint="Allow this account to read it.",
        ) from error


def _run(files: Iterable[ScriptFile]) -> dict[str, LoadedScript]:
    found: dict[str, LoadedScript] = {}
    for file in files:
        script = run_script(file)
        twin = found.setdefault(script.revision, script)
        if twin is not script:
            raise TreeError(
                f"Two scripts have the revision id {script.revision}",
                where=f"{twin.path} and {file.path}",
                hint="Give one of them another id in both trees.",
            )
    return found


def _refuse_world_writable(path: Path) -> None:
    """Raise TreeError for scripts that any account on the machine could replace."""
    if os.name == "posix" and path.stat().st_mode & stat.S_IWOTH:
        raise TreeError(
            "Anyone on this machine can change what migrations run",
            where=str(path),
            hint=f"Remove that permission: chmod o-w {shlex.quote(str(path))}; if the "
            "file system cannot, set DUALMIGRATE_ALLOW_WORLD_WRITABLE = True.",
        )


def _refuse_way_out(path: Path, root: Path) -> None:
    """Raise TreeError for a symlink that leads to files outside the directory.

    root: the migrations directory, resolved: it may be a symlink itself.
    """
    if not path.resolve().is_relative_to(root):
        raise TreeError(
            "A symlink leads out of the migrations directory",
            where=f"{path}, to {path.resolve()}",
            hint="Replace it with what it points to.",
        )


def _refuse_loose_ends(scripts: Mapping[str, LoadedScript]) -> None:
    """Raise TreeError for an invalid parent, dependency or label."""
    names = {*scripts, *_labels(scripts)}
    for script in scripts.values():
        parents = script._versioned_down_revisions
        _refuse_dangling(script, "follows", parents, scripts)
        _refuse_dangling(script, "depends on", _tuple(script.dependencies), names)


def _labels(scripts: Mapping[str, LoadedScript]) -> dict[str, LoadedScript]:
    """Return branch label -> its script; raise TreeError for a label already in use."""
    labels: dict[str, LoadedScript] = {}
    for script in scripts.values():
        for label in script._orig_branch_labels:
            taken = label in scripts or label in PLACES
            if taken or labels.setdefault(label, script) is not script:
                raise TreeError(
                    f"The branch label {label} is taken",
                    where=script.path,
                    hint="A label must differ from all ids and all other labels. "
                    "Change it in both scripts.",
                )
    return labels


def _refuse_dangling(
    script: LoadedScript, verb: str, links: Sequence[str], known: Collection[str]
) -> None:
    """Raise TreeError for a link to a revision that does not exist."""
    for link in links:
        if link not in known:
            raise TreeError(
                f"Revision {script.revision} {verb} {link}, which does not exist",
                where=script.path,
                hint="Restore its scripts, or fix down_revision and depends_on.",
            )


def versions_folder(root: Path, backend: BackendName) -> Path:
    """Return the folder of one side's scripts under a migrations directory."""
    return root / backend / "versions"


def _describe(script: LoadedScript) -> Revision:
    return Revision(
        id=script.revision,
        parents=tuple(script._versioned_down_revisions),
        depends_on=_tuple(script.dependencies),
        branch_labels=_tuple(script._orig_branch_labels),
        message=script.doc,
        file_name=script.file.path.name,
    )


def _tuple(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
