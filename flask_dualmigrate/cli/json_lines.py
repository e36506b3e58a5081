"""`--log-format json`: events as JSON lines on stderr, for a log collector."""

from __future__ import annotations

import logging
from typing import Any

from ..backend import Progress
from ..errors import redact
from ..revisions import Step
from ..runtime.events import tell
from ..runtime.stopping import Interrupted
from .interrupted import facts_of, words_of_signal, write_now
from .logs import JsonFormatter, json_of_logs
from .output import say
from .progress import Display

log = logging.getLogger(__name__)


class JsonLines(Display):
    """Writes one object per line: the events of the run, its progress and its end.

    quiet: warnings and errors only.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._trace: str | None = None
        self._logs = json_of_logs(say, quiet=quiet)

    def step(self, step: Step) -> None:
        """Do nothing: `step_begun` reports it."""

    def wait(self, holder: str) -> None:
        """Do nothing: `lock_waiting` reports it."""

    def backup(self, text: str) -> None:
        """Do nothing: `backup_made` reports it."""

    def absent(self, server: str) -> None:
        text = f"waiting for {server}"
        name, _, reason = redact(server).partition(": ")
        fields = {"server": name, "error": reason or None}
        line = _line(logging.WARNING, "server_waiting", text, **fields)
        say(line)

    def trace(self, text: str) -> None:
        self._trace = text

    def error(self, error: BaseException, text: str) -> None:
        fields = {
            "type": type(error).__name__,
            "exit_code": getattr(error, "exit_code", 1),
            "where": getattr(error, "where", None),
            "hint": getattr(error, "hint", None),
            "losses": getattr(error, "losses", None),
            "exception": self._trace,
            "notes": [redact(note) for note in getattr(error, "__notes__", ())] or None,
        }
        say(_line(logging.ERROR, "error", text, **fields))

    def stopping(self, stopped: Interrupted, second: bool) -> None:
        event = "killed" if second else "stopping"
        text = words_of_signal(stopped, second)
        signal = stopped.signal.name
        write_now(_line(logging.WARNING, event, text, signal=signal))

    def stopped(self, stopped: Interrupted) -> None:
        facts = facts_of(stopped)
        text = facts.pop("what")
        facts.pop("type")
        line = _line(logging.WARNING, "stopped", text, **facts)
        say(line)

    def _show(self, progress: Progress) -> None:
        self._spoken = True
        left_s, rate = progress.left_s, progress.rate
        tell(
            log,
            "progress",
            f"{progress.verb} {progress.subject or ''}".rstrip(),
            revision=progress.revision or None,
            backend=progress.backend,
            step=None if progress.step < 0 else progress.step,
            operation=progress.verb,
            collection=progress.subject,
            documents=progress.done,
            total=progress.total,
            documents_per_s=None if rate is None else round(rate, 1),
            left_s=None if left_s is None else round(left_s, 1),
        )


def _line(level: int, event: str, message: str, **fields: Any) -> str:
    """Return a line for the end of the command, which is not a log record."""
    record = logging.makeLogRecord(
        {
            "name": log.name,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": "%s",
            "args": (message,),
            "event": event,
            **fields,
        }
    )
    return JsonFormatter().format(record)
