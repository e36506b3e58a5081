"""Scripts and a revisions.lock that nobody meant to write so: refused, and named.

Both URLs lead nowhere: a command that asked a database would end with exit code 4.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.bad_input.test_tree import AT, UP, bench, both, change
from tests.support.bad_input import Arrange, Bench, Row, rows

__all__ = ["bench"]

NOWHERE = "it would do nothing"
REWRITE = "rewrite it with: flask db-migrate init"
LOCK = "{root}/revisions.lock"


def listed(old: str, new: str) -> Arrange:
    """Edit revisions.lock by hand."""

    def arrange(bench: Bench) -> None:
        path = bench.root / "revisions.lock"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return arrange


def pipe(bench: Bench) -> None:
    """A pipe that nobody writes to: who reads it waits for ever."""
    os.mkfifo(bench.tree.path("mongo", "pipe"))


def instead_of_lock_file(kind: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        path = bench.root / "revisions.lock"
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)

    return arrange


def renamed(*sides: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        for side in sides:
            path = bench.tree.path(side, "c3c3")
            path.rename(path.with_name("by_hand.py"))

    return arrange


def parent(text: str) -> Arrange:
    return both("down_revision = 'a1b2'", f"down_revision = {text}")


CONFLICT = "<<<<<<< HEAD\nc3c3 a1b2 c3c3.py\n=======\nd4d4 a1b2 d4d4.py\n>>>>>>> d\n"
ROWS = (
    Row("pipe", UP, ("not a regular file", "{root}/mongo/versions/pipe.py"), pipe),
    Row(
        "lock-file-is-a-pipe",
        UP,
        ("not a regular file", LOCK),
        instead_of_lock_file("pipe"),
    ),
    Row(
        "lock-file-is-a-folder",
        UP,
        ("Is a directory", LOCK, "delete it"),
        instead_of_lock_file("folder"),
    ),
    Row(
        "lock-file-conflict-inside",
        UP,
        (LOCK + ":5", "keep the scripts of both branches"),
        listed("c3c3 a1b2 c3c3.py\n", CONFLICT),
    ),
    Row(
        "lock-file-conflict-init",
        ("init",),
        (LOCK + ":5", "delete this file"),
        listed("c3c3 a1b2 c3c3.py\n", CONFLICT),
    ),
    Row(
        "lock-file-other-parent",
        UP,
        ("does not match the scripts of c3c3", LOCK, REWRITE),
        listed("c3c3 a1b2", "c3c3 a1a1"),
    ),
    Row(
        "lock-file-unknown-parent",
        UP,
        ("lists c3c3 after gone, and not gone itself", LOCK, REWRITE),
        listed("c3c3 a1b2", "c3c3 gone"),
    ),
    Row(
        "lock-file-unknown-dependency",
        UP,
        ("lists c3c3 after gone", LOCK, REWRITE),
        listed("c3c3 a1b2", "c3c3 a1b2+gone"),
    ),
    Row(
        "lock-file-circle",
        UP,
        ("lists a cycle", LOCK, REWRITE),
        listed("a1a1 -", "a1a1 c3c3"),
    ),
    Row(
        "lock-file-follows-itself",
        UP,
        ("lists a cycle", LOCK, REWRITE),
        listed("a1a1 -", "a1a1 a1a1"),
    ),
    Row(
        "renamed-on-one-side",
        UP,
        ("a different file name in its two scripts", "by_hand.py", "c3c3.py"),
        renamed("mongo"),
    ),
    Row(
        "renamed-on-both-sides",
        UP,
        ("does not match the scripts of c3c3", REWRITE),
        renamed("mongo", "postgres"),
    ),
    *(
        Row(
            f"id-{word}",
            UP,
            (f"'{word}' is not a valid revision id", "c3c3.py"),
            arrange,
        )
        for word in ("head", "heads", "base")
        for arrange in [both("revision = 'c3c3'", f"revision = '{word}'")]
    ),
    Row(
        "label-that-is-a-place",
        UP,
        ("branch label head is taken", "c3c3.py"),
        both("branch_labels = None", "branch_labels = 'head'"),
    ),
    *(
        Row(f"parent-{name}", UP, ("down_revision must be a string", AT), parent(text))
        for name, text in {
            "number": "7",
            "bytes": "b'a1b2'",
            "empty": "''",
            "false": "False",
            "dict": "{}",
            "object": "object()",
        }.items()
    ),
    *(
        Row(f"async-{name}-{side}", UP, (f"{name}() is async", NOWHERE, path), arrange)
        for side in ("mongo", "postgres")
        for path in [f"{{root}}/{side}/versions/c3c3.py:"]
        for name in ("upgrade", "downgrade")
        for arrange in [change(f"def {name}(", f"async def {name}(", side=side)]
    ),
    *(
        Row(f"yield-{side}", UP, ("upgrade() has a yield", NOWHERE, path), arrange)
        for side, head in (("mongo", "upgrade(op)"), ("postgres", "upgrade()"))
        for path in [f"{{root}}/{side}/versions/c3c3.py:"]
        for arrange in [change(f"{head}:\n    pass", f"{head}:\n    yield", side=side)]
    ),
    *(
        Row(f"async-verify-{side}", UP, ("verify() is async", NOWHERE), arrange)
        for side in ("mongo", "postgres")
        for arrange in [
            change("def upgrade(", "async def verify(db): ...\ndef upgrade(", side=side)
        ]
    ),
    Row(
        "cancelled",
        UP,
        ("CancelledError", AT + ":8"),
        change(
            "def upgrade(",
            "import asyncio; raise asyncio.CancelledError\ndef upgrade(",
        ),
    ),
)


@rows(*ROWS)
def test_a_script_that_nobody_meant_so_is_refused(row: Row, bench: Bench) -> None:
    bench.try_(row)


@pytest.mark.parametrize("what", ["scripts", "lock-file"])
def test_line_ends_and_a_mark_of_windows_are_no_fault(what: str, bench: Bench) -> None:
    paths: list[Path] = [bench.root / "revisions.lock"]
    if what == "scripts":
        paths = [bench.tree.path(side, "c3c3") for side in ("mongo", "postgres")]
    for path in paths:
        windows = path.read_bytes().replace(b"\n", b"\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + windows)
    done = bench.cli(*UP)
    assert done.exit_code == 4, done.output  # as far as the databases, which are away


def test_several_parents_may_be_a_list_and_one_too(bench: Bench) -> None:
    parent("['a1b2']")(bench)
    assert bench.cli(*UP).exit_code == 4


def test_what_a_script_prints_does_not_spoil_json(bench: Bench) -> None:
    change("def upgrade(", "print('hello')\ndef upgrade(")(bench)
    listing = bench.cli("history", "--json")
    assert listing.stdout.startswith("{")
    assert "hello" in listing.stderr
    row = Row("prints", UP, ("MongoDB cannot be reached",), code=4)
    bench.try_(row)
