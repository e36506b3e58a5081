"""Restoring an SQL side on SQLite: the backup's file, by SQLite's backup API.

It is copied in one go, under SQLite's own lock: a concurrent reader sees either the old
or the new content. A process killed meanwhile leaves a journal, which SQLite uses to
roll it back.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from ...backend.restorer import Kept, Replacement
from ...backups import BackupFolder, Manifest
from ...backups.layout import SQLITE_FILE
from ...errors import DatabaseUnavailable, IntegrityError
from ...revisions import BackendName
from ..journal.journal import PostgresJournal
from ..server.errors import driver_errors


class SqliteRestorer:
    """Restores the whole file: what was created since the backup is lost."""

    atomic = True

    def __init__(
        self,
        engine: Engine,
        folder: BackupFolder,
        manifest: Manifest,
        *,
        journal: PostgresJournal,
        version_table: str,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._files = {file.path for file in manifest.files}
        self._journal = journal
        self._ours = {version_table, *(table.name for table in journal.tables)}

    def check(self) -> None:
        """Check that it is an intact SQLite database."""
        if SQLITE_FILE not in self._files:
            raise IntegrityError(
                "The backup has no SQLite file, but the app uses SQLite",
                hint="Restore it on a server of the kind it was made on, or with that "
                "server's own tools.",
            )
        try:
            with self._stored() as stored:
                (said,) = stored.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError as error:
            said = str(error)
        if said != "ok":
            raise IntegrityError(
                f"{SQLITE_FILE} in the backup is broken: {said}",
                hint="Restore another backup; see: flask db-migrate backup list",
            )

    @contextmanager
    def _stored(self) -> Iterator[sqlite3.Connection]:
        """Open a copy of the stored file: SQLite opens files only by name."""
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "database"
            with self._folder.read(SQLITE_FILE) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
            with closing(sqlite3.connect(path)) as stored:
                yield stored

    def replacements(self) -> tuple[Replacement, ...]:
        with self._stored() as stored:
            then = _counts(stored)
        with driver_errors("count rows"), self._engine.connect() as connection:
            now = _counts(connection.connection.driver_connection)
        return tuple(
            Replacement(
                BackendName.POSTGRES, name, now.get(name), then.get(name), kept=False
            )
            for name in sorted(then.keys() | now.keys())
            if name not in self._ours
        )

    def load(self, mark: str) -> None:
        """Do nothing: SQLite copies the file in one transaction of its own."""

    def discard(self, mark: str) -> None:
        """Do nothing: what was not committed does not exist."""

    def switch(self, mark: str) -> tuple[Kept, ...]:
        with driver_errors("read its journal"), self._engine.connect() as connection:
            if self._journal.restored(connection) == mark:
                return ()
        with self._marked(mark) as stored, self._engine.connect() as connection:
            target: Any = connection.connection.driver_connection
            try:
                stored.backup(target)
            except sqlite3.Error as error:
                raise DatabaseUnavailable(
                    f"SQLite could not be restored: {error}",
                    hint="Nothing was changed there.",
                ) from error
        return ()

    @contextmanager
    def _marked(self, mark: str) -> Iterator[sqlite3.Connection]:
        """Open the stored database with our mark in it, to restore both in one step."""
        with self._stored() as stored:
            (row,) = stored.execute("PRAGMA database_list").fetchall()
            engine = sa.create_engine(f"sqlite:///{row[2]}", poolclass=sa.NullPool)
            with engine.begin() as connection:
                self._journal.create(connection)
                self._journal.set_restored(connection, mark)
            yield stored


def _counts(connection: Any) -> dict[str, int]:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' "
        "AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    ).fetchall()
    return {
        name: connection.execute(
            'SELECT count(*) FROM "{}"'.format(name.replace('"', '""'))
        ).fetchone()[0]
        for (name,) in tables
    }
