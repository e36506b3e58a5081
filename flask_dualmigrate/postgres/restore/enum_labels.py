"""Restoring the labels of an enum type that stays because others use it too."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from ...errors import IntegrityError
from ...sql.names import quote_full
from ...sql.tokens import literal
from ..backup.dependents import Dependent, dependents_of, listed
from ..backup.schema_text import Entry
from ..server.raw import execute
from . import live_tables as live
from .what_to_make import labels_of

_OID = sa.text("SELECT CAST(to_regtype(:quoted) AS oid)")


def bring_labels_back(
    connection: Connection, entries: Collection[Entry], chosen: Sequence[Entry]
) -> None:
    """Undo ALTER TYPE … RENAME VALUE on types that stay and are needed again.

    entries: the whole schema of the backup. chosen: the entries to create. The tables
    of the backup are dropped: whatever uses a type now is outside of it. Raises
    IntegrityError, naming what uses the type, if that would change values there, or if
    a label is gone for another reason.
    """
    making = {id(entry) for entry in chosen}
    for entry in entries:
        wanted = labels_of(entry)
        if wanted is None or id(entry) in making or entry.defines is None:
            continue
        quoted = quote_full(entry.defines)
        now = live.labels(connection, quoted)
        is_used = any(each.mentions({entry.defines}) for each in chosen)
        if set(wanted) <= set(now) or not is_used:
            continue
        others = _users(connection, quoted)
        columns = [found.said for found in others if found.holds_rows]
        renamed = _renamed(wanted, now)
        if columns or renamed is None:
            raise _refused(entry, wanted, now, columns, others)
        for old, new in renamed:
            names = f"{literal(new)} TO {literal(old)}"
            sql = f"ALTER TYPE {quoted} RENAME VALUE {names}"
            execute(connection, sql)


def _users(connection: Connection, quoted: str) -> list[Dependent]:
    oid = connection.scalar(_OID, {"quoted": quoted})
    found = dependents_of(connection, "pg_type", [] if oid is None else [oid])
    return [each for each in found if not each.inner_part and each.kind != "type"]


def _renamed(wanted: Sequence[str], now: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return then -> now of labels that were only renamed; None if more changed."""
    if len(wanted) != len(now):
        return None
    pairs = [(old, new) for old, new in zip(wanted, now, strict=True) if old != new]
    if {old for old, _ in pairs} & set(now) or {new for _, new in pairs} & set(wanted):
        return None
    return pairs


def _refused(
    entry: Entry,
    wanted: Sequence[str],
    now: Sequence[str],
    columns: Sequence[str],
    others: Sequence[Dependent],
) -> IntegrityError:
    lost = min(set(wanted) - set(now))
    users = columns or [found.said for found in others]
    used = f", and cannot be recreated: {listed(users)} uses it" if users else ""
    return IntegrityError(
        f"The type {entry.schema}.{entry.tag} no longer has the label {lost!r}{used}; "
        "nothing was changed",
        hint="Add the label again, or restore a backup that was made with "
        "--backup all.",
    )
