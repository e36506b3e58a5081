"""revisions.lock, and pairs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from flask_dualmigrate.errors import TreeError
from flask_dualmigrate.tree import writing
from flask_dualmigrate.tree.lockfile import LockLine, read_lock_file
from flask_dualmigrate.tree.writing import finish_writing, write_tree

A = LockLine("a1", (), (), "a1_first.py")
B = LockLine("b2", ("a1",), (), "b2_second.py")
SOURCES = {"mongo": "revision = 'b2'  # mongo\n", "postgres": "revision = 'b2'\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree that has revision a1."""
    for side in SOURCES:
        (tmp_path / side / "versions").mkdir(parents=True)
    write_tree(tmp_path, _files(tmp_path, A), [A])
    return tmp_path


def _files(root: Path, line: LockLine) -> dict[Path, str]:
    return {
        root / side / "versions" / line.file_name: source
        for side, source in SOURCES.items()
    }


def _names(root: Path) -> set[str]:
    """Return all files of a tree, but for the lock that filelock keeps."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in files} - {".lock"}


FIRST = {
    "revisions.lock",
    "mongo/versions/a1_first.py",
    "postgres/versions/a1_first.py",
}
SECOND = {"mongo/versions/b2_second.py", "postgres/versions/b2_second.py"}


@pytest.mark.parametrize(
    "line",
    [
        A,
        B,
        LockLine("c3", ("a1", "b2"), (), "c3_merge.py"),
        LockLine("d4", (), ("a1", "shop"), "d4 with a space.py"),
        LockLine("e5", ("a1",), ("b2",), "e5_größe.py"),
    ],
    ids=lambda line: line.id,
)
def test_a_line_is_read_as_it_was_written(line: LockLine, root: Path) -> None:
    write_tree(root, {}, [line])

    assert LockLine.parse(str(line)) == line
    assert line in (read_lock_file(root) or ())


def test_the_order_of_dependencies_says_nothing() -> None:
    assert LockLine("a", (), ("x", "y"), "a.py") == LockLine(
        "a", (), ("y", "x"), "a.py"
    )


def test_no_lock_file_is_none_and_an_empty_one_has_no_lines(tmp_path: Path) -> None:
    assert read_lock_file(tmp_path) is None
    write_tree(tmp_path, {}, [])
    assert read_lock_file(tmp_path) == ()


def test_line_ends_and_a_bom_of_an_editor_do_not_count(root: Path) -> None:
    path = root / "revisions.lock"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))

    assert read_lock_file(root) == (A,)


@pytest.mark.parametrize(
    "line",
    ["<<<<<<< HEAD", "=======", ">>>>>>> branch", "||||||| base", "a1", "a - prose"],
)
def test_a_line_that_is_none_is_named_with_its_number(line: str, root: Path) -> None:
    path = root / "revisions.lock"
    path.write_text(f"{path.read_text()}{line}\n")

    with pytest.raises(TreeError, match=r"revisions\.lock:4\).*conflict.*init"):
        read_lock_file(root)


def test_a_lock_file_that_is_not_utf8_is_a_broken_tree(root: Path) -> None:
    (root / "revisions.lock").write_bytes(b"\xff\xfe")

    with pytest.raises(TreeError, match="cannot be read"):
        read_lock_file(root)


def test_a_pair_is_written_with_its_line(root: Path) -> None:
    write_tree(root, _files(root, B), [A, B])

    assert _names(root) == FIRST | SECOND
    assert read_lock_file(root) == (A, B)
    assert (root / "mongo/versions/b2_second.py").read_text() == SOURCES["mongo"]


def test_a_script_that_is_there_is_not_overwritten(root: Path) -> None:
    files = _files(root, A)

    with pytest.raises(TreeError, match="A script of that name"):
        write_tree(root, dict.fromkeys(files, "other"), [A])
    assert all(path.read_text() == source for path, source in files.items())


def test_a_line_that_another_process_wrote_meanwhile_stays(root: Path) -> None:
    other = LockLine("c3", ("a1",), (), "c3_other.py")
    write_tree(root, _files(root, other), [A, other])

    write_tree(root, _files(root, B), [A, B])

    assert set(read_lock_file(root) or ()) == {A, B, other}


def test_a_line_whose_scripts_are_gone_is_dropped(root: Path) -> None:
    write_tree(root, {}, [A, B])

    write_tree(root, {}, [A])

    assert read_lock_file(root) == (A,)


class Injected(BaseException):
    """Stands for a kill: no handler of the package may take it for an error."""


def _inject(
    monkeypatch: pytest.MonkeyPatch,
    *,
    at: int,
    error: BaseException | None,
    after: bool = False,
    before: Callable[[], object] = lambda: None,
) -> list[str]:
    """Raise at the at-th fsync or rename from now, before or after it is done.

    before: called just before that one, in any case.
    """
    calls: list[str] = []

    def wrap(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def wrapped(*args: Any) -> Any:
            calls.append(name)
            here = len(calls) - 1 == at
            if here:
                before()
            if here and error and not after:
                raise error
            result = real(*args)
            if here and error:
                raise error
            return result

        monkeypatch.setattr(owner, name, wrapped)

    wrap(os, "fsync")
    wrap(Path, "replace")
    return calls


CALLS = 8  # fsync and rename of two hidden files and revisions.lock, then two renames


def test_a_pair_is_written_in_eight_calls(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _inject(monkeypatch, at=-1, error=Injected())

    write_tree(root, _files(root, B), [A, B])

    assert calls == ["fsync", "replace"] * 3 + ["replace"] * 2
    assert len(calls) == CALLS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(CALLS))
@pytest.mark.parametrize(
    "error",
    [Injected(), SystemExit(1), KeyboardInterrupt(), RuntimeError("injected")],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_anywhere_leaves_both_files_or_neither(
    error: BaseException,
    at: int,
    after: bool,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        _inject(patch, at=at, error=error, after=after)
        with pytest.raises(type(error)):
            write_tree(root, _files(root, B), [A, B])

    finish_writing(root)

    _assert_whole(root)


@pytest.mark.parametrize("at", range(CALLS))
def test_a_kill_anywhere_leaves_both_files_or_neither(
    at: int, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No handler runs after kill -9: what counts is what lies on the disk then."""
    killed = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        _inject(
            patch,
            at=at,
            error=None,
            before=lambda: shutil.copytree(root, killed, dirs_exist_ok=True),
        )
        write_tree(root, _files(root, B), [A, B])

    finish_writing(killed)

    _assert_whole(killed)


