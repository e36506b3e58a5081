"""What a run says on stderr while it works."""

from __future__ import annotations

import time

import click

from ..backend import Progress
from ..revision import Step


def say_step(step: Step) -> None:
    sides = " and ".join(name.label for name in reversed(step.backends))
    verb = "Upgrading" if step.direction == "upgrade" else "Downgrading"
    click.echo(
        f"{verb} {step.revision.id} ({step.revision.message}) on {sides}", err=True
    )


def say_wait(holder: str) -> None:
    click.echo(f"Waiting for another migration: {holder}", err=True)


class ProgressLines:
    """Says on stderr how far a long operation is; once a second, from the first on."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last_s < 1.0 or not progress.done:
            return
        self._last_s = now
        total = f" of {progress.total:,}" if progress.total is not None else ""
        click.echo(f"  {progress.verb}: {progress.done:,}{total} documents", err=True)
