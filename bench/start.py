"""What a process pays for us at its start: `flask`, a worker at head, a command.

Each contender is a process of its own. What counts is the time that the processor works
for it: other programs make that less uneven than the time on a clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .apps import Urls
from .at_head import bring_to_head
from .databases import Databases
from .measure import Act, Arrange, Comparison, Contender, take_turns

EXTENSIONS = """\
import os
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

app, db, mongo = Flask(__name__), SQLAlchemy(), PyMongo()
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["BENCH_POSTGRES"]
app.config["MONGO_URI"] = os.environ["BENCH_MONGO"]
db.init_app(app)
mongo.init_app(app)
"""
_OURS = """
from flask_dualmigrate import DualMigrate
DualMigrate(app, db, mongo, "ours"{more})
"""
_PEER = """
import flask_migrate
flask_migrate.Migrate(app, db, "peer")
"""
_APPS = {
    "plain": "from flask import Flask\napp = Flask(__name__)\n",
    "extensions": EXTENSIONS,
    "with_ours": EXTENSIONS + _OURS.format(more=""),
    "with_peer": EXTENSIONS + _PEER,
}
"""Name of a module -> its source."""

_WORKER = """\
import time
{app}
started = time.process_time()
with app.app_context():
{act}
print(time.process_time() - started)
"""
_BARE = """
import sqlalchemy as sa
with db.engine.connect() as connection:
    for table in ("alembic_version", "dualmigrate_journal"):
        connection.execute(sa.text(f"SELECT * FROM {table}")).all()
db.engine.dispose()
list(mongo.db["_migrations"].find({}, {"history": False}))
"""
_ACTS = {
    "DualMigrate, auto_upgrade=True": _OURS.format(more=", auto_upgrade=True"),
    "the bare statements": _BARE,
    "Flask-Migrate, upgrade()": _PEER + "flask_migrate.upgrade()\n",
}


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare starts of `flask`, of a worker, and of commands on a large tree."""
    rounds = 2 if quick else 9
    with _at_head(databases, 1) as small:
        yield from _helps(small, rounds)
        count = 20 if quick else 500
        with _at_head(databases, count) as large:
            yield _workers(
                large, f"start of a worker at head, {count} revisions", rounds
            )
        count = 20 if quick else 1000
        with _at_head(databases, count) as large:
            yield from _commands(small, large, count, rounds)


def environment(urls: Urls, *before: str) -> dict[str, str]:
    """Return the environment of a contender. before: put first on the path."""
    here = str(Path(__file__).parents[1])
    paths = [*before, here, os.environ.get("PYTHONPATH", "")]
    # What is installed is compiled: so are we, after the round that does not count.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "BENCH_POSTGRES": str(urls.postgres),
        "BENCH_MONGO": str(urls.mongo),
    }


class _Place:
    """A folder with apps and trees, and its databases, which are at head."""

    def __init__(self, root: Path, urls: Urls) -> None:
        self.root = root
        self._urls = urls
        for name, source in _APPS.items():
            (root / f"{name}.py").write_text(source, encoding="utf-8")
        # It hides what is installed, and has no entry point.
        hidden = root / "not_installed" / "flask_dualmigrate-0.dist-info"
        hidden.mkdir(parents=True)
        about = "Metadata-Version: 2.1\nName: Flask-DualMigrate\nVersion: 0\n"
        (hidden / "METADATA").write_text(about, encoding="utf-8")

    def environment(self, *, installed: bool = True) -> dict[str, str]:
        hiding = () if installed else (str(self.root / "not_installed"),)
        return environment(self._urls, *hiding)

    def flask(self, app: str, *words: str, installed: bool = True) -> Arrange:
        """Return a contender's process: `flask --app APP WORDS`."""
        return partial(self._flask, ["--app", app, *words], installed)

    @contextmanager
    def _flask(self, words: Sequence[str], installed: bool) -> Iterator[Act]:
        command = [sys.executable, "-m", "flask", *words]
        environment = self.environment(installed=installed)
        yield partial(_processor_s, command, self.root, environment)

    @contextmanager
    def worker(self, act: str) -> Iterator[Act]:
        """Make an app; what counts is what the act adds to it."""
        source = _WORKER.format(app=EXTENSIONS, act=textwrap.indent(act, "    "))
        yield lambda: float(
            subprocess.run(
                [sys.executable, "-c", source],
                cwd=self.root,
                env=self.environment(),
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )


@contextmanager
def _at_head(databases: Databases, count: int) -> Iterator[_Place]:
    with databases.postgres() as postgres_url, databases.mongo() as mongo_uri:
        root, urls = databases.new_folder(), Urls(postgres_url, mongo_uri)
        bring_to_head(root, count, urls)
        yield _Place(root, urls)


def _processor_s(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> float:
    """Run a process; return the seconds that the processor worked for it."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, said.read().decode()
    return usage.ru_utime + usage.ru_stime


def _helps(place: _Place, rounds: int) -> Iterator[Comparison]:
    for job, contenders in (
        (
            "flask --help of an app without us",
            [
                Contender("installed", place.flask("plain", "--help"), ours=True),
                Contender(
                    "not installed", place.flask("plain", "--help", installed=False)
                ),
            ],
        ),
        (
            "flask --help of an app with us",
            [
                Contender("DualMigrate", place.flask("with_ours", "--help"), ours=True),
                Contender(
                    "without", place.flask("extensions", "--help", installed=False)
                ),
                Contender(
                    "Flask-Migrate", place.flask("with_peer", "--help", installed=False)
                ),
            ],
        ),
    ):
        yield Comparison("start", job, take_turns(contenders, rounds=rounds))


def _workers(place: _Place, job: str, rounds: int) -> Comparison:
    contenders = [
        Contender(name, partial(place.worker, act), ours="auto_upgrade" in act)
        for name, act in _ACTS.items()
    ]
    return Comparison("start", job, take_turns(contenders, rounds=rounds))


def _commands(
    small: _Place, large: _Place, count: int, rounds: int
) -> Iterator[Comparison]:
    for word in ("status", "history", "check"):
        words = "with_ours", "db-migrate", word
        contenders = [
            Contender(f"{count} revisions", large.flask(*words), ours=True),
            Contender("1 revision", small.flask(*words)),
        ]
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("start", f"flask db-migrate {word}", timings)
