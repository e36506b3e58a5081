"""The README is true: its app, its session with the output, its scripts, its tables."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from flask_dualmigrate.config import DEFAULTS
from tests.support.nursery import Nursery

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands_with_output(block: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def same(text: str) -> str:
    """Return a text without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "ID", text.replace("_", " _ "))
    text = re.sub(r"\b\d{8} _ \d{4}\b", "DATE", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(Z|\+00:00)", "TIME", text)
    text = re.sub(r"\d+ ms", "N ms", text)
    return re.sub(r"[ -]+", " ", text).replace(" \n", "\n").strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the README's app in app.py."""
    (tmp_path / "app.py").write_text(blocks("python")[0])
    return tmp_path


def test_the_session_prints_what_the_readme_shows(
    nursery: Nursery, project: Path, postgres_url: str, mongo_url: str
) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": postgres_url,
        "MONGO_URI": mongo_url,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    before, after = blocks("console")[1:3]
    _run_session(nursery, before, project, environment)
    source = (project / "app.py").read_text()
    new_line = blocks("python")[1]
    source = source.replace(
        "    name: Mapped[str]\n", f"    name: Mapped[str]\n{new_line}"
    )
    (project / "app.py").write_text(source)
    _run_session(nursery, after, project, environment)
    shown = dict(zip(("postgres", "mongo"), blocks("python")[2:4], strict=True))
    for backend, expected in shown.items():
        (path,) = (project / "migrations" / backend).glob("versions/*add_status.py")
        assert same(path.read_text()) == same(expected)


def _run_session(
    nursery: Nursery, block: str, folder: Path, environment: dict[str, str]
) -> None:
    for command, expected in commands_with_output(block):
        done = subprocess.run(
            [*nursery.python(), "-m", *shlex.split(command)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert same(done.stdout) == same(expected), command


def test_the_table_of_commands_lists_just_those_that_there_are(app: Flask) -> None:
    section = README.split("## Commands")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`([a-z]+)", cell)}
    group = app.cli.commands["db-migrate"]
    assert isinstance(group, click.Group)
    assert listed == set(group.list_commands(click.Context(group)))


@pytest.mark.parametrize("text", [README, DOCS], ids=["README", "docs"])
def test_the_table_of_keys_lists_just_those_that_there_are(text: str) -> None:
    rows = re.findall(
        r"^\| `(DUALMIGRATE_\w+)` \| `(.*?)` \|", text, flags=re.MULTILINE
    )
    shown = {key: default.strip('"') for key, default in rows}
    expected = {
        key: f"{value:g}" if isinstance(value, float) else str(value)
        for key, value in DEFAULTS.items()
    }
    assert shown == expected
