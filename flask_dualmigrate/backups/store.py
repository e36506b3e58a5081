"""The folder of an app's backups: secured, listed, checked and pruned."""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ..errors import BackupError, IntegrityError, UsageError
from ..revisions import Direction
from .folder import BackupFolder, disk_errors
from .manifest import Manifest

_NAME = re.compile(r"\d{8}T\d{6}Z_[A-Za-z0-9_.-]+")


Look = Callable[[BackupFolder, Manifest], Iterator[str]]
"""Yields the problems of a backup, one line each."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """What `verify` found in one folder; good if there are no problems.

    unfinished: it has no manifest: a killed run left it, or a run is still writing it.
    """

    name: str
    problems: tuple[str, ...]
    unfinished: bool = False

    @property
    def ok(self) -> bool:
        return not self.problems


class BackupStore:
    """The backups in one folder, which need not exist. root: absolute.

    look: reads an unchanged backup the way a restore would.
    """

    def __init__(
        self, root: Path, look: Look = lambda folder, manifest: iter(())
    ) -> None:
        self.root = root
        self._look = look

    def prepare(self) -> None:
        """Create the folder with mode 0700 if missing, and check that it is safe.

        Raises BackupError if it cannot be created or written, is a link, or if anyone
        else on this machine could replace it.
        """
        with disk_errors(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_unsafe()
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(13, "it is not writable")

    def _refuse_unsafe(self) -> None:
        found = os.lstat(self.root)
        if not stat.S_ISDIR(found.st_mode):
            raise _unsafe(self.root, "it is a link, or not a folder")
        if found.st_mode & stat.S_IWOTH:
            raise _unsafe(self.root, "everyone may write to it")
        trusted, path = {0, os.geteuid()}, self.root
        for parent in self.root.parents:
            above, below = os.stat(parent), os.lstat(path)
            # In a sticky folder, such as /tmp, only the owner of a file can move it.
            ours = above.st_mode & stat.S_ISVTX and below.st_uid in trusted
            if above.st_mode & stat.S_IWOTH and not ours:
                raise _unsafe(self.root, f"everyone may write to {parent}")
            path = parent

    @contextmanager
    def new(
        self, direction: Direction, plan: Sequence[str], now: datetime
    ) -> Iterator[BackupFolder]:
        """Create the folder of a new backup; if the backup fails, remove it again.

        plan: ids of the revisions to run next; none: the user asked for the backup.
        """
        self.prepare()
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        first = re.sub(r"[^A-Za-z0-9_.-]", "-", plan[0])[:40] if plan else ""
        before = f"{direction}_{first}" if plan else "manual"
        name = f"{stamp}_{before}_{secrets.token_hex(2)}"
        with BackupFolder.make(self.root, name) as folder:
            try:
                yield folder
            except BaseException:
                with suppress(BackupError):  # `prune` removes what is left of it
                    folder.remove()
                raise

    def names(self) -> list[str]:
        """Return the names of the folders, oldest first according to their names."""
        try:
            found = os.scandir(self.root)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(self.root, error) from error
        with found:
            return sorted(
                entry.name
                for entry in found
                if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )

    def list(self) -> tuple[Manifest, ...]:
        """Return the backups, oldest first; broken or unfinished ones are left out."""
        found = []
        for name in self.names():
            try:
                with BackupFolder.open(self.root / name) as folder:
                    manifest = folder.manifest()
            except IntegrityError:
                continue  # `verify` says why
            if manifest is not None:
                found.append(manifest)
        return tuple(sorted(found, key=lambda each: (each.created_at, each.name)))

    @contextmanager
    def find(self, name: str) -> Iterator[tuple[BackupFolder, Manifest]]:
        """Open a backup by its name, a prefix of it, or "latest".

        Raises UsageError if there is none, or several; IntegrityError if it is broken;
        BackupError if someone else could have put it there.
        """
        if self.root.exists():
            self._refuse_unsafe()
        with BackupFolder.open(self.root / self._resolve(name)) as folder:
            manifest = folder.manifest()
            if manifest is None:
                raise UsageError(
                    f"{folder.path.name} is not a backup: it was never finished",
                    hint="See: flask db-migrate backup list",
                )
            yield folder, manifest

    def _resolve(self, name: str) -> str:
        names = self.names()
        if name == "latest" and (newest := self._newest(names)):
            return newest
        matches = [name] if name in names else [n for n in names if n.startswith(name)]
        if len(matches) == 1 and name:
            return matches[0]
        which = "several backups begin" if matches and name else "no backup begins"
        raise UsageError(
            f"{which[0].upper()}{which[1:]} with {name!r}",
            where=str(self.root),
            hint="See: flask db-migrate backup list",
        )

    def _newest(self, names: Sequence[str]) -> str | None:
        """Return the newest backup, even a broken one: "latest" is never older."""
        known = self.list()
        for name in reversed(names):
            if known and name <= known[-1].name:
                break
            with BackupFolder.open(self.root / name) as folder:
                folder.manifest()  # raises if it is broken; None: it is unfinished
        return known[-1].name if known else None

    def verify(self, name: str | None = None) -> tuple[Checked, ...]:
        """Compare the files of one backup, or of all, with their manifests."""
        names = self.names() if name is None else [self._resolve(name)]
        return tuple(self._check(each) for each in names)

    def _check(self, name: str) -> Checked:
        try:
            with BackupFolder.open(self.root / name) as folder:
                manifest = folder.manifest()
                if manifest is not None:
                    found = tuple(folder.problems(manifest))
                    return Checked(name, found or tuple(self._look(folder, manifest)))
                if folder.is_being_written:
                    return Checked(name, (), unfinished=True)
        except IntegrityError as error:
            return Checked(name, (error.what,))
        left = "a killed run left it unfinished: it is not a backup"
        return Checked(name, (left,), unfinished=True)

    def prunable(self, keep: int) -> tuple[tuple[Manifest, ...], tuple[str, ...]]:
        """Return what `prune` would remove: all backups except the `keep` newest.

        And the folders that killed runs left behind.
        """
        known = self.list()
        return known[: max(0, len(known) - keep)], tuple(self._left_over())

    def _left_over(self) -> Iterator[str]:
        for name in self.names():
            try:
                with BackupFolder.open(self.root / name) as folder:
                    if folder.manifest() is None and not folder.is_being_written:
                        yield name
            except IntegrityError:
                continue  # a broken one may be repaired by hand, so keep it

    def remove(self, name: str) -> None:
        with BackupFolder.open(self.root / name) as folder:
            folder.remove()


def _unsafe(root: Path, why: str) -> BackupError:
    return BackupError(
        f"Backups would not be safe in this folder: {why}",
        where=str(root),
        hint="Set DUALMIGRATE_BACKUP_DIR to a folder that only its owner can write to.",
    )


def _unreadable(root: Path, error: OSError) -> BackupError:
    return BackupError(
        f"The backups cannot be read: {error.strerror or error}", where=str(root)
    )
