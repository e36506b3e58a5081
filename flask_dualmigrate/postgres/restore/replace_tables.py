"""Replacing tables by those of a backup, in a transaction already begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import Connection

from ...backend import Progress
from ...backend.restorer import Kept
from ...errors import IntegrityError
from ...revisions import BackendName
from ...runtime.crashpoints import reached
from ...runtime.stopping import Stop
from ...sql.names import quote_full
from ..backup.schema_text import KNOWN, Entry, Key
from ..journal.names import PREFIX
from ..server.raw import copy, execute
from . import live_tables as live
from .catalog_keys import everything, present
from .content import Content, Table
from .dump_data import Rows
from .enum_labels import bring_labels_back
from .live_tables import LiveTable
from .rights import Rights, Thing, make_plain, put_back, read_rights
from .surroundings import around, look, require_unchanged
from .what_to_make import split, to_make

ASIDE = f"{PREFIX}aside_"
"""The prefix of the name of a table whose rows a restore keeps."""

_ORDER = (
    *("MATERIALIZED VIEW", "VIEW", "TABLE", "FOREIGN TABLE", "SEQUENCE"),
    *("AGGREGATE", "FUNCTION", "PROCEDURE", "TYPE"),
)
"""The order in which all is dropped: a sequence owned by a table goes with it."""


_SETTINGS = {
    "search_path": "",
    "standard_conforming_strings": "on",
    "check_function_bodies": "off",
    "xmloption": "content",
    "client_min_messages": "warning",
    "row_security": "off",
    # It takes as long as it takes.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
}


_NONE = "SQL_ASCII"
"""No encoding, only bytes: the driver cannot read names, nor the server check them."""


class Replacing:
    """One transaction that replaces tables.

    ours: names of the tables that are never kept: the version table, the journal.
    """

    def __init__(
        self,
        connection: Connection,
        content: Content,
        *,
        ours: set[str],
        stop: Stop,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._connection = connection
        self._content = content
        self._ours = ours
        self._stop = stop
        self._on_progress = on_progress or (lambda progress: None)

    def run(self) -> list[Kept]:
        """Replace the tables; return what was created since the backup and is kept.

        Leaves the search_path of the transaction as it found it.
        """
        place = self._settle_in()
        doomed = doomed_tables(self._connection, self._content.tables)
        if self._content.tables is not None:
            found = around(self._connection, doomed, self._content.entries)
            found.require_nothing_lost()
        self._lock(doomed)
        reached("postgres.restore.locked")
        rights = read_rights(self._connection)
        kept = self._keep(doomed)
        self._replace(doomed, rights)
        execute(self._connection, b"SET CONSTRAINTS ALL IMMEDIATE")
        setting = sa.func.set_config("search_path", place, True)
        self._connection.execute(sa.select(setting))
        return kept

    def _settle_in(self) -> str:
        """Set up the transaction as pg_dump's output does; return the search_path."""
        show = sa.text("SELECT current_setting('search_path')")
        place = str(self._connection.execute(show).scalar_one())
        known = sa.text("SELECT name FROM pg_settings WHERE name = ANY(:names)")
        names = {"names": list(_SETTINGS)}
        there = set(self._connection.execute(known, names).scalars())
        wanted = {**_SETTINGS}
        if self._content.encoding != _NONE:
            wanted["client_encoding"] = self._content.encoding
        for name, value in wanted.items():
            if name in there:
                setting = sa.func.set_config(name, value, True)
                self._connection.execute(sa.select(setting))
        return place

    def _lock(self, doomed: list[LiveTable]) -> None:
        if doomed:
            names = ", ".join(table.quoted for table in doomed)
            sql = f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"
            execute(self._connection, sql)

    def _keep(self, doomed: list[LiveTable]) -> list[Kept]:
        """Copy the rows of tables that were created since the backup."""
        then = self._content.existed
        taken = {table.key for table in live.live_tables(self._connection)}
        kept = []
        for table in doomed:
            if table.key in then or table.name in self._ours:
                continue
            rows = live.count(self._connection, table)
            if rows:
                name = live.keep_rows(self._connection, table, taken)
                taken.add((table.schema, name))
                place = shown((table.schema, name))
                was = shown(table.key)
                kept.append(Kept(BackendName.POSTGRES, was, place, rows))
        return kept

    def _replace(self, doomed: list[LiveTable], rights: Mapping[Thing, Rights]) -> None:
        connection, entries = self._connection, self._content.entries
        gone = {table.key for table in doomed}
        outside = look(connection, gone)
        before, full = present(connection), live.populated(connection)
        self._drop(doomed, live.types_of(connection, doomed))
        reached("postgres.restore.dropped")
        after = present(connection)
        chosen = to_make(entries, self._content.tables, before=before, after=after)
        bring_labels_back(connection, entries, chosen)
        first, last = split(entries, chosen)
        self._make(first)
        self._fill(chosen)
        reached("postgres.restore.filled")
        self._make([entry for entry in last if entry.kind != "ACL"])
        self._refresh(chosen, before, full)
        make_plain(connection, rights)
        self._make([entry for entry in last if entry.kind == "ACL"])
        put_back(connection, rights)
        require_unchanged(outside, look(connection, gone))

    def _refresh(
        self,
        made: list[Entry],
        before: Collection[Key],
        full: Collection[tuple[str, str]],
    ) -> None:
        """Refresh the materialized views that held rows."""
        empty = self._content.empty_views
        for entry in made:
            if entry.kind != "MATERIALIZED VIEW" or entry.key[1:] in empty:
                continue
            if entry.key not in before or entry.key[1:] in full:
                view = quote_full(entry.key[1:])
                execute(self._connection, f"REFRESH MATERIALIZED VIEW {view}")

    def _drop(self, doomed: list[LiveTable], types: list[str]) -> None:
        if self._content.tables is None:
            self._drop_everything()
            return
        if doomed:
            names = ", ".join(table.quoted for table in doomed)
            execute(self._connection, f"DROP TABLE {names} CASCADE")
        for name in types:
            live.drop_unless_used(self._connection, "TYPE", name)

    def _drop_everything(self) -> None:
        found = [
            (kind, name)
            for kind, name in everything(self._connection)
            if not name.partition(".")[2].startswith((ASIDE, f'"{ASIDE}'))
        ]
        for kind, name in sorted(found, key=lambda each: _ORDER.index(each[0])):
            execute(self._connection, f"DROP {kind} IF EXISTS {name} CASCADE")
        known = {entry.tag for entry in self._content.entries if entry.kind == "SCHEMA"}
        quote = self._connection.dialect.identifier_preparer.quote_identifier
        for kind, _, tag in present(self._connection):
            system = tag.startswith("pg_") or tag in ("information_schema", "public")
            if kind == "SCHEMA" and tag not in known and not system:
                live.drop_unless_used(self._connection, "SCHEMA", quote(tag))

    def _make(self, entries: list[Entry]) -> None:
        with self._verbatim():
            for entry in entries:
                self._stop.require()
                if entry.settings:
                    execute(self._connection, entry.settings)
                if entry.key[0] in KNOWN or entry.is_derived:
                    execute(self._connection, entry.sql)
                else:
                    live.make_unless_there(self._connection, entry.sql)

    @contextmanager
    def _verbatim(self) -> Iterator[None]:
        """Send a dump without an encoding unchanged, whatever bytes it contains."""
        if self._content.encoding != _NONE:
            yield
            return
        show = sa.text("SELECT current_setting('client_encoding')")
        ours = self._connection.scalar(show)
        execute(self._connection, f"SET LOCAL client_encoding = '{_NONE}'")
        yield
        execute(self._connection, f"SET LOCAL client_encoding = '{ours}'")

    def _fill(self, chosen: list[Entry]) -> None:
        """Load the rows, and check that all of them arrived."""
        made = {entry.defines for entry in chosen if entry.kind == "TABLE"}
        with self._verbatim(), self._content.data() as parts:
            for part in parts:
                self._stop.require()
                if not isinstance(part, Rows):
                    execute(self._connection, part)
                    continue
                if part.table not in made:
                    raise IntegrityError(
                        f"The dump has rows of {part.name}, which is "
                        "not in the backup's schema",
                        hint="Restore another backup.",
                    )
                self._copy(part)

    def _copy(self, part: Rows) -> None:
        total, done = self._content.rows.get(part.table), 0
        began = time.monotonic()

        def reported() -> Iterator[bytes]:
            nonlocal done
            for chunk in part.chunks:
                yield chunk
                done += chunk.count(b"\n")
                self._report(part.name, done, total, began)

        copied = copy(self._connection, part.copy, reported())
        if copied != total:
            raise IntegrityError(
                f"{part.name} has {copied} rows, but the dump has {total}",
                hint="Nothing was changed.",
            )
        self._report(part.name, done, total, began, ended=True)

    def _report(
        self,
        table: str,
        done: int,
        total: int | None,
        began: float,
        *,
        ended: bool = False,
    ) -> None:
        took_s = time.monotonic() - began
        self._on_progress(
            Progress(
                revision="",
                step=-1,
                verb="restore",
                subject=table,
                done=done,
                total=total,
                rate=done / took_s if took_s else None,
                ended=ended,
                unit="rows",
                backend=BackendName.POSTGRES,
            )
        )


def doomed_tables(
    connection: Connection, tables: frozenset[Table] | None
) -> list[LiveTable]:
    """Return the tables to drop: those of a backup, and those created since.

    tables: schema and name of those that the backup covers; None: all.
    """
    return [
        table
        for table in live.live_tables(connection)
        if (tables is None or table.key in tables) and not table.name.startswith(ASIDE)
    ]


def shown(key: Table) -> str:
    """Return a table's name for a person, with its schema if that is informative."""
    return key[1] if key[0] == "public" else ".".join(key)
