"""Updates to an entry of `_migrations`: an attempt runs, is undone, has ended.

Pure functions. The updates are pipelines: the times in them are the server's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...backend.journal import Actor
from ...revisions import Direction, Revision, Status
from ...text import storable, storable_lines

Doc = dict[str, Any]

KEPT_ATTEMPTS = 50
UNDOING = "undoing"
"""A field in entries of versions in which a run records that it starts to undo."""
UNSTAMPED = {
    "status": str(Status.ROLLED_BACK),
    "direction": str(Direction.DOWNGRADE),
    "awaits_partner": False,
    UNDOING: False,
    "partial": False,
    "notes": [],
    "stamped": True,
}


def beginning(
    revision: Revision, direction: Direction, *, checksum: Any, by: Any, host: Any
) -> list[Doc]:
    """Return the update that records that an attempt runs; times are the server's."""
    # A downgrade that is undone must not hide an edit.
    known = {"checksum": checksum} if direction is Direction.UPGRADE else {}
    fields = {
        **literal(_identity(revision)),
        "direction": str(direction),
        "status": str(Status.RUNNING),
        **known,
        "by": {"$literal": by},
        "host": {"$literal": host},
        "started_at": "$$NOW",
        "finished_at": None,
        "error": None,
        "awaits_partner": False,
        UNDOING: False,
        "history": _history(),
    }
    return [{"$set": fields}]


def undoing(direction: Direction) -> list[Doc]:
    """Return the update that records that an attempt is being undone."""
    fields = {
        "direction": str(direction),
        "status": str(Status.RUNNING),
        "awaits_partner": False,
        UNDOING: True,
        "history": _history(),
    }
    return [{"$set": fields}]


def ending(
    status: Status,
    *,
    direction: Direction,
    duration_ms: Any = None,
    awaits_partner: bool = False,
    partial: bool = False,
    error: str | None = None,
    notes: Sequence[str] = (),
) -> list[Doc]:
    """Return the update that records how an attempt ended; see MongoJournal.finish.

    duration_ms: a number, or an expression.
    """
    said = {"$literal": None if error is None else storable(error)}
    fields: Doc = {
        "status": str(status),
        "direction": str(direction),
        "finished_at": "$$NOW",
        "awaits_partner": awaits_partner,
        UNDOING: False,
        "partial": partial,
        "error": said,
        "notes": [],
    }
    if direction is Direction.UPGRADE and status is Status.APPLIED:
        fields |= {"applied_at": "$$NOW", "duration_ms": duration_ms}
        fields["stamped"] = False
    attempt = {
        "direction": str(direction),
        "status": str(Status.FAILED if error else status),
        "started_at": "$started_at",
        "finished_at": "$$NOW",
        "duration_ms": duration_ms,
        "by": "$by",
        "host": "$host",
        "error": said,
        "notes": {"$literal": storable_lines(notes)},
    }
    attempts = {"$concatArrays": [_history(), [attempt]]}
    kept = {"$slice": [attempts, -KEPT_ATTEMPTS]}
    return [{"$set": {**fields, "history": kept}}]


def _history() -> Doc:
    """Return the attempts before this one, as an expression.

    An attempt that waits for its partner will continue or be undone, so it is not added
    twice.
    """
    history = {"$ifNull": ["$history", []]}
    before_it = {"$slice": [history, {"$subtract": [{"$size": history}, 1]}]}
    return {"$cond": ["$awaits_partner", before_it, history]}


def _identity(revision: Revision) -> Doc:
    return {
        "revision": revision.id,
        "down_revision": list(revision.parents),
        "description": storable(revision.message),
    }


def stamping(revision: Revision, checksum: str) -> Doc:
    actor = Actor.current()
    return {
        **_identity(revision),
        "direction": str(Direction.UPGRADE),
        "status": str(Status.APPLIED),
        "checksum": checksum,
        "by": f"{actor.user} (pid {actor.pid})",
        "host": actor.host,
        "duration_ms": None,
        "stamped": True,
        "awaits_partner": False,
        UNDOING: False,
        "partial": False,
        "error": None,
        "notes": [],
    }


def literal(fields: Doc) -> Doc:
    return {key: {"$literal": value} for key, value in fields.items()}
