"""`flask db-migrate …` as a process of its own, to be watched and signalled."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

FACTORY = """
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate


def create_app():
    app = Flask(__name__)
    db, mongo = SQLAlchemy(), PyMongo()
    app.config["DUALMIGRATE_BACKUP"] = "never"
    app.config.update({config!r})
    app.config["SQLALCHEMY_DATABASE_URI"] = {postgres!r}
    app.config["MONGO_URI"] = {mongo!r}
    db.init_app(app)
    mongo.init_app(app)
    DualMigrate(app, db, mongo)
    return app
"""
PATIENCE_S = 120.0


class FlaskApp:
    """An app in a folder; `start` runs one of its commands."""

    def __init__(self, folder: Path, postgres: str, mongo: str) -> None:
        self.folder = folder
        self._urls = {"postgres": postgres, "mongo": mongo}
        self.configure({})

    def configure(self, config: Mapping[str, object]) -> None:
        source = FACTORY.format(config=dict(config), **self._urls)
        (self.folder / "factory.py").write_text(source)

    def start(self, *words: str) -> Running:
        return Running(self.folder, ["flask", *words])

    def again(self, told: str) -> Running:
        """Start the command that a run told to carry on with."""
        return Running(self.folder, shlex.split(told))


class Running:
    """A command at work. err: what it said on stderr so far."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        assert words[0] == "flask"
        self.err = ""
        self.out = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={
                **os.environ,
                "FLASK_APP": "factory",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background ignores SIGINT, and its children would.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._readers = [
            threading.Thread(target=read, daemon=True)
            for read in (self._read_out, self._read_err)
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.out += line

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.err += line

    def sees(self, text: str) -> None:
        """Wait until it has said so on stderr."""
        give_up = time.monotonic() + PATIENCE_S
        while text not in self.err:
            ended = self.process.poll() is not None
            assert not ended, f"ended with {self.process.returncode}: {self.err}"
            assert time.monotonic() < give_up, self.err
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; return the exit code."""
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join()
        return code

    @property
    def told(self) -> str:
        """The command that carries on, as it said."""
        return self.err.rpartition("with: ")[2].splitlines()[0]