def _assert_whole(root: Path) -> None:
    """Both scripts and their line, or none of them; nothing hidden is left."""
    listed = B in (read_lock_file(root) or ())
    names = {name for name in _names(root) if name != ".revisions.lock.partial"}
    assert names == (FIRST | SECOND if listed else FIRST)


@pytest.mark.parametrize("at", range(CALLS))
def test_a_full_disk_is_said_and_nothing_is_half_written(
    at: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        _inject(patch, at=at, error=full)
        with pytest.raises(TreeError, match="No space left on device") as caught:
            write_tree(root, _files(root, B), [A, B])

    written = B in (read_lock_file(root) or ())
    assert ("Nothing was written" in str(caught.value)) is not written
    finish_writing(root)
    _assert_whole(root)


def test_a_full_disk_is_survived_and_the_pair_written_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _inject(patch, at=2, error=OSError(errno.ENOSPC, "full"))
        with pytest.raises(TreeError):
            write_tree(root, _files(root, B), [A, B])

    write_tree(root, _files(root, B), [A, B])

    assert _names(root) == FIRST | SECOND


def test_a_reader_waits_for_a_writer_and_leaves_its_hidden_files(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = root / "mongo/versions/.b2_second.py.pending"
    hidden.write_text("half of a pair")
    monkeypatch.setattr(writing, "_LOAD_WAIT_S", 0.0)

    with FileLock(root / ".lock"):
        finish_writing(root)

    assert hidden.exists()


def test_what_a_dead_writer_hid_is_thrown_away_if_it_is_not_listed(root: Path) -> None:
    for name in (".b2_second.py.pending", ".b2_second.py.pending.partial"):
        (root / "mongo/versions" / name).write_text("half of a pair")

    finish_writing(root)

    assert _names(root) == FIRST


def test_what_is_hidden_does_not_take_the_place_of_a_script(root: Path) -> None:
    (root / "mongo/versions/.a1_first.py.pending").write_text("another one")

    finish_writing(root)

    assert (root / "mongo/versions/a1_first.py").read_text() == SOURCES["mongo"]
    assert _names(root) == FIRST


def test_a_tree_with_nothing_hidden_is_read_without_a_lock(root: Path) -> None:
    (root / ".lock").unlink(missing_ok=True)

    finish_writing(root)

    assert not (root / ".lock").exists()
