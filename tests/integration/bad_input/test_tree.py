"""A broken tree is named, file and line, before any database is asked for anything.

Both URLs lead nowhere: a command that asked a database would end with exit code 4.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_dualmigrate import init
from tests.support.bad_input import Arrange, Bench, Row, offline_bench, rows

UP = ("upgrade", "--yes")


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    with offline_bench(tmp_path, caplog) as bench:
        yield bench


def write(revision_id: str, text: str | bytes, side: str = "mongo") -> Arrange:
    """Put a text in the place of a script."""

    def arrange(bench: Bench) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        bench.tree.path(side, revision_id).write_bytes(data)

    return arrange


def change(
    old: str, new: str, *, revision_id: str = "c3c3", side: str = "mongo"
) -> Arrange:
    def arrange(bench: Bench) -> None:
        path = bench.tree.path(side, revision_id)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return arrange


def both(old: str, new: str, *, revision_id: str = "c3c3") -> Arrange:
    def arrange(bench: Bench) -> None:
        for side in ("mongo", "postgres"):
            change(old, new, revision_id=revision_id, side=side)(bench)

    return arrange


def gone(side: str, revision_id: str = "c3c3") -> Arrange:
    return lambda bench: bench.tree.path(side, revision_id).unlink()


def copy(to: str, *, side: str = "mongo") -> Arrange:
    def arrange(bench: Bench) -> None:
        path = bench.tree.path(side, "c3c3")
        path.with_name(to).write_bytes(path.read_bytes())

    return arrange


def fork(bench: Bench) -> None:
    both("down_revision = 'a1b2'", "down_revision = 'a1a1'")(bench)
    init()


def cycle(bench: Bench) -> None:
    both("down_revision = None", "down_revision = 'c3c3'", revision_id="a1a1")(bench)


def elsewhere(part: str) -> Arrange:
    """Move a part of the tree out of it, and leave a symlink."""

    def arrange(bench: Bench) -> None:
        path = bench.root / part
        outside = bench.root.parent / "outside"
        path.rename(outside)
        path.symlink_to(outside)

    return arrange


def file_instead(part: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        shutil.rmtree(bench.root / part)
        (bench.root / part).write_text("")

    return arrange


AT = "{root}/mongo/versions/c3c3.py"
ROWS = (
    Row(
        "no-mongo-script",
        UP,
        ("c3c3 has no MongoDB script", "{root}", "revision --pair c3c3"),
        gone("mongo"),
    ),
    Row(
        "no-postgres-script",
        UP,
        ("c3c3 has no PostgreSQL script", "revision --pair c3c3"),
        gone("postgres"),
    ),
    Row(
        "duplicate-id",
        UP,
        (
            "Two scripts have the revision id c3c3",
            AT,
            "{root}/mongo/versions/copy.py",
            "another id",
        ),
        copy("copy.py"),
    ),
    Row(
        "duplicate-id-postgres",
        ("history",),
        (
            "Two scripts",
            "{root}/postgres/versions/c3c3.py",
            "{root}/postgres/versions/copy.py",
        ),
        copy("copy.py", side="postgres"),
    ),
    Row(
        "other-parents",
        UP,
        ("c3c3 has other parents in its two scripts", "c3c3.py", "Make them agree"),
        change("'a1b2'", "'a1a1'"),
    ),
    Row(
        "other-dependencies",
        UP,
        ("c3c3 has other dependencies in its two scripts",),
        change("depends_on = None", "depends_on = 'a1a1'"),
    ),
    Row(
        "other-labels",
        UP,
        ("c3c3 has other branch labels in its two scripts",),
        change("branch_labels = None", "branch_labels = 'x'"),
    ),
    Row("cycle", UP, ("a cycle: a1a1, a1b2, c3c3", "{root}", "Fix"), cycle),
    Row(
        "follows-itself",
        UP,
        ("c3c3 follows itself", AT, "Fix"),
        both("'a1b2'", "'c3c3'"),
    ),
    Row(
        "several-heads",
        UP,
        ("several heads: a1b2, c3c3", "flask db-migrate merge"),
        fork,
    ),
    Row(
        "unknown-parent",
        UP,
        ("c3c3 follows gone", "does not exist", "c3c3.py", "down_revision"),
        both("'a1b2'", "'gone'"),
    ),
    Row(
        "unknown-dependency",
        UP,
        ("c3c3 depends on gone", "c3c3.py"),
        both("depends_on = None", "depends_on = 'gone'"),
    ),
    Row(
        "syntax-error",
        UP,
        (
            "does not compile",
            AT + ":1",
        ),
        write("c3c3", "def upgrade(op:\n"),
    ),
    Row(
        "syntax-error-below",
        UP,
        ("does not compile", AT + ":3"),
        write("c3c3", "a = 1\n\nif True\n"),
    ),
    Row(
        "syntax-error-postgres",
        UP,
        ("does not compile", "{root}/postgres/versions/c3c3.py:2"),
        write("c3c3", "\nclass class", "postgres"),
    ),
    Row(
        "bad-indent", UP, ("does not compile", AT + ":2"), write("c3c3", "if 1:\na=1\n")
    ),
    Row("null-byte", UP, ("does not compile", AT), write("c3c3", "a = '\0'\n")),
    Row(
        "import-error",
        UP,
        ("ModuleNotFoundError", "no_such_module", AT + ":2"),
        write("c3c3", "\nimport no_such_module\n"),
    ),
    Row(
        "import-error-postgres",
        UP,
        ("no_such_module", "{root}/postgres/versions/c3c3.py:1"),
        write("c3c3", "import no_such_module\n", "postgres"),
    ),
    Row("raises", UP, ("ZeroDivisionError", AT + ":1"), write("c3c3", "1/0\n")),
    Row(
        "raises-system-exit",
        UP,
        ("SystemExit", AT + ":2"),
        write("c3c3", "import sys\nsys.exit(0)\n"),
    ),
    Row(
        "raises-two-lines",
        UP,
        ("ValueError: one", AT + ":1"),
        write("c3c3", "raise ValueError('one\\ntwo')\n"),
    ),
    Row(
        "symlink-out-of-the-tree",
        UP,
        ("leads out of", AT),
        elsewhere("mongo/versions/c3c3.py"),
    ),
    Row(
        "folder-out-of-the-tree",
        UP,
        ("leads out of", "{root}/mongo/versions"),
        elsewhere("mongo/versions"),
    ),
    Row(
        "side-out-of-the-tree",
        ("revision", "-m", "x"),
        ("leads out of", "{root}/postgres"),
        elsewhere("postgres"),
    ),
    Row(
        "folder-is-a-file",
        UP,
        ("{root}/mongo/versions",),
        file_instead("mongo/versions"),
    ),
    Row("directory-is-a-file", UP, ("{root}",), file_instead("")),
    Row("init-in-a-file", ("init",), ("cannot be created", "{root}"), file_instead("")),
    Row("no-upgrade", UP, ("no upgrade()", AT), change("def upgrade(", "def upgraed(")),
    Row(
        "no-upgrade-postgres",
        UP,
        ("no upgrade()", "postgres/versions/c3c3.py"),
        change("def upgrade(", "def upgraed(", side="postgres"),
    ),
    Row(
        "not-utf8",
        UP,
        ("not UTF-8: byte 5", AT, "Save it as UTF-8"),
        write("c3c3", b"a = '\xf6'\n"),
    ),
    Row(
        "utf16", UP, ("not UTF-8: byte 0", AT), write("c3c3", "a = 1".encode("utf-16"))
    ),
    Row("empty", UP, ("not a migration script", AT), write("c3c3", "")),
    Row(
        "half-a-script",
        UP,
        ("does not compile", AT + ":2"),
        write("c3c3", '\n"""c3c3\n\nRevision ID: c3'),
    ),
    Row(
        "stray-script",
        UP,
        (
            "not a migration script",
            "{root}/mongo/versions/helper.py",
            "Move it elsewhere",
        ),
        write("helper", "A = 1\n"),
    ),
    Row(
        "stray-folder",
        UP,
        ("helper.py",),
        lambda bench: bench.tree.path("mongo", "helper").mkdir(),
    ),
    Row(
        "id-of-a-path",
        UP,
        ("'../../x' is not a valid revision id", AT, "use 1 to 32 of a-z, 0-9 and _"),
        change("revision = 'c3c3'", "revision = '../../x'"),
    ),
    Row(
        "id-too-long",
        UP,
        ("is not a valid revision id", AT),
        change("revision = 'c3c3'", f"revision = '{33 * 'x'}'"),
    ),
    Row(
        "no-directory",
        UP,
        ("no migrations directory", "flask db-migrate init", "/elsewhere"),
        lambda bench: None,
    ),
    Row(
        "no-mongo-folder",
        UP,
        ("no mongo scripts", "{root}/mongo/versions", "flask db-migrate init"),
        lambda bench: __import__("shutil").rmtree(bench.root / "mongo"),
    ),
    Row(
        "lock-file-gone",
        UP,
        ("no revisions.lock", "flask db-migrate init"),
        lambda bench: (bench.root / "revisions.lock").unlink(),
    ),
    Row(
        "lock-file-behind",
        UP,
        ("does not list d4d4", "flask db-migrate init"),
        lambda bench: bench.tree.add("d4d4"),
    ),
    Row(
        "lock-file-ahead",
        UP,
        ("revisions.lock lists c3c3", "flask db-migrate init"),
        lambda bench: (gone("mongo")(bench), gone("postgres")(bench)),
    ),
    Row(
        "lock-file-conflict",
        UP,
        ("is invalid", "{root}/revisions.lock:1", "flask db-migrate init"),
        lambda bench: (bench.root / "revisions.lock").write_text("<<<<<<< HEAD\n"),
    ),
    Row(
        "lock-file-latin-1",
        UP,
        ("revisions.lock", "byte 0"),
        lambda bench: (bench.root / "revisions.lock").write_bytes(b"\xf6"),
    ),
    Row("unknown-target", (*UP, "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("ambiguous-prefix", ("show", "a1"), ("'a1a1', 'a1b2'", "more of the id")),
    Row("unknown-shown", ("show", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row(
        "missing-parent-of-new",
        ("revision", "-m", "x", "--head", "c3c4"),
        ("c3c4", "Did you mean c3c3?"),
    ),
)


@rows(*ROWS)
def test_a_broken_tree_is_refused(row: Row, bench: Bench) -> None:
    if row.id == "no-directory":
        row = __import__("dataclasses").replace(
            row, words=(*row.words, "-d", str(bench.root / "elsewhere"))
        )
    bench.try_(row)
