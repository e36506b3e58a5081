"""Replacing tables by those of a backup, in a transaction that is begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from ..backend import Progress
from ..crashpoints import reached
from ..errors import IntegrityError
from ..restoration import Kept
from ..revision import BackendName
from ..stopping import Stop
from . import live_tables as live
from .catalog_keys import everything, present
from .content import Content, Table
from .dump_data import Rows
from .journal import PREFIX
from .live_tables import LiveTable
from .raw import copy, execute
from .replaced import labels_of, split, to_make
from .schema_text import KNOWN, Entry, any_of, encode

ASIDE = f"{PREFIX}aside_"
"""How the name of a table begins whose rows a restore keeps."""

_ORDER = (
    *("MATERIALIZED VIEW", "VIEW", "TABLE", "FOREIGN TABLE", "SEQUENCE"),
    *("AGGREGATE", "FUNCTION", "PROCEDURE", "TYPE"),
)
"""In which everything is dropped: a sequence that a table owns goes with the table."""


_SETTINGS = {
    "search_path": "",
    "client_encoding": "UTF8",
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


class Replacing:
    """One transaction that replaces tables.

    ours: names of the tables that are never kept aside: the version table, the journal.
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
        """Replace the tables; return what was made since the backup and is kept.

        Leaves the search_path of the transaction as it found it.
        """
        place = self._settle_in()
        doomed = doomed_tables(self._connection, self._content.tables)
        self._lock(doomed)
        reached("postgres.restore.locked")
        kept = self._keep(doomed)
        self._replace(doomed)
        execute(self._connection, b"SET CONSTRAINTS ALL IMMEDIATE")
        setting = sa.func.set_config("search_path", place, True)
        self._connection.execute(sa.select(setting))
        return kept

    def _settle_in(self) -> str:
        """Set up the transaction as pg_dump's own text does; return the search_path."""
        show = sa.text("SELECT current_setting('search_path')")
        place = str(self._connection.execute(show).scalar_one())
        known = sa.text("SELECT name FROM pg_settings WHERE name = ANY(:names)")
        names = {"names": list(_SETTINGS)}
        there = set(self._connection.execute(known, names).scalars())
        wanted = {**_SETTINGS, "client_encoding": self._content.encoding}
        for name, value in wanted.items():
            if name in there:
                setting = sa.func.set_config(name, value, True)
                self._connection.execute(sa.select(setting))
        return place

    def _lock(self, doomed: list[LiveTable]) -> None:
        if doomed:
            names = ", ".join(table.quoted for table in doomed)
            sql = f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"
            execute(self._connection, encode(sql))

    def _keep(self, doomed: list[LiveTable]) -> list[Kept]:
        """Copy the rows of tables that were made since the backup."""
        then = self._content.names
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

    def _replace(self, doomed: list[LiveTable]) -> None:
        before, full = present(self._connection), live.populated(self._connection)
        types = live.types_of(self._connection, doomed)
        self._drop(doomed, types)
        reached("postgres.restore.dropped")
        after = present(self._connection)
        chosen = to_make(
            self._content.entries, self._content.tables, before=before, after=after
        )
        self._refuse_other_labels(chosen)
        first, last = split(self._content.entries, chosen)
        self._make(first)
        self._fill(chosen)
        reached("postgres.restore.filled")
        self._make(last)
        for entry in chosen:
            if entry.kind == "MATERIALIZED VIEW":
                was_there = entry.key in before
                if not was_there or (entry.schema, entry.tag) in full:
                    sql = f"REFRESH MATERIALIZED VIEW {entry.defines}"
                    execute(self._connection, encode(sql))

    def _drop(self, doomed: list[LiveTable], types: list[str]) -> None:
        if self._content.tables is None:
            self._drop_everything()
            return
        if doomed:
            names = ", ".join(table.quoted for table in doomed)
            execute(self._connection, encode(f"DROP TABLE {names} CASCADE"))
        for name in types:
            live.drop_unless_used(self._connection, "TYPE", name)

    def _drop_everything(self) -> None:
        spared = ASIDE
        found = [
            (kind, name)
            for kind, name in everything(self._connection)
            if not name.partition(".")[2].startswith((spared, f'"{spared}'))
        ]
        for kind, name in sorted(found, key=lambda each: _ORDER.index(each[0])):
            execute(self._connection, encode(f"DROP {kind} IF EXISTS {name} CASCADE"))
        known = {entry.tag for entry in self._content.entries if entry.kind == "SCHEMA"}
        quote = self._connection.dialect.identifier_preparer.quote_identifier
        for kind, _, tag in present(self._connection):
            system = tag.startswith("pg_") or tag in ("information_schema", "public")
            if kind == "SCHEMA" and tag not in known and not system:
                live.drop_unless_used(self._connection, "SCHEMA", quote(tag))

    def _refuse_other_labels(self, chosen: list[Entry]) -> None:
        """Refuse if an enum type that others use as well has lost a label since."""
        making = {id(entry) for entry in chosen}
        for entry in self._content.entries:
            wanted = labels_of(entry)
            if wanted is None or id(entry) in making or entry.defines is None:
                continue
            used = any_of([entry.defines])
            lost = set(wanted) - set(live.labels(self._connection, entry.defines))
            if lost and any(other.mentions(used) for other in chosen):
                raise IntegrityError(
                    f"The type {entry.defines} has no label {min(lost)!r} any more, "
                    "and a table that is not in this backup uses it",
                    hint="Add the label again, or restore a backup that was made with "
                    "--backup all.",
                )

    def _make(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._stop.require()
            if entry.settings:
                execute(self._connection, encode(entry.settings))
            if entry.key[0] in KNOWN or entry.is_derived:
                execute(self._connection, encode(entry.sql))
            else:
                live.make_unless_there(self._connection, entry.sql)

    def _fill(self, chosen: list[Entry]) -> None:
        """Bring the rows in, and see that all of them came."""
        made = {entry.defines for entry in chosen if entry.kind == "TABLE"}
        with self._content.data() as parts:
            for part in parts:
                self._stop.require()
                if not isinstance(part, Rows):
                    execute(self._connection, part)
                    continue
                if part.table not in made:
                    raise IntegrityError(
                        f"The dump has rows of {part.table}, which the backup's schema "
                        "does not have",
                        hint="Restore another backup.",
                    )
                self._copy(part)

    def _copy(self, part: Rows) -> None:
        total, done = self._content.rows.get(part.table), 0
        began = time.monotonic()

        def told() -> Iterator[bytes]:
            nonlocal done
            for chunk in part.chunks:
                yield chunk
                done += chunk.count(b"\n")
                self._tell(part.table, done, total, began)

        copied = copy(self._connection, part.copy, told())
        if copied != total:
            raise IntegrityError(
                f"{part.table} has {copied} rows, and the dump {total}",
                hint="Nothing was changed.",
            )
        self._tell(part.table, done, total, began, ended=True)

    def _tell(
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
    """Return the tables that go: those of a backup, and those made since.

    tables: schema and name of those that it is about; None: all.
    """
    return [
        table
        for table in live.live_tables(connection)
        if (tables is None or table.key in tables) and not table.name.startswith(ASIDE)
    ]


def shown(key: Table) -> str:
    """Return a table's name for a person: its schema where that tells something."""
    return key[1] if key[0] == "public" else ".".join(key)
