"""What `flask` imports of ours at each start, whether an app uses us or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.flask_command import install_entry_point

APP = """
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
app.config["MONGO_URI"] = "mongodb://127.0.0.1:9/nowhere"
db, mongo = SQLAlchemy(app), PyMongo(app)
"""
OURS = "\nfrom flask_dualmigrate import DualMigrate\nDualMigrate(app, db, mongo)\n"
PLAIN = "from flask import Flask\napp = Flask(__name__)\n"

AT_ENTRY = {
    "flask_dualmigrate",
    "flask_dualmigrate.cli",
    "flask_dualmigrate.commands",
}
"""What the entry point imports."""

IN_THE_APP = {
    "flask_dualmigrate.errors",
    "flask_dualmigrate.extension",
    "flask_dualmigrate.text",
}
"""What DualMigrate(app, db, mongo) imports besides."""

_RUN = """
import json, sys
from flask.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

COMMANDS = [["--help"], ["routes"]]


def _imported(folder: Path, app: str, words: list[str], *, ours: bool) -> set[str]:
    """Return the modules of a process. ours: whether our entry point is installed."""
    found = folder / ("with" if ours else "without")
    found.mkdir()
    install_entry_point(found)
    if not ours:  # what is installed is found after it, so not at all
        (found / "flask_dualmigrate-0.dist-info" / "entry_points.txt").unlink()
    (found / "app.py").write_text(app)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words],
        cwd=found,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(found), str(root)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_app_that_does_not_use_us_imports_the_names_of_the_commands_alone(
    words: list[str], tmp_path: Path
) -> None:
    before = _imported(tmp_path, PLAIN, words, ours=False)
    after = _imported(tmp_path, PLAIN, words, ours=True)

    assert after - before == AT_ENTRY


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_app_that_uses_us_imports_the_extension_and_not_what_it_works_with(
    words: list[str], tmp_path: Path
) -> None:
    before = _imported(tmp_path, APP, words, ours=False)
    after = _imported(tmp_path, APP + OURS, words, ours=True)

    assert after - before == AT_ENTRY | IN_THE_APP


def test_the_help_of_our_group_imports_no_command(tmp_path: Path) -> None:
    words = ["db-migrate", "--help"]

    after = _imported(tmp_path, PLAIN, words, ours=True)

    assert {name for name in after if name.startswith("flask_dualmigrate")} == AT_ENTRY
    assert "alembic" not in after
