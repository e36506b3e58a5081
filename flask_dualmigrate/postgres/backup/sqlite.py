"""Backing up an SQLite file with SQLite's own backup API."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...backend import BackupItem, Dumped, Extent
from ...backups import BackupFolder, PostgresPart, Scope, layout
from ...revisions import BackendName
from ..server.sqlite_file import path_of

_PAGES = 2048
"""The number copied at a time; other sessions may write in between."""


def extent_of_sqlite(connection: Connection, journal: Collection[str]) -> Extent:
    """Return what a backup holds: the whole file, or nothing, and why."""
    path = path_of(connection)
    if path is None:
        why = "a database in memory: it has no file"
        return Extent(BackendName.POSTGRES, Scope.ALL, (), why)
    tables = set(sa.inspect(connection).get_table_names()) - set(journal)
    item = BackupItem(
        os.path.basename(path),
        size_bytes=os.path.getsize(path) if os.path.exists(path) else 0,
        is_empty=not any(_has_rows(connection, table) for table in sorted(tables)),
    )
    return Extent(BackendName.POSTGRES, Scope.ALL, (item,))


def dump_sqlite(
    connection: Connection, folder: BackupFolder, applied: Sequence[str]
) -> Dumped:
    """Copy a database's file, as of one moment, while others use it."""
    source: Any = connection.connection.driver_connection
    path = path_of(connection) or ""
    with folder.new_file(layout.SQLITE_FILE) as file:
        # No one else can put a file there: only we can access the folder.
        target = sqlite3.connect(folder.path / layout.SQLITE_FILE)
        try:
            target.execute("PRAGMA journal_mode = OFF")
            source.backup(target, pages=_PAGES)
        finally:
            target.close()
        file.seek(0)
    part = PostgresPart(os.path.basename(path), tuple(applied))
    return Dumped(part, {"sqlite": sqlite3.sqlite_version})


def _has_rows(connection: Connection, table: str) -> bool:
    query = sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)
    return connection.execute(query).first() is not None
