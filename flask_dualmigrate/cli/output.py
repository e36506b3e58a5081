"""Writing to stdout and stderr, which may be full, gone, or of another encoding."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from ..text import visible


def put(text: str, *, json_: bool = False) -> None:
    """Write a result to stdout, in characters that it can hold.

    Raises OSError if it cannot be written.
    """
    try:
        try:
            click.echo(text)
        except UnicodeEncodeError:  # then nothing of it was written
            click.echo(_fitting(text, sys.stdout.encoding or "ascii", json_=json_))
    except OSError:
        _leave_stdout()
        raise


def say(text: str = "", *, color: str | None = None) -> None:
    """Tell a person a line on stderr; where that is not heard, the work goes on.

    It is shown with escapes for what a terminal would obey, ends of lines among them.
    """
    text = visible(text)
    with contextlib.suppress(OSError, ValueError):
        click.echo(text if color is None else click.style(text, fg=color), err=True)


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Have what an app or a script prints go there: stdout is for the result.

    That holds for what it writes to descriptor 1 too, and for a process that it starts.
    """
    with _descriptor_of_stderr(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _descriptor_of_stderr() -> Iterator[None]:
    stdout = sys.stdout
    kept = _kept_aside(stdout)
    if kept is None:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            stdout.flush()  # what was printed to sys.__stdout__
        os.dup2(kept, 1)
        os.close(kept)


def _kept_aside(stdout: Any) -> int | None:
    """Return a copy of descriptor 1, which is stderr's now; None: it is not stdout's.

    A closed stdout is None in Python, and one that a test put there has no descriptor.
    """
    try:
        stdout.flush()
        if stdout.fileno() != 1:
            return None
        kept = os.dup(1)
    except (OSError, ValueError, AttributeError):
        return None
    try:
        os.dup2(2, 1)
    except OSError:  # there is no stderr
        os.close(kept)
        return None
    return kept


def _fitting(text: str, encoding: str, *, json_: bool) -> str:
    """Return a text with escapes for what an encoding has not."""
    if json_:  # all that is not ASCII stands in a string there
        return "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _leave_stdout() -> None:
    """Have Python not try once more at its end, which would tell a traceback."""
    with contextlib.suppress(OSError, ValueError):
        stdout = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stdout)
        os.close(nowhere)
