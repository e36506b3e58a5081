"""`python -m sample_app.demo`, as `make demo` runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.nursery import Nursery

THERE_AND_BACK = [
    "both databases are one revision lower",
    "both databases are at head again",
    "PostgreSQL: 'Oszilloskop Größe M' is as it was",
    "MongoDB: 'Oszilloskop Größe M' is as it was",
]


@pytest.mark.slow
def test_the_demo_runs_and_a_second_one_has_nothing_to_upgrade(
    nursery: Nursery, folder: Path
) -> None:
    first = demo(nursery, folder)
    second = demo(nursery, folder)

    assert (first.returncode, first.stderr) == (0, "")
    assert seen(first) == ["no revision is pending on either side", *THERE_AND_BACK]
    assert (second.returncode, second.stderr) == (0, "")
    assert seen(second) == [
        "no revision is pending on either side",
        "there was nothing to upgrade, and nothing changed",
        *THERE_AND_BACK,
    ]


def test_a_demo_whose_servers_do_not_start_says_why_in_one_line(
    nursery: Nursery, folder: Path
) -> None:
    (folder / "file").touch()

    failed = demo(nursery, folder / "file")

    assert failed.returncode == 4
    assert failed.stderr.strip().splitlines()[0].startswith("Error: ")
    assert len(failed.stderr.strip().splitlines()) == 1


def seen(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a demonstration found to be so."""
    lines = run.stdout.splitlines()
    return [line.removeprefix("ok  ") for line in lines if line.startswith("ok  ")]


def demo(nursery: Nursery, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demonstration on servers of its own."""
    ours = ("DATABASE_URL", "MONGO_URI", "DB_TYPE", "FLASK_APP")
    environment = {name: os.environ[name] for name in os.environ if name not in ours}
    return subprocess.run(
        [*nursery.python(), "-m", "sample_app.demo", "--instance", str(folder)],
        capture_output=True,
        encoding="utf-8",
        env=environment,
    )
