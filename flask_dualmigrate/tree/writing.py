"""Writing a pair: both scripts appear, or neither.

A pair is written in three steps: each file is written under a hidden name next to its
final path; then revisions.lock is replaced with the new line in it, by one atomic
rename, which commits the pair; then the files are renamed into place. After a crash, a
hidden file is renamed into place if the lock file lists it, and otherwise deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import TreeError
from ..runtime.crashpoints import around, reached
from .lockfile import LOCK_FILE, LockLine, read_lock_file

_PENDING = ".pending"
_PARTIAL = ".partial"
_LOAD_WAIT_S = 5.0
_HEADER = (
    "# One line a revision: id, parents, file name. Written by flask db-migrate.\n"
    "# In a git conflict keep both sides, then merge the heads.\n"
)


def write_tree(
    root: Path, files: Mapping[Path, str], lines: Sequence[LockLine]
) -> None:
    """Write scripts and revisions.lock: all of them or none.

    files: path under root -> source. lines: the complete new content of revisions.lock.
    Raises TreeError if the directory cannot be written to.
    """
    try:
        with _writing(root):
            _complete(root)
            _refuse_existing(files)
            try:
                for path, source in files.items():
                    write_file(_pending(path), source)
                _write_lock_file(root, [*lines, *_newer_lines(root, lines)])
            finally:
                _complete(root)
    except OSError as error:
        raise TreeError(
            f"The migrations directory cannot be written to: {error.strerror or error}",
            where=str(root),
            hint=_what_stands(files),
        ) from error


def _newer_lines(root: Path, lines: Sequence[LockLine]) -> list[LockLine]:
    """Return the lines of scripts that another process added since ours were read."""
    ids = {line.id for line in lines}
    names = {line.file_name for line in lines}
    folders = list(root.glob("*/versions"))
    return [
        line
        for line in read_lock_file(root) or ()
        if line.id not in ids
        and line.file_name not in names
        and any((folder / line.file_name).exists() for folder in folders)
    ]


def _what_stands(files: Iterable[Path]) -> str:
    if any(path.exists() or _pending(path).exists() for path in files):
        return "The scripts were written: see `flask db-migrate history`."
    return "Nothing was written."


def finish_writing(root: Path) -> None:
    """Finish or discard a write that a crash interrupted.

    Waits for a process that is writing, so that none of its files is seen without the
    others; if that takes too long, its hidden files are left alone.
    """
    if not any((*root.glob(f"*/versions/.*{_PENDING}*"), *_partial(root))):
        return
    try:
        with _writing(root, timeout_s=_LOAD_WAIT_S):
            _complete(root)
    except Timeout:
        return
    except OSError as error:
        raise TreeError(
            f"A pair is half written and cannot be completed: {error.strerror}",
            where=str(root),
            hint="Run any `flask db-migrate` command with write access to the tree.",
        ) from error


def _writing(root: Path, *, timeout_s: float = 60.0) -> FileLock:
    return FileLock(root / ".lock", timeout=timeout_s)


def _complete(root: Path) -> None:
    listed = {line.file_name for line in read_lock_file(root) or ()}
    for path in sorted(root.glob(f"*/versions/.*{_PENDING}")):
        final = path.with_name(path.name[1 : -len(_PENDING)])
        if final.name in listed and not final.exists():
            _place(path, final)
        else:
            _discard(path)
    for path in (*root.glob(f"*/versions/.*{_PENDING}{_PARTIAL}"), *_partial(root)):
        _discard(path)


@around("file.place")
def _place(path: Path, final: Path) -> None:
    path.replace(final)


@around("file.discard")
def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)


def _partial(root: Path) -> list[Path]:
    """Return the partial files of revisions.lock or .gitignore that a crash left."""
    return list(root.glob(f".*{_PARTIAL}"))


def _refuse_existing(files: Iterable[Path]) -> None:
    for path in files:
        if path.exists():
            raise TreeError(
                "A script of that name already exists",
                where=str(path),
                hint="Give the revision another id or another message.",
            )


def _pending(path: Path) -> Path:
    return path.with_name(f".{path.name}{_PENDING}")


def _write_lock_file(root: Path, lines: Sequence[LockLine]) -> None:
    text = _HEADER + "".join(f"{line}\n" for line in lines)
    write_file(root / LOCK_FILE, text)


@around("file.write")
def write_file(path: Path, text: str) -> None:
    """Write a file atomically: under another name, flushed to disk, then renamed."""
    partial = path.with_name(f".{path.name.removeprefix('.')}{_PARTIAL}")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        reached("file.partial")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
