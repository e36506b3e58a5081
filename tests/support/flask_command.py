"""`flask …` in this process, with the entry point of setup.cfg as it stands there."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.cli import FlaskGroup

SETUP = Path(__file__).parents[2] / "setup.cfg"


def install_entry_point(folder: Path) -> None:
    """Make a distribution in a folder, whose entry points are those of setup.cfg.

    What is installed may be older than that, and is found after it.
    """
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    sections = (
        f"[{group}]\n{lines.strip()}\n"
        for group, lines in setup["options.entry_points"].items()
    )
    made = folder / "flask_dualmigrate-0.dist-info"
    made.mkdir()
    name = setup["metadata"]["name"]
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
    (made / "entry_points.txt").write_text("\n".join(sections))


class FlaskCommand:
    """Runs `flask …` in a folder; what an app imports from there is forgotten."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        install_entry_point(folder)

    def write(self, text: str, name: str = "the_app.py") -> None:
        (self.folder / name).write_text(text)

    def __call__(self, *words: str) -> Result:
        with self._patch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "path", [str(self.folder), *sys.path])
            patch.setattr(sys, "dont_write_bytecode", True)
            patch.setenv("FLASK_RUN_FROM_CLI", "")
            known = set(sys.modules)
            result = CliRunner().invoke(FlaskGroup(), list(words), prog_name="flask")
            for module in set(sys.modules) - known:
                found = getattr(sys.modules[module], "__file__", None) or ""
                if Path(found).parent == self.folder:
                    del sys.modules[module]
        return result
