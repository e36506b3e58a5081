"""`dualmigrate_journal`: one row per attempt; the stamp is in `alembic_version`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...backend.journal import Actor, Entry
from ...errors import IntegrityError
from ...revisions import Direction, Revision, Status
from ...runtime.crashpoints import around
from ...text import storable
from ..server.encodings import fitting
from ..server.values import Sql, in_sql
from .at_once import Found, look
from .names import JOURNAL, META

_RESTORED = "restored"
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class PostgresJournal:
    """Reads and writes the journal tables.

    schema: where they are, next to the version table; None: the default one. now:
    returns the server's current time, not that of the transaction's start.
    table_options: what a dialect adds to the tables, as `sqlalchemy.Table` takes it.
    """

    def __init__(
        self,
        schema: str | None = None,
        *,
        now: Callable[[], Any] = sa.func.clock_timestamp,
        table_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> None:
        self._now = now
        self._schema = schema
        self._metadata = sa.MetaData(schema=schema)
        self._attempts = sa.Table(
            JOURNAL,
            self._metadata,
            sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
            sa.Column("revision", sa.String(32), nullable=False),
            sa.Column("down_revision", sa.Text, nullable=False),
            sa.Column("description", sa.Text, nullable=False),
            sa.Column("direction", sa.String(9), nullable=False),
            sa.Column("status", sa.String(11), nullable=False),
            sa.Column("stamped", sa.Boolean, nullable=False),
            sa.Column("started_at", sa.DateTime(timezone=True)),
            sa.Column("finished_at", sa.DateTime(timezone=True)),
            sa.Column("duration_ms", sa.BigInteger),
            sa.Column("checksum", sa.String(64)),
            sa.Column("by", sa.Text),
            sa.Column("host", sa.Text),
            sa.Column("error", sa.Text),
            **table_options,
        )
        self._meta = sa.Table(
            META,
            self._metadata,
            sa.Column("key", sa.String(32), primary_key=True),
            sa.Column("value", sa.Text, nullable=False),
            **table_options,
        )

    @property
    def tables(self) -> tuple[sa.Table, ...]:
        """The tables, in the order of creation."""
        return tuple(self._metadata.sorted_tables)

    def exists(self, connection: Connection) -> bool:
        """Return whether there is a journal."""
        inspector = sa.inspect(connection)
        return inspector.has_table(self._attempts.name, schema=self._schema)

    def create(self, connection: Connection) -> None:
        """Create the journal tables that are missing."""
        self._metadata.create_all(connection)

    def entries(self, connection: Connection) -> dict[str, Entry] | None:
        """Return revision id -> the last attempt at it; None without a journal."""
        if not self.exists(connection):
            return None
        rows = connection.execute(sa.select(self._attempts).order_by("id"))
        return last_attempts(rows.mappings().all())

    def look(self, connection: Connection, versions: str) -> Found:
        """Read these tables and the version table at once, in PostgreSQL.

        connection: in autocommit. versions: the version table, as SQL.
        """
        return look(connection, versions, self._attempts, self._meta)

    def attempts(
        self, connection: Connection, revision_id: str
    ) -> tuple[dict[str, Any], ...]:
        """Return all attempts at a revision, oldest first."""
        if not self.exists(connection):
            return ()
        query = sa.select(self._attempts).filter_by(revision=revision_id)
        rows = connection.execute(query.order_by("id")).mappings()
        return tuple(dict(row) for row in rows)

    def pair_id(self, connection: Connection) -> str | None:
        if not sa.inspect(connection).has_table(self._meta.name, schema=self._schema):
            return None
        query = sa.select(self._meta.c.value).filter_by(key="pair_id")
        return connection.execute(query).scalar_one_or_none()

    def set_pair_id(
        self, connection: Connection, pair_id: str, *, anew: bool = False
    ) -> None:
        if anew:
            connection.execute(self._meta.delete().where(self._meta.c.key == "pair_id"))
        connection.execute(self._meta.insert().values(key="pair_id", value=pair_id))

    def pair_and_restored(
        self, connection: Connection
    ) -> tuple[str | None, str | None]:
        """Return the pair's id and the last restore's mark; None for a missing one."""
        if not self.exists(connection):
            return None, None
        query = sa.select(self._meta.c.key, self._meta.c.value)
        return pair_and_restored(
            {row.key: row.value for row in connection.execute(query)}
        )

    def restored(self, connection: Connection) -> str | None:
        """Return the mark of the last restore; None if there is none."""
        if not self.exists(connection):
            return None
        query = sa.select(self._meta.c.value).filter_by(key=_RESTORED)
        return connection.execute(query).scalar_one_or_none()

    def set_restored(self, connection: Connection, mark: str) -> None:
        of_others = self._meta.c.key == _RESTORED
        connection.execute(self._meta.delete().where(of_others))
        connection.execute(self._meta.insert().values(key=_RESTORED, value=mark))

    @around("postgres.journal.write")
    def write(
        self,
        connection: Connection,
        revision: Revision,
        *,
        direction: Direction,
        status: Status,
        checksum: str | None,
        started_at: Any = None,
        duration_ms: int | None = None,
        error: str | None = None,
        stamped: bool = False,
    ) -> None:
        """Add the row of one attempt; times are the server's, `started_at` is given."""
        values = {
            **_row(revision, direction, status, checksum),
            "stamped": stamped,
            "started_at": started_at,
            "finished_at": self._now(),
            "duration_ms": duration_ms,
            "error": error,
        }
        connection.execute(self._attempts.insert().values(_fitting(connection, values)))

    def row_in_sql(
        self,
        connection: Connection,
        revision: Revision,
        *,
        direction: Direction,
        checksum: str,
        duration_ms: int,
    ) -> str:
        """Return SQL that inserts the row of a revision that was run, in PostgreSQL.

        The server's clock says when it ended; `duration_ms` before that it began.
        """
        up = direction is Direction.UPGRADE
        status = Status.APPLIED if up else Status.ROLLED_BACK
        ended = "clock_timestamp()"
        took = f"interval '{duration_ms} milliseconds'"
        values = {
            **_row(revision, direction, status, checksum),
            "stamped": False,
            "started_at": Sql(f"{ended} - {took}"),
            "finished_at": Sql(ended),
            "duration_ms": duration_ms,
        }
        names = connection.dialect.identifier_preparer
        table = names.format_table(self._attempts).replace("%%", "%")
        columns = ", ".join(map(names.quote, values))
        row = ", ".join(map(in_sql, _fitting(connection, values).values()))
        return f"INSERT INTO {table} ({columns}) VALUES ({row})"

    def offline_row(
        self,
        revision: Revision,
        *,
        direction: Direction,
        checksum: str | None,
        by_server: Mapping[str, Any],
    ) -> sa.Insert:
        """Return the statement for the row of a revision that a script applies.

        by_server: what the server fills in, such as who, where and how long: a script
        is written in one place and run in another.
        """
        up = direction is Direction.UPGRADE
        return self._attempts.insert().values(
            revision=revision.id,
            down_revision=",".join(revision.parents),
            description=storable(revision.message),
            direction=str(direction),
            status=str(Status.APPLIED if up else Status.ROLLED_BACK),
            stamped=False,
            checksum=checksum,
            **by_server,
        )

    def stamp(
        self,
        connection: Connection,
        *,
        applied: Sequence[tuple[Revision, str]],
        gone: Sequence[Revision],
    ) -> None:
        """Record revisions marked as applied (with a checksum) or as not applied."""
        for revision, checksum in applied:
            self.write(
                connection,
                revision,
                direction=Direction.UPGRADE,
                status=Status.APPLIED,
                checksum=checksum,
                stamped=True,
            )
        for revision in gone:
            self.write(
                connection,
                revision,
                direction=Direction.DOWNGRADE,
                status=Status.ROLLED_BACK,
                checksum=None,
                stamped=True,
            )


