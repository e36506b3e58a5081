"""`flask db-migrate lint` of five hundred revisions: the whole process, no database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flask_dualmigrate import init

from .apps import Urls, a_migrated_app
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns
from .trees import write_pairs

# The extensions are there, and no server is: both are initialised, neither connects.
_APP = """\
from flask import Flask
from flask_dualmigrate import DualMigrate
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

def create_app():
    app, db = Flask(__name__), SQLAlchemy()
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://127.0.0.1:9/none"
    db.init_app(app)
    DualMigrate(app, db, PyMongo(), active="postgres")
    return app
"""


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare with processes that start, and that load the scripts besides."""
    count, rounds = (20, 2) if quick else (500, 7)
    root = databases.new_folder()
    (root / "app.py").write_text(_APP, encoding="utf-8")
    with databases.postgres() as url, a_migrated_app(root / "migrations", Urls(url)):
        init()
        (root / "migrations" / "mongo" / "versions").mkdir(parents=True, exist_ok=True)
        write_pairs(root / "migrations", count)
        init()
    contenders = [
        Contender("DualMigrate, lint", partial(_command, root, "lint", 3), ours=True),
        Contender("loading the scripts", partial(_command, root, "heads", 0)),
        Contender("starting the process", partial(_command, root, "--help", 0)),
    ]
    timings = take_turns(contenders, rounds=rounds)
    yield Comparison("lint", f"lint of {count} revisions, whole process", timings)


@contextmanager
def _command(root: Path, word: str, exit_code: int) -> Iterator[Act]:
    """Run `flask db-migrate` in a process of its own. exit_code: what it ends with."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done: list[subprocess.CompletedProcess[bytes]] = []

    def act() -> None:
        done.append(
            subprocess.run(
                [sys.executable, "-m", "flask", "--app", "app", "db-migrate", word],
                cwd=root,
                env=environment,
                capture_output=True,
                check=False,
            )
        )

    yield act
    assert done[-1].returncode == exit_code, done[-1].stderr.decode()
