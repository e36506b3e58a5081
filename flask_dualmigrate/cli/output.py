"""Write to stdout and stderr, which may be full, closed or in another encoding."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click

from ..text import visible


def put(text: str, *, json_: bool = False) -> None:
    """Write a result to stdout, in characters that stdout can encode.

    Raises OSError if it cannot be written.
    """
    try:
        try:
            click.echo(text)
        except UnicodeEncodeError:  # nothing was written in that case
            click.echo(_fitting(text, sys.stdout.encoding or "ascii", json_=json_))
    except OSError:
        _leave(sys.stdout)
        raise


def say(text: str = "", *, color: str | None = None) -> None:
    """Print a line on stderr; if that fails, the work continues.

    Control characters, line ends included, are shown as escapes.
    """
    text = visible(text)
    with contextlib.suppress(OSError, ValueError):
        click.echo(text if color is None else click.style(text, fg=color), err=True)


def give_up_stderr() -> None:
    """Discard what `say` could not write, so that it does not change the exit code."""
    # A closed stderr is None in Python.
    with contextlib.suppress(ValueError, AttributeError):
        try:
            sys.stderr.flush()
        except OSError:
            _leave(sys.stderr)


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send what an app or a script prints to stderr: stdout is for the result.

    This includes writes to descriptor 1 and output of processes that it starts.
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
    """Point descriptor 1 to stderr, and return a copy of it; None: it is not stdout's.

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
    """Return a text with escapes for what an encoding lacks."""
    if json_:  # in JSON, non-ASCII occurs only in strings
        return "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _leave(stream: TextIO) -> None:
    """Keep Python from flushing again at exit, which would exit with code 120."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
