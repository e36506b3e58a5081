"""The progress of a run on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

import click

from ..backend import Progress
from ..backend.progress import briefly, how_far
from ..errors import redact
from ..revisions import Step
from ..runtime.stopping import Interrupted
from ..text import visible
from .interrupted import words_of, words_of_signal, write_now
from .logs import words_of_logs
from .output import say

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_FIRST_S = 1.0
"""Seconds that an operation may take before its progress is shown."""

_EVERY_S = 5.0
"""Seconds between two lines if stderr is not a terminal."""

_REDRAW_S = 0.1


class Display:
    """Shows the steps of a run and the progress of its long operations.

    A bar on a terminal, lines elsewhere. quiet: only what it waits for.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: ProgressBar[Any] | None = None
        self._of: tuple[str, int, str] | None = None
        self._next_s = 0.0
        self._spoken = False
        self._logs: AbstractContextManager[None] = words_of_logs(self.warn, quiet=quiet)

    def __enter__(self) -> Self:
        self._logs.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._close()
        self._logs.__exit__(*error)

    def step(self, step: Step) -> None:
        """Show which revision begins."""
        if self._quiet:
            return
        self._close()
        sides = " and ".join(name.label for name in reversed(step.backends))
        verb = "Upgrading" if step.direction == "upgrade" else "Downgrading"
        revision = step.revision
        say(f"{verb} {revision.id} ({revision.message}) on {sides}")

    def wait(self, holder: str) -> None:
        """Show whom the run waits for."""
        self._close()
        say(f"Waiting for another migration: {holder}")

    def backup(self, text: str) -> None:
        """Show what is backed up, and where to."""
        if not self._quiet:
            self._close()
            say(text)

    def absent(self, server: str) -> None:
        """Show which server the run waits for, and why."""
        say(f"Waiting for {server}")

    def warn(self, text: str) -> None:
        """Show a warning that the run logged."""
        self._close()
        say(text)

    def trace(self, text: str) -> None:
        """Show a traceback, for --debug."""
        for line in text.splitlines():
            say(line)

    def error(self, error: BaseException, text: str) -> None:
        """Show how the command failed, in one paragraph, then its notes."""
        say(f"Error: {text}", color="red")
        for note in getattr(error, "__notes__", ()):
            say(redact(note))

    def stopping(self, stopped: Interrupted, second: bool) -> None:
        """Answer a signal, from within its handler."""
        begin = "\n" if sys.stderr.isatty() else ""  # there may be a progress bar
        write_now(f"{begin}{words_of_signal(stopped, second)}")

    def stopped(self, stopped: Interrupted) -> None:
        """Show how to carry on after a signal."""
        for line in words_of(stopped).splitlines():
            say(line)

    def progress(self, progress: Progress) -> None:
        """Show the progress of an operation that takes longer than a moment."""
        if self._quiet:
            return
        now = time.monotonic()
        of = (progress.revision, progress.step, progress.verb)
        if of != self._of:
            self._close()
            self._of, self._next_s, self._spoken = of, now + _FIRST_S, False
        if progress.ended:
            if self._spoken:
                self._show(progress)
            self._close()
        elif now >= self._next_s and progress.done:
            self._show(progress)
            self._next_s = now + (_REDRAW_S if sys.stderr.isatty() else _EVERY_S)

    def _show(self, progress: Progress) -> None:
        self._spoken = True
        subject = f" {progress.subject}" if progress.subject else ""
        label = visible(f"  {progress.verb}{subject}")
        if not sys.stderr.isatty():
            say(f"{label}: {how_far(progress)}")
            return
        if self._bar is None:
            self._bar = click.progressbar(
                length=max(progress.total or 0, progress.done),
                label=label,
                file=sys.stderr,
                width=0,
                show_percent=False,
                show_eta=False,
                update_min_steps=0,
                item_show_func=lambda item: item,
            )
            self._bar.__enter__()
        self._bar.update(progress.done - self._bar.pos, briefly(progress))

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
