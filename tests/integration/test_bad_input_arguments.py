"""Arguments that are wrong, or meant to do harm: refused, or written down as a text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bad_input import Bench, Row, offline_bench, rows

NEW = ("revision", "-m", "x")
PAYLOAD = "open('ran', 'w').write('yes')"


@pytest.fixture
def bench(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    with offline_bench(tmp_path, caplog) as bench:
        yield bench


ROWS = (
    Row("empty-message", ("revision", "-m", ""), ("wants a message", '-m "')),
    Row("blank-message", ("revision", "-m", " \t\n "), ("wants a message",)),
    Row("no-message", ("revision",), ("wants a message",)),
    Row(
        "null-in-message", ("revision", "-m", "a\0b"), ("control character", "'\\x00'")
    ),
    Row("escape-in-message", ("revision", "-m", "a\x1b[2Jb"), ("control character",)),
    Row(
        "surrogate-in-message",
        ("revision", "-m", "a\udcffb"),
        ("control character", "\\udcff"),
    ),
    *(
        Row(f"id-{name}", (*NEW, "--rev-id", text), ("is no revision id", "1 to 32 of"))
        for name, text in {
            "of-a-path": "../../x",
            "absolute": "/tmp/x",
            "capitals": "ABCD",
            "dash": "a-b",
            "dot": "a.b",
            "too-long": 33 * "a",
            "space": "a b",
            "line": "abcd\n",
            "letters": "größe",
            "digits": "٣٤٥",
            "null": "a\0",
            "substitution": "${HOME}",
            "empty": "",
        }.items()
    ),
    Row("id-that-exists", (*NEW, "--rev-id", "c3c3"), ("c3c3 is taken", "another")),
    Row("id-that-is-a-word", (*NEW, "--rev-id", "head"), ("head is taken",)),
    Row("label-of-a-path", (*NEW, "--branch-label", "../x"), ("no branch label",)),
    Row("label-that-exists", (*NEW, "--branch-label", "c3c3"), ("c3c3 is taken",)),
    Row("parent-that-is-no-head", (*NEW, "--head", "a1a1"), ("no head", "--splice")),
    Row("unknown-parent", (*NEW, "--head", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("unknown-dependency", (*NEW, "--depends-on", "zzzz"), ("zzzz",)),
    Row("pair-of-a-whole", ("revision", "--pair", "c3c3"), ("has both scripts",)),
    Row("pair-of-nothing", ("revision", "--pair", "c3c4"), ("Did you mean c3c3?",)),
    Row("merge-of-one", ("merge",), ("two heads", "flask db-migrate heads")),
    Row("merge-of-no-head", ("merge", "a1a1", "c3c3"), ("a1a1 is no head",)),
    Row("unknown-target", ("upgrade", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("unknown-target-down", ("downgrade", "c3c4"), ("Did you mean c3c3?",)),
    Row("target-unlike-all", ("upgrade", "zzzz"), ("zzzz", "flask db-migrate history")),
    Row("ambiguous-target", ("upgrade", "a1"), ("'a1a1', 'a1b2'", "more of the id")),
    Row("empty-target", ("upgrade", ""), ("target", "head")),
    Row("blank-target", ("downgrade", " "), ("target", "-1")),
    Row("target-of-a-path", ("upgrade", "../../x"), ("../../x", "history")),
    Row("target-of-two-lines", ("upgrade", "a\nb"), ("history",)),
    Row("down-to-head", ("downgrade", "head"), ("head is up", "-1 or base")),
    Row("range", ("upgrade", "a1a1:c3c3"), ("is a range", "alone")),
    Row("two-ways", ("upgrade", "--sql", "--dry-run"), ("Say one of",)),
    Row("sql-past-the-end", ("upgrade", "--sql", "c3c3:+4"), ("didn't produce 4",)),
    Row("unknown-option", ("upgrade", "--forse"), ("No such option", "--forse")),
    Row("n-0", ("history", "-n", "0"), ("No such option", "-n")),
    Row("backend", ("upgrade", "--backend", "mysql"), ("'mysql'", "'mongo'")),
    Row("range-that-is-none", ("history", "-r", "c3c3"), ("no range", "FROM:TO")),
    Row("unknown-range", ("history", "-r", "c3c4:"), ("c3c4", "Did you mean")),
    Row("unknown-stamp", ("stamp", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("unknown-edit", ("edit", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("edit-without-terminal", ("edit",), ("no terminal", "EDITOR")),
    Row("repair-of-nothing", ("repair", "c3c4", "--step", "0", "--done"), ("c3c3?",)),
    Row("repair-undecided", ("repair", "c3c3", "--step", "0"), ("--done or --retry",)),
    Row("negative-step", ("repair", "c3c3", "--step", "-1", "--done"), ("-1",)),
    Row("age", ("asides", "--purge-older-than", "soon"), ("soon", "30d")),
    Row("yes-to-nothing", ("asides", "--yes"), ("--purge-older-than",)),
    Row(
        "no-such-directory", ("upgrade", "-d", "no\x07where"), ("migrations directory",)
    ),
    Row("no-such-command", ("upgarde",), ("No such command",)),
)


@rows(*ROWS)
def test_a_wrong_argument_is_refused(
    row: Row, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    bench.try_(row)


MESSAGES = {
    "quotes": f'"""\n{PAYLOAD}\n"""',
    "closing-quotes": f'x"""; {PAYLOAD}; """',
    "one-quote-at-the-end": f'say "{PAYLOAD}"',
    "single-quotes": f"'''\n{PAYLOAD}\n'''",
    "backslash": f"a path C:\\new\\x{PAYLOAD}\\",
    "backslash-and-quotes": f'\\"""\n{PAYLOAD}\n#',
    "escape": "\\N{BULLET} \\u00 \\x4 \\777",
    "mako": f"${{{PAYLOAD}}} <% {PAYLOAD} %>",
    "mako-control": f"% if {PAYLOAD}:\n% endif\n## <%def>",
    "format": "%s %(x)s {0} {x!r} %%",
    "lines": f"one\n\nrevision = 'zzzz'\r\n{PAYLOAD}\r{PAYLOAD}",
    "line-separators": f"one\u2028{PAYLOAD}\x85{PAYLOAD}",
    "emoji": "größer 🚀 ünïcode 漢字",
    "right-to-left": f"\u202e{PAYLOAD}",
    "comment": "# -*- coding: utf-7 -*-",
    "path": "../../../../etc/passwd",
    "html": "<script>alert(1)</script>",
    "long": 12_500 * '\\"""\nran\n',
    "shell": f"$(touch ran) `touch ran` ; touch ran | {PAYLOAD}",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_a_text_and_never_code(message: str, bench: Bench) -> None:
    made = bench.cli("revision", "-m", message, "--rev-id", "d4d4")
    assert made.exit_code == 0, made.output
    paths = list(bench.root.rglob("*d4d4*.py"))
    assert len(paths) == 2
    for path in paths:
        # Nothing beside the docstring, imports, names and functions of every script.
        kinds = [type(node) for node in ast.parse(path.read_bytes()).body]
        assert kinds.count(ast.Expr) == 1, path.read_text()
        assert re.fullmatch(r"[0-9_]+d4d4[a-z0-9_]{0,41}\.py", path.name)
        assert path.resolve().is_relative_to(bench.root.resolve())
    for words in (("history",), ("heads",), ("upgrade", "--sql", "c3c3:d4d4")):
        assert bench.cli(*words).exit_code == 0
    assert not (bench.root.parent / "ran").exists()
