"""The report of a run that a signal stopped, and the command that carries it on."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource
from flask.cli import ScriptInfo

from ..errors import redact
from ..runtime.stopping import Interrupted
from ..text import visible


def words_of_signal(stopped: Interrupted, second: bool) -> str:
    """Return the immediate reply to the first signal and to the second."""
    name = stopped.signal.name
    if not second:
        return (
            f"{name}: stopping at the next safe point; send it again to stop at once."
        )
    return (
        f"{name} again: stopped at once, as if killed; the lock on MongoDB expires "
        f"with its lease. Carry on with: {redact(carry_on(stopped.target))}"
    )


def write_now(line: str) -> None:
    """Write to stderr from a signal handler, which may have interrupted a write."""
    with contextlib.suppress(OSError):  # stderr may be closed
        os.write(2, f"{visible(line, lines=True)}\n".encode())


def words_of(stopped: Interrupted) -> str:
    """Return what a person needs to know: how far the run got, and how to carry on."""
    notes = [redact(note) for note in getattr(stopped, "__notes__", ())]
    return "\n".join([_sentences(stopped), *notes])


def facts_of(stopped: Interrupted) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "type": "Interrupted",
        "what": words_of(stopped),
        "signal": stopped.signal.name,
        "revision": stopped.revision,
        "done": list(stopped.done),
        "carry_on": redact(carry_on(stopped.target)),
    }


def _sentences(stopped: Interrupted) -> str:
    again = redact(carry_on(stopped.target))
    by = f"Stopped by {stopped.signal.name}"
    if stopped.target is None:
        half = "" if stopped.revision is None else f": {stopped.revision} is half done"
        return f"{by}{half}. Run it again with: {again}"
    done = ", ".join(stopped.done)
    if stopped.revision is not None:
        before = f" Done before it: {done}." if done else ""
        return f"{by}: {stopped.revision} is half done.{before} Carry on with: {again}"
    so_far = f"none is half done. Done: {done}" if done else "no revision was completed"
    return f"{by}: {so_far}. Carry on with: {again}"


def carry_on(target: str | None = None) -> str:
    """Return the running command as given; target replaces the given one."""
    context: click.Context | None = click.get_current_context()
    words: list[str] = [*_given(context, target)] if context else []
    while context is not None and context.parent is not None:
        words.insert(0, context.info_name or "")
        context = context.parent
    return shlex.join(["flask", *_app(context), *words])


def _app(context: click.Context | None) -> Iterator[str]:
    """Yield `--app` as given to `flask`, which cannot find the command without it."""
    found = context.find_object(ScriptInfo) if context else None
    if context is None or found is None or not found.app_import_path:
        return
    if context.get_parameter_source("app") is ParameterSource.COMMANDLINE:
        yield from ("--app", found.app_import_path)


def _given(context: click.Context, target: str | None) -> Iterator[str]:
    """Yield the arguments and options of a command that were given."""
    for parameter in context.command.params:
        name = parameter.name or ""
        is_target = isinstance(parameter, click.Argument) and target is not None
        source = context.get_parameter_source(name)
        if not is_target and source is not ParameterSource.COMMANDLINE:
            continue
        value: Any = target if is_target else context.params[name]
        values = value if parameter.multiple or parameter.nargs != 1 else [value]
        for each in values:
            if isinstance(parameter, click.Option):
                off = parameter.is_flag and not each and parameter.secondary_opts
                yield max(off or parameter.opts, key=len)
            if not (isinstance(parameter, click.Option) and parameter.is_flag):
                yield f"{each:.10g}" if isinstance(each, float) else str(each)
