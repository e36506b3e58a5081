"""The registry of crash points, and that they cost nothing where none is asked for."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import flask_dualmigrate
from flask_dualmigrate.postgres.server import crashpoints as events
from flask_dualmigrate.runtime import crashpoints

ROOT = Path(flask_dualmigrate.__file__).parent


def _names_in_source(function: str) -> set[str]:
    """Return the texts that are handed to a function anywhere in the package."""
    calls = [
        node
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    ]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def test_the_registry_lists_the_points_of_the_source_and_no_others() -> None:
    single = _names_in_source("reached") | set(events.POINTS.values())
    assert single == set(crashpoints.SINGLE)
    assert _names_in_source("around") == set(crashpoints.PAIRED)


def test_every_point_has_a_line_in_the_documentation() -> None:
    page = ROOT.parent.joinpath("docs", "reliability.md").read_text(encoding="utf-8")
    for name, meaning in (*crashpoints.SINGLE.items(), *crashpoints.PAIRED.items()):
        assert f"| `{name}` | {meaning} |" in page


def test_a_function_stays_itself_where_no_crash_is_asked_for() -> None:
    def function() -> None: ...

    assert crashpoints.around("file.write")(function) is function


def _run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    head = "from flask_dualmigrate.runtime.crashpoints import around, reached\n"
    return subprocess.run(
        [sys.executable, "-c", head + code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_point_kills_the_process_at_the_occurrence_that_was_asked_for() -> None:
    code = "for n in range(3):\n    print(n, flush=True)\n    reached('step.start')"
    ended = _run(code, DUALMIGRATE_CRASH_AT="step.start#2")
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "0\n1\n"


def test_the_log_tells_the_points_in_their_order(tmp_path: Path) -> None:
    code = "around('file.write')(lambda: reached('file.partial'))()\n" * 2
    assert _run(code, DUALMIGRATE_CRASH_LOG=str(tmp_path / "log")).returncode == 0
    names = ("file.write.before", "file.partial", "file.write.after")
    expected = [f"{name}#{number}" for number in (1, 2) for name in names]
    assert (tmp_path / "log").read_text().split() == expected


@pytest.mark.parametrize("variable", [crashpoints.CRASH_AT, crashpoints.CRASH_LOG])
def test_no_crash_is_asked_for_in_these_tests(variable: str) -> None:
    assert variable not in os.environ
    assert not crashpoints.armed
