"""The handling of the package's log records while a command runs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from ..errors import redact
from ..runtime.events import ALEMBIC_STEPS, no_less_than_warnings
from ..text import visible_json

PACKAGE = logging.getLogger(__name__.partition(".")[0])

_TOLD_OTHERWISE = {"interrupted", "run_failed", "step_failed", "step_undone"}
"""Events that the command reports in its own words."""

_STANDARD = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line, with the fields of its `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": None,  # its place; from the fields below
            "message": redact(record.getMessage()),
            "logger": record.name,
        }
        fields = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        entry |= fields
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        kept = {key: value for key, value in entry.items() if value is not None}
        return visible_json(json.dumps(kept, ensure_ascii=False, default=str))


class _Calls(logging.Handler):
    """Hands each record to a function."""

    def __init__(self, level: int, call: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(level)
        self._call = call

    def emit(self, record: logging.LogRecord) -> None:
        self._call(record)


@contextmanager
def words_of_logs(say: Callable[[str], None], *, quiet: bool) -> Iterator[None]:
    """Show warnings to a person, unless the app logs them.

    The app's log does not repeat on stderr what the command reports at its end.

    quiet: drop what the app would log of a run below WARNING.
    """
    more = (PACKAGE, logging.getLogger("alembic")) if quiet else ()
    reported = _repeated_nowhere() if PACKAGE.hasHandlers() else _warnings_said(say)
    with no_less_than_warnings(ALEMBIC_STEPS, *more), reported:
        yield


@contextmanager
def _repeated_nowhere() -> Iterator[None]:
    """Hide what the command reports itself from the app's stderr handlers.

    Log files and other handlers still get it.
    """
    handlers = [handler for handler in _handlers() if _is_of_stderr(handler)]
    for handler in handlers:
        handler.addFilter(_is_only_logged)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_only_logged)


def _is_only_logged(record: logging.LogRecord) -> bool:
    return vars(record).get("event") not in _TOLD_OTHERWISE


def _handlers() -> Iterator[logging.Handler]:
    """Yield the handlers that receive the package's records."""
    logger: logging.Logger | None = PACKAGE
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _is_of_stderr(handler: logging.Handler) -> bool:
    """Return whether a handler writes to stderr, or to stdout, which goes there too."""
    stream = getattr(handler, "stream", None)
    with suppress(OSError, ValueError, AttributeError):
        if stream.fileno() in (1, 2):  # type: ignore[union-attr]
            return True
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return stream is not None and any(stream == each for each in streams)


@contextmanager
def _warnings_said(say: Callable[[str], None]) -> Iterator[None]:

    def call(record: logging.LogRecord) -> None:
        if vars(record).get("event") not in _TOLD_OTHERWISE:
            say(record.getMessage())

    handler = _Calls(logging.WARNING, call)
    PACKAGE.addHandler(handler)
    try:
        yield
    finally:
        PACKAGE.removeHandler(handler)


@contextmanager
def json_of_logs(write: Callable[[str], None], *, quiet: bool) -> Iterator[None]:
    """Write the package's events as JSON lines, and nowhere else.

    This includes the events of each step; with quiet, only warnings and errors.
    """
    formatter = JsonFormatter()

    def call(record: logging.LogRecord) -> None:
        if record.levelno >= logging.INFO or "event" in vars(record):
            write(formatter.format(record))

    level = logging.WARNING if quiet else logging.DEBUG
    handler = _Calls(level, call)
    level_before, propagate_before = PACKAGE.level, PACKAGE.propagate
    PACKAGE.addHandler(handler)
    PACKAGE.setLevel(level)
    PACKAGE.propagate = False
    try:
        with no_less_than_warnings(ALEMBIC_STEPS, logging.getLogger("alembic")):
            yield
    finally:
        PACKAGE.setLevel(level_before)
        PACKAGE.propagate = propagate_before
        PACKAGE.removeHandler(handler)