def last_attempts(rows: Iterable[Any]) -> dict[str, Entry]:
    """Return revision id -> the last attempt at it. rows: all of them, oldest first."""
    found: dict[str, Entry] = {}
    for row in rows:
        found[row["revision"]] = _entry(row, found.get(row["revision"]))
    return found


def pair_and_restored(meta: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the pair's id and the last restore's mark, from the rows of that table."""
    return meta.get("pair_id"), meta.get(_RESTORED)


def _row(
    revision: Revision, direction: Direction, status: Status, checksum: str | None
) -> dict[str, Any]:
    """Return the columns that every row has, with who is at work."""
    actor = Actor.current()
    return {
        "revision": revision.id,
        "down_revision": ",".join(revision.parents),
        "description": revision.message,
        "direction": str(direction),
        "status": str(status),
        "checksum": checksum,
        "by": f"{actor.user} (pid {actor.pid})",
        "host": actor.host,
    }


def _fitting(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values whose texts the database can hold."""
    return {
        name: fitting(connection, value) if type(value) is str else value
        for name, value in values.items()
    }


def _entry(row: Any, before: Entry | None) -> Entry:
    """Return a row as an entry; a failed downgrade leaves the revision applied."""
    direction, status = _words(row)
    applied = direction is Direction.UPGRADE and status is Status.APPLIED
    if direction is Direction.DOWNGRADE and status is Status.FAILED and before:
        return before
    if applied and row["stamped"] and before is not None and before.applied:
        return dataclasses.replace(before, checksum=row["checksum"])
    return Entry(
        revision=row["revision"],
        direction=direction,
        status=status,
        down_revision=tuple(filter(None, row["down_revision"].split(","))),
        description=row["description"],
        started_at=_aware(row["started_at"]),
        finished_at=_aware(row["finished_at"]),
        applied_at=_aware(row["finished_at"]) if applied else None,
        duration_ms=row["duration_ms"],
        checksum=row["checksum"],
        by=row["by"],
        host=row["host"],
        error=row["error"],
        stamped=row["stamped"],
    )


def _words(row: Any) -> tuple[Direction, Status]:
    """Return two columns of a row; IntegrityError if their values are not ours."""
    try:
        return Direction(row["direction"]), Status(row["status"])
    except ValueError as error:
        raise IntegrityError(
            f"The journal in PostgreSQL has a row that does not belong to it: {error}",
            where=f"{JOURNAL}, id {row['id']}",
            hint="Restore it; or delete it, and record the revision of the "
            "database with: flask db-migrate stamp --backend postgres REVISION",
        ) from error


def _aware(moment: datetime | None) -> datetime | None:
    """Return a time with its zone: SQLite and others store none, and mean UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
