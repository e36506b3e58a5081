"""Which objects of a schema a restore recreates, given what is there."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ...sql.words import Name, words_of
from ..backup.schema_text import KNOWN, Entry, Key

_OF_TABLE = re.compile(
    r"(?:CONSTRAINT|TRIGGER|RULE|POLICY) (?P<name>.+) ON (?:DOMAIN )?(?P<table>.+)"
)
_INDEXES = ("INDEX", "CONSTRAINT", "INDEX ATTACH")


def to_make(
    entries: Sequence[Entry],
    tables: Collection[tuple[str, str]] | None,
    *,
    before: Collection[Key],
    after: Collection[Key],
) -> list[Entry]:
    """Return the entries to run, in order.

    tables: schema and name of those that were dropped; None: everything. before, after:
    what existed before they were dropped, and after. What was dropped with the tables
    is recreated: the foreign keys of others, views. So is what was dropped earlier and
    depends on them, or they on it; anything else that is missing was dropped on
    purpose.
    """
    missing = [e for e in entries if e.key[0] in KNOWN and e.key not in after]
    if tables is None:
        made = missing
    else:
        gone = [entry for entry in missing if entry.key in before]
        gone += [e for e in missing if e.key[0] == "TABLE" and e.key[1:] in tables]
        made = _with_what_hangs(gone, missing)
    derived = _derived(entries, made)
    others = [
        e
        for e in entries
        if tables is None and e.key[0] not in KNOWN and not e.is_derived
    ]
    wanted = {id(entry) for entry in (*made, *derived, *others)}
    return [entry for entry in entries if id(entry) in wanted]


def _with_what_hangs(gone: Sequence[Entry], missing: Sequence[Entry]) -> list[Entry]:
    """Add the missing entries that mention one of these, or are mentioned in one."""
    found = {id(entry): entry for entry in gone}
    while True:
        names = {entry.defines for entry in found.values()}
        more = [
            entry
            for entry in missing
            if id(entry) not in found
            and (
                entry.mentions(names)
                or any(other.mentions({entry.defines}) for other in found.values())
            )
        ]
        if not more:
            return list(found.values())
        found.update((id(entry), entry) for entry in more)


def _derived(entries: Sequence[Entry], made: Sequence[Entry]) -> list[Entry]:
    """Return the comments, grants and the like of what is created."""
    names = {entry.defines for entry in made}
    tags = {(entry.schema, entry.tag) for entry in made}
    whole = {(e.schema, e.tag) for e in made if e.key[0] in ("TABLE", "TYPE")}
    found = []
    for entry in entries:
        if not entry.is_derived:
            continue
        place = _OF_TABLE.fullmatch(entry.tag)
        of_schema = entry.tag.partition(" ")[2] if entry.schema == "-" else ""
        if place:
            # A CHECK is part of its table's entry: it has none of its own.
            table, name = (words_of(place[n]).name()[1] for n in ("table", "name"))
            belongs = (entry.schema, f"{table} {name}") in tags or (
                (entry.schema, table) in whole
            )
        else:
            belongs = entry.mentions(names) or ("-", of_schema) in tags
        if belongs:
            found.append(entry)
    return found


def split(
    entries: Sequence[Entry], chosen: Sequence[Entry]
) -> tuple[list[Entry], list[Entry]]:
    """Return what is created before the rows are loaded, and what after.

    entries: all of the schema, whose order shows where the rows belong.
    """
    wanted = {id(entry) for entry in chosen}
    border = next(
        (n for n, entry in enumerate(entries) if entry.is_after_data), len(entries)
    )
    made = {entry.defines for entry in chosen}
    late = {id(entry) for entry in chosen if _joins_another(entry, made)}
    before = [e for e in entries[:border] if id(e) in wanted and id(e) not in late]
    after = [e for e in entries[border:] if id(e) in wanted and id(e) not in late]
    # If its table was there all the time, a partition has to bring all its indexes
    # along, or it would be given others.
    place = 1 + max((n for n, e in enumerate(after) if e.kind in _INDEXES), default=-1)
    joining = [entry for entry in entries if id(entry) in late]
    return before, [*after[:place], *joining, *after[place:]]


def _joins_another(entry: Entry, made: Collection[Name | None]) -> bool:
    """Return whether it makes something a part of what was there all the time."""
    statement = entry.statement
    if statement is None or not statement.rest.accept("ATTACH", "PARTITION"):
        return False
    return statement.target not in made


def labels_of(entry: Entry) -> tuple[str, ...] | None:
    """Return the labels of an enum type; None if it is another kind of type."""
    if entry.kind != "TYPE" or entry.statement is None:
        return None
    rest = entry.statement.rest
    return tuple(rest.texts()) if rest.accept("AS", "ENUM") else None
