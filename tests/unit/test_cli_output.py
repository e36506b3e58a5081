"""`flask db-migrate …` without a server: exit codes, stdout and stderr, no password."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from flask_dualmigrate.errors import (
    DatabaseUnavailable,
    DualMigrateError,
    IntegrityError,
    LockTimeout,
    PartialFailure,
    ScriptError,
    UsageError,
)
from flask_dualmigrate.results import CheckResult, CurrentResult, Finding, RunResult
from flask_dualmigrate.revisions import Direction, Revision, Step

from .terminal import PutVerb, Terminal
from .trees import BOTH, MONGO


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ScriptError("It broke"), 1),
        (UsageError("It broke"), 2),
        (IntegrityError("It broke"), 3),
        (DatabaseUnavailable("It broke"), 4),
        (LockTimeout("It broke"), 5),
        (ValueError("It broke"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_said_on_stderr_with_its_exit_code(
    error: BaseException, code: int, flask: Terminal, verb: PutVerb
) -> None:
    verb("heads", error)

    assert flask("heads") == code
    assert flask.out == ""
    assert "Traceback" not in flask.err
    assert ("It broke" in flask.err) is not isinstance(error, KeyboardInterrupt)


SECRET = "postgresql://app:s3cret@db/x"


def _failure() -> DualMigrateError:
    cause = OSError(SECRET)
    return PartialFailure(
        f"The upgrade failed at {SECRET}",
        applied=["ab12"],
        failed="cd34",
        untouched=[],
        error=cause,
        hint="Mend it.",
    )


@pytest.mark.parametrize("options", [[], ["--json"], ["--debug"]], ids=" ".join)
def test_no_password_is_printed(
    options: list[str], flask: Terminal, verb: PutVerb
) -> None:
    error = _failure()
    error.add_note(f"On {SECRET} some of it remains")
    error.__cause__ = OSError(SECRET)
    verb("heads", error)

    assert flask("heads", *options) == 1
    assert "s3cret" not in flask.out + flask.err
    assert "app:***@db" in flask.err


def test_what_an_error_knows_is_json_on_stdout(flask: Terminal, verb: PutVerb) -> None:
    verb("heads", _failure())

    flask("heads", "--json")

    assert json.loads(flask.out) == {
        "type": "PartialFailure",
        "what": "The upgrade failed at postgresql://app:***@db/x",
        "hint": "Mend it.",
        "applied": ["ab12"],
        "failed": "cd34",
        "error": "postgresql://app:***@db/x",
    }
    assert flask.err.startswith("Error: The upgrade failed")


def test_what_was_noted_on_an_error_is_said_too(flask: Terminal, verb: PutVerb) -> None:
    error = DatabaseUnavailable("MongoDB is gone")
    error.add_note("Done before it: ab12.")
    verb("heads", error)

    flask("heads")

    assert flask.err == "Error: MongoDB is gone.\nDone before it: ab12.\n"


def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("heads", IntegrityError("It broke"))

    assert flask("heads", "--debug") == 3
    assert "Traceback" in flask.err
    assert flask.err.endswith("Error: It broke.\n")


def test_check_exits_with_3_when_it_finds_something(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("check", CheckResult((Finding("todo", "one is left"),)))

    assert flask("check") == 3
    assert flask.out == "todo: one is left\n1 problem found.\n"


def test_check_exits_with_0_when_it_finds_nothing(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("check", CheckResult(()))

    assert flask("check", "--json") == 0
    assert json.loads(flask.out)["ok"] is True


def test_results_go_to_stdout_and_progress_to_stderr(
    flask: Terminal, verb: PutVerb
) -> None:
    step = Step(Revision("ab12", message="add status"), Direction.UPGRADE, BOTH)

    def run(asked: dict[str, Any]) -> RunResult:
        asked["env"]["on_step"](step)
        asked["env"]["on_wait"]("ann@web1 (pid 7)")
        return RunResult(Direction.UPGRADE, ())

    verb("upgrade", run)

    assert flask("upgrade") == 0
    assert flask.out == "Nothing to do.\n"
    assert flask.err == (
        "Upgrading ab12 (add status) on PostgreSQL and MongoDB\n"
        "Waiting for another migration: ann@web1 (pid 7)\n"
    )


def test_json_is_the_whole_of_stdout(flask: Terminal, verb: PutVerb) -> None:
    verb("current", CurrentResult({MONGO: ("ab12",)}, at_head=True))

    flask("current", "--json")

    assert json.loads(flask.out) == {
        "heads": {"mongo": ["ab12"]},
        "at_head": True,
        "half_done": [],
        "ahead": [],
        "paired": True,
        "ok": True,
    }


def test_what_a_process_of_a_script_prints_goes_to_stderr() -> None:
    code = """
import os, subprocess, sys
from flask_dualmigrate.cli.output import prints_to_stderr, put
print("before")
with prints_to_stderr():
    subprocess.run([sys.executable, "-c", "print('process')"])
    os.write(1, b"descriptor\\n")
    print("print")
    print("original", file=sys.__stdout__)
put("result")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.stdout == "before\nresult\n"
    told = ["descriptor", "original", "print", "process"]
    assert sorted(ended.stderr.splitlines()) == told
