"""`flask db-migrate …` as a process of its own, to be watched and signalled."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.nursery import Nursery

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

    def __init__(
        self, nursery: Nursery, folder: Path, postgres: str, mongo: str
    ) -> None:
        self.folder = folder
        self._nursery = nursery
        self._urls = {"postgres": postgres, "mongo": mongo}
        self.configure({})

    def configure(self, config: Mapping[str, object]) -> None:
        source = FACTORY.format(config=dict(config), **self._urls)
        (self.folder / "factory.py").write_text(source)

    def start(self, *words: str) -> Running:
        return Running(self._nursery, self.folder, *words)

    def again(self, told: str) -> Running:
        """Start the command that a run told to carry on with.

        There is a file `hurry` now, for scripts that were slow so as to be signalled.
        """
        (self.folder / "hurry").touch()
        command, *words = shlex.split(told)
        assert command == "flask"
        return self.start(*words)


class Running:
    """A command at work, of the app in a folder's factory.py.

    out, err: what it said so far.
    """

    def __init__(self, nursery: Nursery, folder: Path, *words: str) -> None:
        self.err = ""
        self.out = ""
        self._nursery = nursery
        self._code: int | None = None
        self._pipes = Path(tempfile.mkdtemp(dir=folder))
        pipes = [self._pipes / name for name in ("out", "err")]
        for pipe in pipes:
            os.mkfifo(pipe)
        self._pid = nursery.start_flask(words, folder, *pipes)
        self._readers = [
            threading.Thread(target=self._read, args=[pipe], daemon=True)
            for pipe in pipes
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        if self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)
        self.end()
        shutil.rmtree(self._pipes)

    def _read(self, pipe: Path) -> None:
        with pipe.open() as file:
            for line in file:
                setattr(self, pipe.name, getattr(self, pipe.name) + line)

    def poll(self) -> int | None:
        """Return the exit code, None while it is at work."""
        if self._code is None:
            self._code = self._nursery.wait(self._pid, timeout_s=0)
        return self._code

    def sees(self, text: str) -> None:
        """Wait until it has said so on stderr."""
        give_up = time.monotonic() + PATIENCE_S
        while text not in self.err:
            ended = self.poll()
            assert ended is None, f"ended with {ended}: {self.err}"
            assert time.monotonic() < give_up, self.err
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def end(self) -> int:
        """Wait for its end; return the exit code."""
        give_up = time.monotonic() + PATIENCE_S
        while (code := self.poll()) is None:
            assert time.monotonic() < give_up, self.err
            time.sleep(0.01)
        for reader in self._readers:
            reader.join()
        return code

    @property
    def told(self) -> str:
        """The command that carries on, as it said."""
        return self.err.rpartition("with: ")[2].splitlines()[0]
