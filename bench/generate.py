"""revision --autogenerate: a pair of scripts, or Flask-Migrate's one.

As calls in one process, with the SQL statements that each sends, and as processes.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from sqlalchemy import event

from flask_dualmigrate import init, revision, upgrade

from .apps import Parts, Urls, add_dualmigrate, an_app
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns
from .peers import flask_migrate_tree
from .tables import models

_APP = """\
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from bench.tables import models

def create_app():
    app, db = Flask(__name__), SQLAlchemy(metadata=models({count}, changed={changed}))
    app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
    db.init_app(app)
    {extension}
    return app
"""
_EXTENSIONS = {
    True: """from flask_dualmigrate import DualMigrate
    from flask_pymongo import PyMongo
    DualMigrate(app, db, PyMongo(), active="postgres")""",
    False: """from flask_migrate import Migrate
    Migrate(app, db)""",
}
_COMMANDS = {
    True: ("db-migrate", "revision", "--autogenerate"),
    False: ("db", "migrate"),
}
_NAMES = {True: "DualMigrate, revision", False: "Flask-Migrate, migrate"}


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare with nothing changed and with one table changed, then with all."""
    rounds = 2 if quick else 7
    for count in (5,) if quick else (5, 50, 200):
        for word, changed in (("nothing", ()), ("one table", (count // 2,))):
            job = f"{count} tables, {word} changed"
            yield from _compare(databases, rounds, job, count, count, changed)
    yield from _compare(databases, rounds, "12 tables, all new", 0, 12, ())
    yield from _compare(databases, rounds, "12 tables, all changed", 12, 12, range(12))


def _compare(
    databases: Databases,
    rounds: int,
    job: str,
    before: int,
    count: int,
    changed: Collection[int],
) -> Iterator[Comparison]:
    """Compare on `before` tables that are there, of `count` in the models."""
    # Each in a database of its own: the tables of our journal are strangers to Alembic.
    with databases.postgres() as our_url, databases.postgres() as peer_url:
        places = {}
        for ours, url in ((True, our_url), (False, peer_url)):
            places[ours] = _start(databases.new_folder(), url, before, ours=ours)
            source = _APP.format(
                count=count,
                changed=tuple(changed),
                url=url,
                extension=_EXTENSIONS[ours],
            )
            (places[ours] / "app.py").write_text(source, encoding="utf-8")
        sent: dict[bool, int] = {}
        urls = {True: our_url, False: peer_url}
        for words, act in (
            ("one call", partial(_call, urls, count, changed, sent)),
            ("whole process", _process),
        ):
            contenders = [
                Contender(_NAMES[ours], partial(act, places[ours], ours), ours=ours)
                for ours in (True, False)
            ]
            timings = take_turns(contenders, rounds=rounds)
            if words == "one call":
                words += f", {sent[True]} and {sent[False]} statements"
            yield Comparison("generate", f"{job}, {words}", timings)


def _start(root: Path, url: str, count: int, *, ours: bool) -> Path:
    """Make a tree whose first revision creates the tables, and apply it."""
    with an_app(Urls(url), metadata=models(count)) as parts, _quiet():
        make, apply = _verbs(parts, root, ours)
        if count:
            make()
            apply()
    return root


def _verbs(parts: Parts, root: Path, ours: bool) -> tuple[Callable[[], object], ...]:
    """Register one of the two with an app; return what generates and what applies."""
    tree = root / "migrations"
    if ours:
        add_dualmigrate(parts, tree, active="postgres")
        if not tree.exists():
            init()
        return partial(revision, message="a change", autogenerate=True), upgrade
    import flask_migrate  # not needed by the other measurements

    if not tree.exists():
        flask_migrate_tree(parts, tree)
    flask_migrate.Migrate(parts.app, parts.db, str(tree))
    return partial(flask_migrate.migrate, message="a change"), flask_migrate.upgrade


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Flask-Migrate prints to the terminal out of the figures."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextmanager
def _copy_of(root: Path) -> Iterator[Path]:
    """Copy a folder beside itself, so that each round begins with the same."""
    folder = Path(mkdtemp(dir=root.parent))
    try:
        yield shutil.copytree(root, folder / root.name)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _call(
    urls: dict[bool, str],
    count: int,
    changed: Collection[int],
    sent: dict[bool, int],
    root: Path,
    ours: bool,
) -> Iterator[Act]:
    """Generate by a function. sent: gets how many statements that takes."""
    statements: list[str] = []
    app = an_app(Urls(urls[ours]), metadata=models(count, changed=changed))
    with _copy_of(root) as copy, app as parts, _quiet():
        make, _ = _verbs(parts, copy, ours)

        @event.listens_for(parts.db.engine, "before_cursor_execute")
        def note(*given: Any) -> None:
            statements.append(given[2])

        yield make
    sent[ours] = len(statements)


@contextmanager
def _process(root: Path, ours: bool) -> Iterator[Act]:
    """Generate by the command, in a process of its own."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "flask", "--app", "app", *_COMMANDS[ours]]
    with _copy_of(root) as copy:
        yield partial(
            subprocess.run,
            [*command, "-m", "a change"],
            cwd=copy,
            env=environment,
            capture_output=True,
            check=True,
        )
