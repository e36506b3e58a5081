"""The PostgreSQL part of a backup: the schema, the rows, and the tables covered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from ...backups import BackupFolder, Manifest
from ...backups.layout import POSTGRES_DUMP, POSTGRES_SCHEMA
from ...errors import BackupError, DatabaseUnavailable, IntegrityError
from ...sql.words import Name, words_of
from ..backup.programs import KEY, find_program
from ..backup.schema_text import EMPTY_VIEW, Entry, decode, encoding_of, parse
from ..server.encodings import codec_of
from .dump_data import Rows, data_of

Table = tuple[str, str]
"""Schema and name."""

_EMPTY_VIEW = re.compile(rf"^{re.escape(EMPTY_VIEW)}(.+)$", re.MULTILINE)


class Content:
    """The PostgreSQL part of one backup. program: returns the path of pg_restore."""

    def __init__(
        self, folder: BackupFolder, manifest: Manifest, program: Callable[[], str]
    ) -> None:
        assert manifest.postgres is not None
        self._folder = folder
        self._files = {file.path for file in manifest.files}
        self._part = manifest.postgres
        self._program = program

    @cached_property
    def _bytes(self) -> bytes:
        if POSTGRES_SCHEMA not in self._files:
            return b""
        with self._folder.read(POSTGRES_SCHEMA) as file:
            return file.read()

    @cached_property
    def _schema(self) -> str:
        return decode(self._bytes)

    @cached_property
    def encoding(self) -> str:
        """The encoding of its text, as PostgreSQL names it."""
        return encoding_of(self._bytes)

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The whole schema, in the order in which to create it."""
        return tuple(parse(self._schema))

    @cached_property
    def empty_views(self) -> frozenset[Name]:
        """The materialized views without rows (WITH NO DATA)."""
        found = _EMPTY_VIEW.findall(self._schema)
        return frozenset(words_of(text).name() for text in found)

    @property
    def tables(self) -> frozenset[Table] | None:
        """The tables that the plan touches or creates; None: all of them."""
        if self._part.tables is None:
            return None
        return frozenset((table.schema, table.name) for table in self._part.tables)

    @cached_property
    def existed(self) -> frozenset[Table]:
        """The tables that existed."""
        return frozenset(each.key[1:] for each in self.entries if each.kind == "TABLE")

    @cached_property
    def rows(self) -> dict[Name, int]:
        """Rows of each table in the dump; reads the whole dump.

        Raises IntegrityError if the dump cannot be read to its end.
        """
        with self.data() as parts:
            return {
                part.table: sum(chunk.count(b"\n") for chunk in part.chunks)
                for part in parts
                if isinstance(part, Rows)
            }

    @contextmanager
    def data(self) -> Iterator[Iterator[Rows | bytes]]:
        """Yield what fills the tables, as data_of does; nothing if there is none."""
        if POSTGRES_DUMP not in self._files:
            yield iter(())
            return
        with (
            self._folder.read(POSTGRES_DUMP) as dump,
            data_of(dump, self._program(), codec_of(self.encoding)) as parts,
        ):
            yield parts

    def require_consistent(self) -> None:
        """Raise IntegrityError if manifest and schema contradict each other."""
        if POSTGRES_SCHEMA not in self._files:
            raise IntegrityError(
                "The backup has no PostgreSQL dump",
                hint="Restore it where it was made, or use --backend mongo.",
            )
        for table in self._part.tables or ():
            if table.existed and (table.schema, table.name) not in self.existed:
                raise IntegrityError(
                    "The backup's manifest lists the table "
                    f"{table.schema}.{table.name}, but its schema does not contain it",
                    where=POSTGRES_SCHEMA,
                    hint="Restore another backup.",
                )


def pg_restore_for(manifest: Manifest, pg_dump: str | None) -> str:
    """Return the path of a pg_restore at least as new as a backup's pg_dump.

    pg_dump: the one that the app names, with pg_restore next to it; None: search for
    it.
    Raises DatabaseUnavailable if there is none.
    """
    made_by = manifest.versions.get("pg_dump", "0")
    major = int(made_by.partition(".")[0])
    try:
        return find_program("pg_restore", major, pg_dump).path
    except BackupError as error:
        raise DatabaseUnavailable(
            f"No pg_restore that can read the output of pg_dump {made_by} "
            "was found; nothing was changed",
            where=error.where,
            hint=f"Install postgresql-client-{major}, or name the pg_dump next "
            f"to it in {KEY}.",
        ) from error
