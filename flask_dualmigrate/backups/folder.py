"""The files of one backup, accessible only to their owner; links are never followed.

Every file is opened relative to the folder's own descriptor, so that someone who can
write next to the folder cannot redirect us elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, BufferedReader
from pathlib import Path, PurePosixPath
from typing import Self

from ..errors import BackupError, IntegrityError
from ..runtime.crashpoints import around, reached
from .layout import MANIFEST
from .manifest import BackupFile, Manifest, require_inside

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PARTIAL = ".manifest.partial"
_LONGEST_MANIFEST = 64 * 1024**2


class BackupFolder:
    """One folder, kept open; a lock shows others that it is being written.

    files: what `new_file` wrote, in order.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.files: list[BackupFile] = []
        self._descriptor = descriptor

    @classmethod
    @around("backup.folder")
    def make(cls, root: Path, name: str) -> Self:
        """Create the folder of a new backup, mode 0700, in a prepared root."""
        path = root / name
        with disk_errors(path):
            os.mkdir(path, 0o700)
            folder = cls(path, os.open(path, _FOLDER))
            # An exclusive lock: `prune` skips a folder that is being written.
            fcntl.flock(folder._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder of a backup. Raises IntegrityError if it is a link."""
        try:
            return cls(path, os.open(path, _FOLDER))
        except OSError as error:
            raise unreadable(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    @property
    def is_being_written(self) -> bool:
        """Whether a live process holds the lock that `make` took."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

    @contextmanager
    def new_file(self, relative: str) -> Iterator[BufferedRandom]:
        """Create a file, mode 0600; its content is flushed to disk at the end.

        A program may write to its descriptor. The file is hashed as it is on disk, and
        added to `files`. Raises BackupError if it exists or cannot be written.
        """
        where = self.path / relative
        with disk_errors(where), self._parent(relative, make=True) as parent:
            name = PurePosixPath(relative).name
            file = os.fdopen(os.open(name, _NEW, 0o600, dir_fd=parent), "w+b")
        reached("backup.file.begun")
        # Closing it may fail too: it writes what is still in memory.
        with disk_errors(where), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = os.fstat(file.fileno()).st_size
        self.files.append(BackupFile(relative, size_bytes, digest))
        reached("backup.file.done")

    def discard(self, prefix: str) -> None:
        """Remove the files below a folder, to write them again."""
        gone = [file for file in self.files if file.path.startswith(prefix)]
        with disk_errors(self.path), self._parent(f"{prefix}x") as parent:
            _empty(parent)
        self.files = [file for file in self.files if file not in gone]

    @around("backup.manifest")
    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, which makes the folder a backup."""
        with disk_errors(self.path):
            for folder in self._folders():
                os.fsync(folder)
            descriptor = os.open(_PARTIAL, _NEW, 0o600, dir_fd=self._descriptor)
            with os.fdopen(descriptor, "wb") as file:
                file.write(manifest.as_json().encode())
                file.flush()
                os.fsync(file.fileno())
            reached("backup.manifest.partial")
            here = self._descriptor
            os.rename(_PARTIAL, MANIFEST, src_dir_fd=here, dst_dir_fd=here)
            os.fsync(here)
            sync_folder(self.path.parent)

    @contextmanager
    def read(self, relative: str) -> Iterator[BufferedReader]:
        """Open a file for reading; it is seekable, and can be passed to a program.

        Raises IntegrityError if it is missing, a link, or not a regular file.
        """
        try:
            with self._parent(relative) as parent:
                name = PurePosixPath(relative).name
                descriptor = os.open(name, _READ, dir_fd=parent)
        except OSError as error:
            raise unreadable(self.path / relative, error) from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise unreadable(self.path / relative, None)
            yield file

    def manifest(self) -> Manifest | None:
        """Read the manifest; None if there is none: it is not a backup, or not yet.

        Raises IntegrityError if it is broken.
        """
        try:
            os.stat(MANIFEST, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        with self.read(MANIFEST) as file:
            text = file.read(_LONGEST_MANIFEST).decode("utf-8", "replace")
        return Manifest.parse(text, name=self.path.name)

    def problems(self, manifest: Manifest) -> Iterator[str]:
        """Compare the files with the manifest; yield what differs, one line each."""
        wanted = {file.path: file for file in manifest.files}
        there = dict(self._walk(self._descriptor, ""))
        for path in sorted(there.keys() - wanted.keys() - {MANIFEST}):
            yield f"{path}: the manifest does not list it"
        for path, file in wanted.items():
            if path not in there:
                yield f"{path}: missing"
            elif not stat.S_ISREG(there[path].st_mode):
                yield f"{path}: it is not a regular file"
            elif (size_bytes := there[path].st_size) != file.size_bytes:
                yield f"{path}: {size_bytes:,} bytes, not {file.size_bytes:,}"
            elif self._sha256(path) != file.sha256:
                yield f"{path}: its checksum differs"

    def require_whole(self, manifest: Manifest) -> None:
        """Raise IntegrityError if a file is missing, unknown or changed."""
        found = list(self.problems(manifest))
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise IntegrityError(
                f"Backup {manifest.name} is damaged: {found[0]}{more}",
                hint="For the full list: flask db-migrate backup verify; then use "
                "another backup.",
                findings=found,
            )

    @around("backup.remove")
    def remove(self) -> None:
        """Remove the backup, manifest first, so that the rest is not a backup."""
        with disk_errors(self.path):
            with suppress(FileNotFoundError):
                os.unlink(MANIFEST, dir_fd=self._descriptor)
            os.fsync(self._descriptor)
            reached("backup.manifest.gone")
            _empty(self._descriptor)
            os.rmdir(self.path)

    def _sha256(self, relative: str) -> str:
        with self.read(relative) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def _parent(self, relative: str, *, make: bool = False) -> Iterator[int]:
        """Open the folder of a file step by step; no part of its path may be a link."""
        require_inside(relative)
        folder = os.dup(self._descriptor)
        try:
            for part in PurePosixPath(relative).parts[:-1]:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=folder)
                below = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)

    def _folders(self) -> Iterator[int]:
        """Yield a descriptor of each folder that holds files."""
        for parent in sorted({str(PurePosixPath(f.path).parent) for f in self.files}):
            with self._parent(f"{parent}/x") as folder:
                yield folder

    def _walk(self, folder: int, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield everything below a folder, except folders themselves."""
        for name in sorted(os.listdir(folder)):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                yield f"{prefix}{name}", found
                continue
            below = os.open(name, _FOLDER, dir_fd=folder)
            try:
                yield from self._walk(below, f"{prefix}{name}/")
            finally:
                os.close(below)


def _empty(folder: int) -> None:
    """Empty a folder; a link is removed, not what it points to."""
    for name in os.listdir(folder):
        if not stat.S_ISDIR(
            os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        ):
            os.unlink(name, dir_fd=folder)
            continue
        below = os.open(name, _FOLDER, dir_fd=folder)
        try:
            _empty(below)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=folder)


def sync_folder(path: Path) -> None:
    """Flush the directory entries of a folder to disk."""
    descriptor = os.open(path, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn disk errors into BackupError."""
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"The backup cannot be written: {error.strerror or error}",
            where=str(where),
            hint="Free some space there, or set DUALMIGRATE_BACKUP_DIR to another "
            "folder.",
        ) from error


def unreadable(where: Path, error: OSError | None) -> IntegrityError:
    why = (
        "it is not a regular file" if error is None else (error.strerror or str(error))
    )
    return IntegrityError(
        f"The backup cannot be read: {why}",
        where=str(where),
        hint="Links are not followed. See: flask db-migrate backup verify",
    )
