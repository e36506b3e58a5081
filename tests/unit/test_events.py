"""Events: their names and fields as the docs list them, and JSON lines of them."""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flask_dualmigrate
from flask_dualmigrate.cli.json_lines import JsonLines
from flask_dualmigrate.cli.logs import PACKAGE, JsonFormatter, json_of_logs
from flask_dualmigrate.errors import DatabaseUnavailable
from flask_dualmigrate.results import RunResult
from flask_dualmigrate.revisions import Direction
from flask_dualmigrate.runtime.events import EVENTS, log_run, tell

from .terminal import PutVerb, Terminal

ROOT = Path(flask_dualmigrate.__file__).parent
PAGE = ROOT.parent / "docs" / "signals-and-limits.md"
log = logging.getLogger("flask_dualmigrate.tests")
OF_THE_COMMAND = {
    *("progress", "server_waiting", "error", "stopping", "killed", "stopped"),
}


def test_the_docs_list_each_event_with_its_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text("utf-8"), re.M)
    listed = {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in rows}

    assert {name: listed.get(name) for name in EVENTS} == dict(EVENTS)
    assert listed.keys() >= OF_THE_COMMAND


def _told_events() -> set[str]:
    """Return the names that the code calls `tell` with."""
    calls = (
        node
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("tell", "_tell", "_line")
    )
    return {
        argument.value
        for call in calls
        for argument in call.args[:3]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        if argument.value.replace("_", "").isalpha()
    }


def test_every_event_that_is_told_is_a_listed_one_and_the_other_way_round() -> None:
    told = _told_events() - {"begun", "undone"}  # words of messages

    assert told - OF_THE_COMMAND == set(EVENTS)


def test_no_password_gets_into_a_message_or_a_field(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    error = DatabaseUnavailable("mongodb://me:hidden@db is not there: 100%")
    url = "postgresql://me:hidden@db/x"

    tell(log, "retry", f"no way to {url} %s", error=error, urls=[url])

    (record,) = caplog.records
    line = JsonFormatter().format(record)
    assert "hidden" not in line
    assert json.loads(line)["message"] == "no way to postgresql://me:***@db/x %s"


def test_a_json_line_has_its_time_in_utc_its_level_and_its_fields() -> None:
    lines: list[str] = []
    with json_of_logs(lines.append, quiet=False):
        tell(log, "step_done", "a\nb", revision="r1", duration_ms=7, stays=None)
    (line,) = lines
    told = json.loads(line)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}\+00:00", told.pop("time"))
    assert told == {
        "level": "debug",
        "event": "step_done",
        "message": "a b",
        "logger": "flask_dualmigrate.tests",
        "revision": "r1",
        "duration_ms": 7,
    }
    assert "\n" not in line


def test_the_loggers_are_put_back() -> None:
    before = (PACKAGE.level, PACKAGE.propagate, list(PACKAGE.handlers))
    with json_of_logs(print, quiet=False):
        assert not PACKAGE.propagate
    assert (PACKAGE.level, PACKAGE.propagate, list(PACKAGE.handlers)) == before


def test_a_run_that_fails_tells_so_and_raises(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with (
        pytest.raises(DatabaseUnavailable),
        log_run("upgrade", "head", ["r1"], ["mongo"]),
    ):
        raise DatabaseUnavailable("gone")

    told = [(vars(record)["event"], record.levelname) for record in caplog.records]
    assert told == [("run_started", "INFO"), ("run_failed", "ERROR")]
    assert vars(caplog.records[1])["exit_code"] == 4


def test_an_error_is_a_json_line_with_its_exit_code(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("upgrade", DatabaseUnavailable("It is down", where="here", hint="Up."))

    assert flask("upgrade", "--log-format", "json", "--debug") == 4

    (line,) = flask.err.splitlines()
    told: dict[str, Any] = json.loads(line)
    assert (told["event"], told["level"], told["exit_code"]) == ("error", "error", 4)
    assert (told["where"], told["hint"]) == ("here", "Up.")
    assert "Traceback" in told["exception"]


def test_a_server_that_is_waited_for_is_a_field_and_why_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with JsonLines() as display:
        display.absent("PostgreSQL: connection failed: refused")

    told = json.loads(capsys.readouterr().err)
    assert told["event"] == "server_waiting"
    assert told["server"] == "PostgreSQL"
    assert told["error"] == "connection failed: refused"


def test_nothing_but_the_result_is_printed_where_nothing_happens(
    flask: Terminal, verb: PutVerb
) -> None:
    verb("upgrade", RunResult(Direction.UPGRADE, ()))

    assert flask("upgrade", "--log-format", "json") == 0

    assert flask.err == ""
    assert flask.out


def test_a_warning_reaches_a_person_once(
    flask: Terminal, verb: PutVerb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PACKAGE, "propagate", False)  # as if nobody had set up logging

    def warn(arguments: object) -> RunResult:
        tell(log, "retry", "Once more.", level=logging.WARNING)
        tell(log, "run_failed", "Told by the command.", level=logging.ERROR)
        return RunResult(Direction.UPGRADE, ())

    verb("upgrade", warn)

    assert flask("upgrade") == 0
    assert flask.err == "Once more.\n"


def _logs_at_info(say: Callable[[str], None]) -> logging.Handler:
    """Have the root logger at INFO, as `logging.basicConfig(level="INFO")` would."""

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    return Said(logging.INFO)


@pytest.mark.parametrize(
    ("options", "told"),
    [((), ["run", "Detected"]), (("--quiet",), [])],
    ids=["as-it-is", "quiet"],
)
def test_an_app_that_logs_at_info_is_told_of_runs_and_not_of_each_step(
    flask: Terminal, verb: PutVerb, options: tuple[str, ...], told: list[str]
) -> None:
    lines: list[str] = []
    alembic = logging.getLogger("alembic.runtime.migration")

    def run(arguments: object) -> RunResult:
        tell(log, "run_started", "run")
        tell(log, "operation_begun", "operation")
        tell(log, "step_done", "step")
        alembic.info("Context impl")
        logging.getLogger("alembic.autogenerate.compare").info("Detected")
        return RunResult(Direction.UPGRADE, ())

    verb("upgrade", run)
    root, handler = logging.getLogger(), _logs_at_info(lines.append)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        assert flask("upgrade", *options) == 0
    finally:
        root.removeHandler(handler)
        root.setLevel(level)

    assert lines == told
    assert alembic.level == logging.NOTSET


def test_a_failure_is_told_once_on_stderr_and_once_to_what_else_the_app_logs_to(
    flask: Terminal, verb: PutVerb
) -> None:
    lines: list[str] = []

    def fail(arguments: object) -> RunResult:
        with log_run("upgrade", "head", ["r1"], ["mongo"]):
            raise DatabaseUnavailable("MongoDB is away")

    verb("upgrade", fail)
    root = logging.getLogger()
    level = root.level
    handlers = [logging.StreamHandler(sys.stderr), _logs_at_info(lines.append)]
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        assert flask("upgrade") == 4
    finally:
        for handler in handlers:
            root.removeHandler(handler)
        root.setLevel(level)

    assert flask.err == "upgrade to head: r1\nError: MongoDB is away.\n"
    assert lines == ["upgrade to head: r1", "upgrade to head failed: MongoDB is away."]
