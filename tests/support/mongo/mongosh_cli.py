"""The npm package `mongosh`, installed beside the virtual environment where it is not.

`make mongosh` does the same. Without npm, the tests that need it are skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

VERSION = "2.3.8"
FOLDER = Path(sys.prefix) / "mongosh"


@pytest.fixture(scope="session")
def mongosh() -> Path:
    """The path of mongosh, of the pinned version."""
    program = FOLDER / "node_modules" / ".bin" / "mongosh"
    if shutil.which("node") is None:
        pytest.skip("mongosh needs node, which is not installed here")
    with FileLock(Path(sys.prefix) / "mongosh.lock"):
        if not program.exists():
            _install()
    return program


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("mongosh is not installed, and there is no npm to install it")
    FOLDER.mkdir(exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-save", "--prefix"]
    done = subprocess.run(
        [*command, str(FOLDER), f"mongosh@{VERSION}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm could not install mongosh: {done.stderr.strip()[-200:]}")


def run_mongosh(
    program: Path, uri: str, script: Path
) -> subprocess.CompletedProcess[str]:
    """Run a script as its header says."""
    return subprocess.run(
        [str(program), uri, "--quiet", "--norc", "--file", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
