"""An app whose models change: each step is generated, checked and applied for real."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData

from flask_dualmigrate import downgrade, init, revision, upgrade
from flask_dualmigrate.results import RevisionResult

MakeApp = Callable[..., Flask]


class Evolution:
    """Takes both databases from one state of the models to the next."""

    def __init__(self, make_app: MakeApp, **settings: Any) -> None:
        self._make_app = make_app
        self._settings = settings
        self._steps = 0

    @contextmanager
    def app(self, metadata: MetaData) -> Iterator[Flask]:
        """An app with these models, its context pushed."""
        app = self._make_app(db=SQLAlchemy(metadata=metadata), **self._settings)
        with app.app_context():
            yield app

    def generate(self, metadata: MetaData) -> RevisionResult:
        """Write the pair that brings the databases to these models; ruff approves."""
        self._steps += 1
        with self.app(metadata):
            if self._steps == 1:
                init()
            result = revision(
                message=f"step {self._steps}",
                autogenerate=True,
                rev_id=f"s{self._steps}",
            )
        for path in result.files:
            if path.endswith(".py"):
                assert ruff_complaints(Path(path)) == ""
        return result

    def to(self, metadata: MetaData) -> RevisionResult:
        """Generate the pair, and apply it."""
        result = self.generate(metadata)
        self.up(metadata)
        return result

    def up(self, metadata: MetaData) -> None:
        with self.app(metadata):
            upgrade()

    def down(self, metadata: MetaData, target: str = "-1") -> None:
        with self.app(metadata):
            downgrade(revision=target)


def ruff_complaints(path: Path) -> str:
    """Return what ruff would change in a file, or finds wrong with it."""
    options = ["--isolated", "--line-length", "88", str(path)]
    select = ["--select", "E,F,W,I,UP,B"]
    formatted = _ruff("format", "--diff", *options)
    return formatted + _ruff("check", "--quiet", *select, *options)


def _ruff(*arguments: str) -> str:
    done = subprocess.run(
        ["ruff", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode else ""
