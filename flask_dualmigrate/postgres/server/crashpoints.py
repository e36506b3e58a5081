"""The crash points of a PostgreSQL transaction, from SQLAlchemy's events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, event

from ...runtime import crashpoints

POINTS = {
    "begin": "postgres.begin",
    "before_cursor_execute": "postgres.statement.before",
    "after_cursor_execute": "postgres.statement.after",
    "commit": "postgres.commit.before",
}


def watch(connection: Connection) -> None:
    """Visit the points of one connection if crash points are armed."""
    if not crashpoints.armed:
        return
    for name, point in POINTS.items():
        event.listen(connection, name, _visitor(point))


def _visitor(point: str) -> Any:
    def visit(*_: Any) -> None:
        crashpoints.reached(point)

    return visit
