"""A bad input is refused in one line, tells no secret, and changes nothing."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from flask_dualmigrate import DualMigrate, init
from tests.support.snapshots import mongo_snapshot, postgres_snapshot
from tests.support.trees import Tree

CANARY = "c4nary/w%40:rd@#?&='\" c4nary"
"""A password whose two ends are told by what stops at a sign in between."""

SECRET = "c4nary"
"""What no output may hold: the canary itself, quoted for a URL, and its parts."""

NO_POSTGRES = f"postgresql+psycopg://user:{quote(CANARY, safe='')}@127.0.0.1:9/nowhere"
NO_MONGO = (
    f"mongodb://user:{quote_plus(CANARY)}@127.0.0.1:9/nowhere"
    "?serverSelectionTimeoutMS=400"
)
Arrange = Callable[["Bench"], object]
VARIANTS: tuple[tuple[str, ...], ...] = (("--json",), ("--debug",))


@dataclass(frozen=True)
class Row:
    """One bad input.

    words: of the command. says: what its one line must hold; `{root}` is the tree.
    arrange: makes the bad state. code: of the exit. variants: the options that it is
    tried with, one after the other.
    """

    id: str
    words: tuple[str, ...]
    says: tuple[str, ...]
    arrange: Arrange = lambda bench: None
    code: int = 2
    variants: tuple[tuple[str, ...], ...] = VARIANTS


class Bench:
    """An app, its tree, and what its databases hold."""

    def __init__(
        self,
        app: Flask,
        tree: Tree,
        caplog: pytest.LogCaptureFixture,
        *,
        engine: sa.Engine | None = None,
        mongo_db: Database[Any] | None = None,
    ) -> None:
        self.app = app
        self.tree = tree
        self.engine = engine
        self.mongo_db = mongo_db
        self._caplog = caplog

    @property
    def root(self) -> Path:
        return self.tree.root

    def cli(self, *words: str, stdin: Any = None) -> Result:
        """Run a command; nothing that it says, or starts, holds the canary."""
        self._caplog.clear()
        with all_logged(self._caplog), started_processes() as started:
            args = ["db-migrate", *words]
            result = self.app.test_cli_runner().invoke(args=args, input=stdin)
        for place, text in {
            "output": result.output,
            "exception": repr(result.exception),
            "log": self._caplog.text,
            "processes": repr(started),
        }.items():
            assert SECRET not in text, f"the password is in the {place}: {text}"
        return result

    def try_(self, row: Row) -> None:
        """Arrange a row, run it in each of its variants, and see that it is refused."""
        row.arrange(self)
        before = self.image()
        for variant in row.variants:
            result = self.cli(*row.words, *variant)
            check_refusal(result, row, variant, {"root": str(self.root)})
            assert self.image() == before, "something was changed"

    def image(self) -> dict[str, Any]:
        """Return all that there is: the tree byte for byte, and both databases."""
        found: dict[str, Any] = {"tree": tree_image(self.root)}
        if self.engine is not None:
            found["postgres"] = postgres_snapshot(self.engine, ours=True)
        if self.mongo_db is not None:
            found["mongo"] = mongo_snapshot(self.mongo_db, ours=True)
        assert SECRET not in repr(found), "the password is in a database"
        return found


def check_refusal(
    result: Any, row: Row, variant: tuple[str, ...], names: Mapping[str, str]
) -> None:
    """Assert what a refusal says, and how it ends."""
    said = result.stderr
    what = f"{' '.join(row.words)}: exit {result.exit_code}\n{said}\n{result.stdout}"
    assert result.exit_code == row.code, what
    errors = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, what
    for text in row.says:
        assert text.format(**names) in errors[0], f"{text!r} is not said. {what}"
    if "--debug" not in variant:
        assert "Traceback" not in said, what
        assert errors[0] == said.splitlines()[-1], what
    if "--json" in variant and "Usage: " not in said:
        facts = json.loads(result.stdout)
        assert facts["what"], what
        assert facts.get("hint"), f"it does not say what to do. {what}"


def tree_image(root: Path) -> dict[str, Any]:
    """Return path -> what is there: bytes, where a link goes, or None for a folder."""
    paths = [root, *sorted(root.rglob("*"))] if root.exists() else []
    return {
        str(path): path.readlink()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in paths
        if path.name != ".lock"
    }


@contextmanager
def all_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log all, the drivers' commands too, to the test's own handler alone.

    Each of pytest's handlers would put all that into words again, which takes longer
    than all that is tried.
    """
    handlers = logging.root.handlers[:]
    with caplog.at_level("DEBUG"):
        logging.root.handlers[:] = [caplog.handler]
        try:
            yield
        finally:
            logging.root.handlers[:] = handlers


_watchers: list[list[Any]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and event in ("subprocess.Popen", "os.system", "os.exec", "os.spawn"):
        for heard in _watchers:
            heard.append(arguments)


sys.addaudithook(_hear)


@contextmanager
def started_processes() -> Iterator[list[Any]]:
    """Hear of each process that is started meanwhile: its arguments and its names."""
    heard: list[Any] = []
    _watchers.append(heard)
    try:
        yield heard
    finally:
        _watchers.remove(heard)


@contextmanager
def offline_bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Hold three revisions, and databases that are not there."""
    app = Flask("an_app", root_path=str(tmp_path))
    app.config["DUALMIGRATE_BACKUP"] = "never"
    app.config["SQLALCHEMY_DATABASE_URI"] = NO_POSTGRES
    db, mongo = SQLAlchemy(app), PyMongo(app, NO_MONGO, connect=False)
    DualMigrate(app, db, mongo, str(tmp_path / "migrations"))
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        for revision_id in ("a1a1", "a1b2", "c3c3"):
            tree.add(revision_id)
        init()
        yield Bench(app, tree, caplog)
        db.engine.dispose()
    assert mongo.cx is not None
    mongo.cx.close()


def rows(*found: Row) -> pytest.MarkDecorator:
    """Parametrize a test with rows."""
    return pytest.mark.parametrize("row", found, ids=[row.id for row in found])
