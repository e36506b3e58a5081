"""Arguments that are wrong, or meant to do harm: refused, or written down as a text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bad_input import Bench, Row, offline_bench, rows

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
    Row("empty-message", ("revision", "-m", ""), ("needs a message", '-m "')),
    Row("blank-message", ("revision", "-m", " \t\n "), ("needs a message",)),
    Row("no-message", ("revision",), ("needs a message",)),
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
        Row(
            f"id-{name}",
            (*NEW, "--rev-id", text),
            ("is not a valid revision id", "1 to 32 of"),
        )
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
    Row(
        "id-that-exists",
        (*NEW, "--rev-id", "c3c3"),
        ("c3c3 is taken", "another"),
    ),
    Row("id-that-is-a-word", (*NEW, "--rev-id", "head"), ("head is taken",)),
    Row(
        "label-of-a-path",
        (*NEW, "--branch-label", "../x"),
        ("not a valid branch label",),
    ),
    Row("label-that-exists", (*NEW, "--branch-label", "c3c3"), ("c3c3 is taken",)),
    Row("parent-that-is-no-head", (*NEW, "--head", "a1a1"), ("not a head", "--splice")),
    Row("unknown-parent", (*NEW, "--head", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("unknown-dependency", (*NEW, "--depends-on", "zzzz"), ("zzzz",)),
    Row("pair-of-a-whole", ("revision", "--pair", "c3c3"), ("has both scripts",)),
    Row("pair-of-nothing", ("revision", "--pair", "c3c4"), ("Did you mean c3c3?",)),
    Row("merge-of-one", ("merge",), ("two heads", "flask db-migrate heads")),
    Row("merge-of-no-head", ("merge", "a1a1", "c3c3"), ("a1a1 is not a head",)),
    Row("unknown-target", ("upgrade", "c3c4"), ("c3c4", "Did you mean c3c3?")),
    Row("unknown-target-down", ("downgrade", "c3c4"), ("Did you mean c3c3?",)),
    Row("target-unlike-all", ("upgrade", "zzzz"), ("zzzz", "flask db-migrate history")),
    Row("ambiguous-target", ("upgrade", "a1"), ("'a1a1', 'a1b2'", "more of the id")),
    Row("empty-target", ("upgrade", ""), ("target", "head")),
    Row("blank-target", ("downgrade", " "), ("target", "-1")),
    Row("target-of-a-path", ("upgrade", "../../x"), ("../../x", "history")),
    Row("target-of-two-lines", ("upgrade", "a\nb"), ("history",)),
    Row("down-to-head", ("downgrade", "head"), ("cannot go up", "-1 or base")),
    *(
        Row(f"target-{name}", ("upgrade", "--yes", text), says)
        for name, text, says in (
            ("of-no-steps", "+0", ("+0 leads nowhere", "+1 or -1")),
            ("of-no-steps-down", "-0", ("-0 leads nowhere",)),
            ("below-base", "base-1", ("base-1 leads nowhere",)),
            ("of-git", "head~1", ("head~1", "history")),
            ("colon", ":", ("is a range",)),
            ("range-of-words", "base:head", ("is a range",)),
            ("branch-of-nothing", "c3c3@", ("'c3c3@' is not a revision",)),
            ("at", "@", ("'@' is not a revision",)),
            ("wide-digit", "\uff11", ("No such revision or branch",)),
            ("superscript", "+²", ("No such revision or branch '+²'",)),
            ("null", "\0", ("'\\x00'",)),
        )
    ),
    *(
        Row(f"empty-{name}", words, ("'' is not a revision", "history"))
        for name, words in {
            "show": ("show", ""),
            "stamp": ("stamp", ""),
            "edit": ("edit", ""),
            "repair": ("repair", ""),
            "lint": ("lint", ""),
            "merge": ("merge", "", ""),
            "pair": ("revision", "--pair", ""),
            "parent": (*NEW, "--head", ""),
            "dependency": (*NEW, "--depends-on", ""),
        }.items()
    ),
    Row("wait-for-ever", ("upgrade", "--wait", "inf"), ("inf is not a number of",)),
    Row("wait-nan", ("upgrade", "--wait", "nan"), ("nan is not a number of seconds",)),
    *(
        Row(f"limit-{name}", ("upgrade", option, text), (said, "2,147,483"))
        for name, option, text, said in (
            (
                "nan",
                "--lock-timeout",
                "nan",
                "lock_timeout_s must be a number of seconds",
            ),
            ("negative", "--max-time", "-1", "max_time_s must be a number of seconds"),
            (
                "too-long",
                "--statement-timeout",
                "1e300",
                "statement_timeout_s must be a",
            ),
            ("too-long-mongo", "--max-time", "1e7", "max_time_s must be a number of"),
        )
    ),
    Row("retries", ("upgrade", "--lock-retries", "-1"), ("number of times, not -1",)),
    Row(
        "backup-twice", ("upgrade", "--backup", "all", "--no-backup"), ("exclude each",)
    ),
    Row("verify-twice", ("verify", "c3c3", "--head-only"), ("or --head-only",)),
    Row("repair-twice", ("repair", "c3c3", "--undo", "--accept-checksum"), ("one of",)),
    Row("wait-for-a-script", ("upgrade", "--sql", "--wait", "5"), ("--wait needs a",)),
    Row("directory-null", ("init", "-d", "a\0b"), ("migrations directory is invalid",)),
    Row("directory-long", ("upgrade", "-d", 5000 * "a"), ("File name too long",)),
    Row("range", ("upgrade", "a1a1:c3c3"), ("is a range", "only the target")),
    Row("two-ways", ("upgrade", "--sql", "--dry-run"), ("exclude each",)),
    Row("sql-past-the-end", ("upgrade", "--sql", "c3c3:+4"), ("didn't produce 4",)),
    Row("unknown-option", ("upgrade", "--forse"), ("No such option", "--forse")),
    Row("n-0", ("history", "-n", "0"), ("No such option", "-n")),
    Row("backend", ("upgrade", "--backend", "mysql"), ("'mysql'", "'mongo'")),
    Row("range-that-is-none", ("history", "-r", "c3c3"), ("not a range", "FROM:TO")),
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
