"""`python -m sample_app.demo`, as `make demo` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_demo_runs_and_a_second_one_has_nothing_to_upgrade(folder: Path) -> None:
    first = demo(folder)
    second = demo(folder)

    assert first.returncode == 0, first.stderr
    assert "nothing to upgrade" not in first.stdout
    assert second.returncode == 0, second.stderr
    assert "ok  there was nothing to upgrade, and nothing changed" in second.stdout


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demonstration on servers of its own."""
    ours = ("DATABASE_URL", "MONGO_URI", "DB_TYPE", "FLASK_APP")
    environment = {name: os.environ[name] for name in os.environ if name not in ours}
    return subprocess.run(
        [sys.executable, "-m", "sample_app.demo", "--instance", str(folder)],
        capture_output=True,
        encoding="utf-8",
        env=environment,
    )
