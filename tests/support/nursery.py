"""Commands in processes of their own that cost a fork, and no second of imports.

A nursery is a process that has imported everything and opened no connection. It forks
a child for each command; crash points are armed in it. Run as a program it is the
nursery itself: it reads one request a line, and answers each with a line.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import flask.cli
import psycopg  # noqa: F401  # imported once here, not in each child
from flask import Flask
from flask.cli import ScriptInfo
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo import monitoring

from flask_dualmigrate import DualMigrate
from flask_dualmigrate.cli import COMMANDS
from flask_dualmigrate.mongo.lock import watchdog
from flask_dualmigrate.runtime.crashpoints import CRASH_AT, CRASH_LOG
from tests.support import warm_server
from tests.support.crash.writes import mark_writes

KILLED = -9
_ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Command:
    """What a child does.

    words: after `flask db-migrate`; none: create an app that upgrades by itself.
    config: more of the app's config. active: the sides in use. crash_at:
    `name#occurrence`, or never. log: the file that the visited points are added to, and
    a mark for what is written between them. output: the file for what it says.
    stops_at: a command to MongoDB; it stops (SIGSTOP) when the first is about to be
    sent to a collection of the app's. watchdog: whether the kernel is to kill it when
    its lease ends.
    """

    words: tuple[str, ...]
    directory: str
    postgres: str
    mongo: str
    output: str
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    active: str = "both"
    crash_at: str = ""
    log: str = ""
    stops_at: str = ""
    watchdog: bool = True


class Nursery:
    """The nursery, seen from the test."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._python: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=_ROOT,
            env={**os.environ, CRASH_AT: "", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, command: Command) -> int:
        """Begin a command; returns its process id."""
        return int(self._ask({"start": dataclasses.asdict(command)}))

    def start_flask(
        self, words: Sequence[str], folder: Path, output: Path, errors: Path
    ) -> int:
        """Begin `flask …` of factory.py in a folder, to the end of the interpreter.

        output, errors: the files, or the pipes with a name, for what it says.
        """
        fields = (list(words), str(folder), str(output), str(errors))
        return int(self._ask({"flask": fields}))

    def python(self) -> list[str]:
        """Return the words to begin a command with, in place of `python`.

        A command that begins so, in a shell too, is forked off a warm process.
        """
        if not self._python:
            self._folder = tempfile.TemporaryDirectory(prefix="warm-")
            address = f"{self._folder.name}/socket"
            self._ask({"listen": address})
            self._python = warm_server.words_of(address)
        return self._python

    def wait(self, pid: int, *, timeout_s: float) -> int | None:
        """Return the exit code of a child, negative for a signal; None: it runs on."""
        answer = self._ask({"wait": pid, "timeout_s": timeout_s})
        return None if answer is None else int(answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        if self._python:
            self._folder.cleanup()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


def _serve() -> None:
    for module, _ in COMMANDS.values():
        import_module(f"flask_dualmigrate.cli.{module}")
    gc.freeze()  # What children share with us stays shared.
    gc.set_threshold(50_000, 10, 10)  # Most end before there is much to collect.
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            answer: int | None = _fork(request["start"])
        elif "flask" in request:
            answer = _fork_flask(*request["flask"])
        elif "listen" in request:
            warm_server.listen(request["listen"])
            answer = None
        else:
            answer = _wait(request["wait"], request["timeout_s"])
        print(json.dumps(answer), flush=True)


def _fork(fields: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _run(Command(**fields))
    finally:
        # Neither the nursery's pipes nor the driver's threads are to be waited for.
        os._exit(code)


def _fork_flask(words: list[str], folder: str, *outputs: str) -> int:
    """Fork what becomes `flask …`; in the child this ends with SystemExit."""
    pid = os.fork()
    if pid:
        return pid
    # A test run in the background ignores SIGINT, and its children would.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY), stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as long as the process lives
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ["FLASK_APP"] = "factory"
    sys.path.insert(0, folder)
    flask.cli.cli.main(words, prog_name="flask")
    raise SystemExit(0)


def _wait(pid: int, timeout_s: float) -> int | None:
    give_up = time.monotonic() + timeout_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= give_up:
            return None
        time.sleep(0.003)


def _run(command: Command) -> int:
    os.environ[CRASH_AT], os.environ[CRASH_LOG] = command.crash_at, command.log
    said = os.open(command.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.stdin = open(os.devnull)  # noqa: SIM115  # for as long as the process lives
    if command.log:
        mark_writes(command.log)
    if command.stops_at:
        monitoring.register(Stops(command.stops_at))
    if not command.watchdog:
        watchdog._LIBRARY = None
    try:
        app = _make_app(command)
        if command.words:
            words = ["db-migrate", *command.words]
            app.cli.main(words, obj=ScriptInfo(create_app=lambda: app))
    except SystemExit as end:
        return int(end.code or 0)
    except Exception as error:
        traceback.print_exc()
        return int(getattr(error, "exit_code", 70))
    return 0


class Stops(monitoring.CommandListener):
    """Stops this process once, when a command is about to be sent."""

    def __init__(self, name: str) -> None:
        self._name = name

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = str(event.command.get(event.command_name, ""))
        is_ours = target.rpartition(".")[2].startswith("_")
        if event.command_name == self._name and not is_ours:
            self._name = ""
            os.kill(os.getpid(), signal.SIGSTOP)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def _make_app(command: Command) -> Flask:
    app = Flask("an_app", root_path=command.directory)
    app.config["DUALMIGRATE_BACKUP"] = "never"
    app.config.update(command.config)
    app.config["SQLALCHEMY_DATABASE_URI"] = command.postgres
    app.config["MONGO_URI"] = command.mongo
    db, mongo = SQLAlchemy(), PyMongo()
    db.init_app(app)
    mongo.init_app(app)
    upgrades = not command.words
    DualMigrate(
        app,
        db,
        mongo,
        command.directory,
        active=command.active,
        auto_upgrade=upgrades,
    )
    return app


if __name__ == "__main__":
    _serve()
