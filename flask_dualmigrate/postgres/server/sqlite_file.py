"""The file of a SQLite database."""

from __future__ import annotations

from sqlalchemy import Connection


def path_of(connection: Connection) -> str | None:
    """Return the file of the database; None: it is in memory."""
    found = connection.exec_driver_sql("PRAGMA database_list").all()
    return next((str(row[2]) for row in found if row[1] == "main" and row[2]), None)
