"""A blueprint for an orchestrator's readiness and liveness probes.

It names only revisions: no host, no user, no driver error. Those are logged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from flask import Blueprint, Response, jsonify

from .errors import DatabaseUnavailable, DualMigrateError, shown
from .run.readiness import Readiness

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
"""Seconds that a probe waits for the databases."""

_HUNG_S = 30.0
"""Seconds after which a hanging question is asked again in another thread."""

_SEE_LOG = "see the log of the app"

Read = Callable[[], Readiness]


class Probe:
    """Asks the databases, within a time limit, whether they match the code.

    read: the query; it may hang for as long as a driver does, so it runs in its own
    thread, and probes that arrive meanwhile wait for the same answer.
    """

    def __init__(self, read: Read, *, timeout_s: float = TIMEOUT_S) -> None:
        self._read = read
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._asked: Future[Readiness] | None = None
        self._asked_at = 0.0

    def ask(self) -> Readiness:
        """Return the answer.

        Raises TimeoutError if there is none in time, else what `read` raises.
        """
        with self._lock:
            asked = self._asked
            hangs = time.monotonic() - self._asked_at > _HUNG_S
            if asked is None or asked.done() or hangs:
                asked = self._asked = Future()
                self._asked_at = time.monotonic()
                threading.Thread(
                    target=self._answer,
                    args=(asked,),
                    name="dualmigrate-health",
                    daemon=True,
                ).start()
        return asked.result(self._timeout_s)

    def _answer(self, asked: Future[Readiness]) -> None:
        try:
            asked.set_result(self._read())
        except BaseException as error:
            asked.set_exception(error)


def make_blueprint(ask: Read) -> Blueprint:
    """Return the blueprint: `/ready` and `/live`, under `/healthz` unless registered
    with another url_prefix. ask: as `Probe.ask` of the current app."""
    blueprint = Blueprint("dualmigrate_health", __name__, url_prefix="/healthz")

    @blueprint.get("/ready")
    def ready() -> Response:
        """Return 200 if the databases are at head, else 503 and what is missing."""
        return _answer(**_report(ask))

    @blueprint.get("/live")
    def live() -> Response:
        """Return 200: the process answers. No database is contacted."""
        return _answer(live=True)

    return blueprint


def _report(ask: Read) -> dict[str, Any]:
    """Return the body of an answer."""
    readiness, why = Readiness(), None
    try:
        readiness = ask()
    except TimeoutError:
        why = "the databases did not answer in time"
    except DualMigrateError as error:
        log.warning("Not ready: %s", error)
        is_down = isinstance(error, DatabaseUnavailable)
        why = "a database cannot be used" if is_down else _SEE_LOG
    except Exception as error:  # such as one of the app's: no Flask error page
        log.warning("Not ready: %s: %s", type(error).__name__, shown(str(error)))
        why = _SEE_LOG
    if not readiness.paired:
        why = "the two databases do not belong together"
    elif readiness.half_done:
        why = "a migration is half done"
    elif readiness.pending:
        why = "revisions are pending"
    return {
        "ready": why is None,
        "why": why,
        "pending": readiness.pending,
        "half_done": readiness.half_done,
        "ahead": readiness.ahead,
        "paired": readiness.paired,
    }


def _answer(**body: Any) -> Response:
    response = jsonify(body)
    response.status_code = 503 if body.get("ready") is False else 200
    response.headers["Cache-Control"] = "no-store"
    return response
