"""kill -9 while the tree is written: it is unchanged or whole, and no third thing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.nursery import KILLED, Command, Nursery

Files = dict[str, str]

REVISION = ("revision", "-m", "more", "--rev-id", "more")
MERGE = ("merge", "heads", "-m", "both", "--rev-id", "both")
PARTNER = ("revision", "--pair", "first")
FIRST = ("revision", "-m", "first", "--rev-id", "first")
BRANCH = ("revision", "-m", "b", "--rev-id", "branch", "--head", "base", "--splice")


class Writer:
    """Runs commands on one tree, which is put back before each crash."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.root = folder / "migrations"
        self._kept, self._nursery, self._folder = folder / "kept", nursery, folder

    def run(self, *words: str, crash_at: str = "", log: str = "") -> int:
        self._said.unlink(missing_ok=True)
        command = Command(
            words,
            str(self.root),
            "postgresql+psycopg://127.0.0.1:9/nowhere",
            "mongodb://127.0.0.1:9/nowhere",
            str(self._said),
            crash_at=crash_at,
            log=log,
        )
        code = self._nursery.wait(self._nursery.start(command), timeout_s=60)
        assert code is not None
        return code

    def do(self, *words: str) -> None:
        assert self.run(*words) == 0, self.said

    @property
    def _said(self) -> Path:
        return self._folder / "said"

    @property
    def said(self) -> str:
        return self._said.read_text()

    def points(self, *words: str) -> list[str]:
        """Run a command, return its crash points."""
        log = self._folder / "points"
        assert self.run(*words, log=str(log)) == 0, self.said
        return log.read_text().split()

    def keep(self) -> None:
        if self.root.exists():
            shutil.copytree(self.root, self._kept)

    def put_back(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        if self._kept.exists():
            shutil.copytree(self._kept, self.root)

    def files(self) -> Files:
        """Return path -> text of all files, without the times in them."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.name != ".lock" and path.suffix != ".pyc":
                name = str(path.relative_to(self.root))
                found[_timeless(name)] = _timeless(path.read_text(encoding="utf-8"))
        return found


def _timeless(text: str) -> str:
    text = re.sub(r"\d{8}_\d{4}", "DATE", text)
    return re.sub(r"Create Date: .*", "Create Date:", text)


@pytest.fixture
def writer(nursery: Nursery, tmp_path: Path) -> Writer:
    return Writer(nursery, tmp_path)


def nothing(writer: Writer) -> None: ...


def empty(writer: Writer) -> None:
    writer.do("init")


def branched(writer: Writer) -> None:
    for words in (("init",), FIRST, BRANCH):
        writer.do(*words)


def without_partner(writer: Writer) -> None:
    writer.do("init")
    writer.do(*FIRST)
    for path in writer.root.glob("mongo/versions/*.py"):
        path.unlink()


@pytest.mark.parametrize(
    ("begin", "words", "count"),
    [
        pytest.param(nothing, ("init",), 10, id="init"),
        pytest.param(empty, REVISION, 13, id="revision"),
        pytest.param(without_partner, PARTNER, 8, id="partner"),
        pytest.param(branched, MERGE, 13, id="merge"),
    ],
)
def test_a_kill_at_any_point_leaves_the_tree_unchanged_or_whole(
    writer: Writer,
    begin: Callable[[Writer], None],
    words: tuple[str, ...],
    count: int,
    record_property: Callable[[str, object], None],
) -> None:
    begin(writer)
    writer.keep()
    before = writer.files()
    points = writer.points(*words)
    whole = writer.files()
    assert len(points) >= count
    for point in points:
        writer.put_back()
        assert writer.run(*words, crash_at=point) == KILLED, point
        if words == ("init",):
            writer.do("init")
            assert writer.files() == whole, point
            continue
        # Whatever reads the tree puts it in order first.
        writer.run("heads")
        found = writer.files()
        assert found in (before, whole), point
        if found == before:
            writer.do(*words)
            assert writer.files() == whole, point
        writer.do("heads")
    record_property("figures", f"{len(points)} crash points of {words[0]}")
