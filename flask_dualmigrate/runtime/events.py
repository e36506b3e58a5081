"""What happens in a run, as `logging` records with fields.

The fields are attributes of the record, as set by `extra=`: JSON formatters and
structlog read them there. docs/signals-and-limits.md has the same list as EVENTS.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any

from ..errors import redact, shown
from .stopping import Interrupted

log = logging.getLogger(__name__)

EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "run_started": ("direction", "target", "revisions", "backends"),
        "run_finished": ("direction", "target", "revisions", "duration_ms"),
        "run_failed": ("direction", "target", "error", "exit_code", "duration_ms"),
        "interrupted": ("direction", "target", "signal", "revision", "duration_ms"),
        "lock_waiting": ("backend", "holder"),
        "lock_taken": ("backend", "waited_ms"),
        "lock_released": ("backend", "held_ms"),
        "lock_lost": ("backend",),
        "recovered": (
            *("revision", "direction", "backend", "how", "notes", "duration_ms"),
        ),
        "backup_made": ("backup", "backends", "size_bytes", "duration_ms"),
        "step_begun": ("revision", "direction", "backends"),
        "step_done": ("revision", "direction", "backends", "duration_ms"),
        "step_failed": ("revision", "direction", "backends", "error", "duration_ms"),
        "step_undone": (
            *("revision", "direction", "backend", "stays", "notes", "duration_ms"),
        ),
        "operation_begun": (
            *("revision", "direction", "backend", "step", "operation", "collection"),
            "carried_on",
        ),
        "operation_done": (
            *("revision", "direction", "backend", "step", "operation", "collection"),
            *("documents", "duration_ms"),
        ),
        "operation_undone": (
            *("revision", "direction", "backend", "step", "operation", "collection"),
            "duration_ms",
        ),
        "restored": ("backup", "backends", "duration_ms"),
        "note": ("revision", "backend", "step", "operation"),
        "retry": ("backend", "attempt", "pause_s"),
    }
)
"""Name of an event -> its fields. Fields without a value are omitted."""

DETAILS = frozenset(
    {
        *("lock_taken", "lock_released", "step_begun", "step_done"),
        *("operation_begun", "operation_done", "operation_undone"),
    }
)
"""Events within a step, logged at DEBUG: an app that logs at INFO sees only runs."""

ALEMBIC_STEPS = logging.getLogger("alembic.runtime.migration")
"""Alembic logs each context and each script; a run reports its own."""


def tell(
    logger: logging.Logger,
    event: str,
    message: str,
    *,
    level: int | None = None,
    **fields: Any,
) -> None:
    """Log one event, without passwords in its message or fields.

    level: INFO unless given, DEBUG for one of DETAILS.
    """
    if level is None:
        level = logging.DEBUG if event in DETAILS else logging.INFO
    if not logger.isEnabledFor(level):
        return
    facts = {key: _plain(value) for key, value in fields.items() if value is not None}
    # No arguments: the message may contain a percent sign.
    logger.log(level, "%s", shown(message), extra={"event": event, **facts})


def _plain(value: Any) -> Any:
    """Return a value that JSON can represent: an enum or an error becomes a string."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float) else redact(str(value))


@contextmanager
def no_less_than_warnings(*loggers: logging.Logger) -> Iterator[None]:
    """Temporarily silence loggers below WARNING."""
    before = {logger: logger.level for logger in loggers}
    for logger in before:
        logger.setLevel(max(logger.getEffectiveLevel(), logging.WARNING))
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def since_ms(started: float) -> int:
    """Return milliseconds since a time on the monotonic clock."""
    return int((time.monotonic() - started) * 1000)


@contextmanager
def log_run(
    direction: str, target: str, revisions: list[str], backends: list[str]
) -> Iterator[Callable[[list[str]], None]]:
    """Log the start and end of a run; yield a function to pass the steps to."""
    run: dict[str, Any] = {"direction": direction, "target": target}
    tell(
        log,
        "run_started",
        f"{direction} to {target}: {', '.join(revisions) or 'only unfinished work'}",
        **run,
        revisions=revisions,
        backends=backends,
    )
    started, done = time.monotonic(), list[str]()
    try:
        yield done.extend
    except Interrupted as stopped:
        tell(
            log,
            "interrupted",
            f"{direction} to {target} stopped by {stopped.signal.name}",
            level=logging.WARNING,
            **run,
            signal=stopped.signal.name,
            revision=stopped.revision,
            duration_ms=since_ms(started),
        )
        raise
    except Exception as error:
        tell(
            log,
            "run_failed",
            f"{direction} to {target} failed: {error}",
            level=logging.ERROR,
            **run,
            error=error,
            exit_code=getattr(error, "exit_code", 1),
            duration_ms=since_ms(started),
        )
        raise
    tell(
        log,
        "run_finished",
        f"{direction} to {target} finished: {', '.join(done) or 'nothing'} done",
        **run,
        revisions=done,
        duration_ms=since_ms(started),
    )


@contextmanager
def log_lock(backend: str, lock: AbstractContextManager[None]) -> Iterator[None]:
    """Hold a lock; log when it was taken and released."""
    asked = taken = time.monotonic()
    is_taken = False
    try:
        with lock:
            taken, is_taken = time.monotonic(), True
            waited_ms = int((taken - asked) * 1000)
            text = f"took the lock of {backend} after {waited_ms} ms"
            tell(log, "lock_taken", text, backend=backend, waited_ms=waited_ms)
            yield
    finally:
        if is_taken:
            text, held_ms = f"released the lock of {backend}", since_ms(taken)
            tell(log, "lock_released", text, backend=backend, held_ms=held_ms)


def log_waits(backend: str, on_wait: Callable[[str], None]) -> Callable[[str], None]:
    """Return an on_wait that also logs the event."""

    def wait(holder: str) -> None:
        text = f"waiting for the lock of {backend}: {holder}"
        tell(log, "lock_waiting", text, backend=backend, holder=holder)
        on_wait(holder)

    return wait
