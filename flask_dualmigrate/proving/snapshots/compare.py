"""Compare two snapshots of a database, and describe the differences."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bson
from bson import ObjectId
from bson.binary import Binary

from ...revisions import BackendName
from .mongo import shown
from .snapshot import Records, Snapshot, Thing


@dataclasses.dataclass(frozen=True)
class Difference:
    """One difference between two snapshots.

    kind: column, index, row, document, …; name: which one. what: the attribute that
    differs; "" if the whole thing is missing or was added. before, after: its values;
    None: not there.
    """

    backend: BackendName
    kind: str
    name: str
    what: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        subject = f"{self.backend.label} {self.kind} {self.name}"
        if not self.what:
            if self.after is None:
                return f"{subject} is missing (it was: {self.before})"
            if self.before is None:
                return f"{subject} is left behind: {self.after}"
            return f"{subject} was {self.before}, and is {self.after}"
        was = "not there" if self.before is None else self.before
        now = "not there" if self.after is None else self.after
        return f"{subject}: {self.what} was {was}, and is {now}"


_LONGEST = 60
Values = Mapping[str, Any]


def compare_things(
    side: BackendName, before: Snapshot, after: Snapshot
) -> list[Difference]:
    """Return how the schema differs: tables, columns, indexes, options, …

    If something is missing as a whole, its parts are not listed.
    """
    found: list[Difference] = []
    gone: set[str] = set()
    names = before.things.keys() | after.things.keys()
    for thing in sorted(names, key=_tables_first):
        one, other = before.things.get(thing), after.things.get(thing)
        if one == other:
            continue
        if one is None or other is None:
            if not _belongs(thing, one or other or {}, gone):
                words = (_in_words(one), _in_words(other))
                found.append(Difference(side, *thing, "", *words))
            gone.add(thing[1])
            continue
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                values = one.get(key), other.get(key)
                found.append(Difference(side, *thing, key, *values))
    return found


def _tables_first(thing: Thing) -> tuple[bool, bool, Thing]:
    """Sort owners before what belongs to them: an index may belong to a column."""
    return ("." in thing[1] and thing[0] != "table", thing[0] != "column", thing)


def _belongs(thing: Thing, attributes: Mapping[str, str], gone: set[str]) -> bool:
    if thing[0] in ("table", "collection", "view"):
        return False
    owners = [attributes.get("owner", ""), thing[1]]
    return any(
        owner == name or owner.startswith(f"{name}.")
        for owner in owners
        for name in gone
        if owner
    )


def _in_words(attributes: Mapping[str, str] | None) -> str | None:
    if attributes is None:
        return None
    if "definition" in attributes:
        return _cut(attributes["definition"], 200)
    words = ", ".join(f"{key} {value}" for key, value in attributes.items())
    return _cut(words, 200) or "there"


class Comparison:
    """What became of rows or documents after a downgrade or after a second upgrade.

    differences: one for each place and attribute, with a count; lost: what was removed
    for a reason that the scripts give.
    """

    def __init__(self, side: BackendName) -> None:
        self.side = side
        self.lost: Counter[str] = Counter()
        self._found: dict[tuple[str, str, str], list[tuple[str, Any, Any]]] = {}

    @property
    def differences(self) -> list[Difference]:
        found = []
        for (kind, name, what), examples in self._found.items():
            key, before, after = examples[0]
            more = f" (and {len(examples) - 1:,} more)" if examples[1:] else ""
            words = (self._word(before), self._word(after))
            found.append(
                Difference(self.side, kind, f"{name} {key}{more}", what, *words)
            )
        return found

    def _word(self, value: Any) -> str | None:
        if value is MISSING:
            return None
        if isinstance(value, Mapping):
            inner = ", ".join(f"{k}: {self._word(v)}" for k, v in value.items())
            return _cut(f"{{{inner}}}", 2 * _LONGEST)
        if isinstance(value, Order):
            return _cut(", ".join(value), 2 * _LONGEST)
        if isinstance(value, bytes):
            return _cut(shown(value), _LONGEST)
        return "NULL" if value is None else _cut(repr(str(value)), _LONGEST)

    def add(
        self, kind: str, name: str, what: str, key: str, before: Any, after: Any
    ) -> None:
        self._found.setdefault((kind, name, what), []).append((key, before, after))


MISSING = object()
"""There is nothing, as opposed to NULL."""


class Order(tuple[str, ...]):
    """The names of a document's fields, in order."""


def compare_back(
    side: BackendName,
    before: Snapshot,
    between: Snapshot,
    after: Snapshot,
    *,
    losses: Sequence[str],
) -> Comparison:
    """Compare rows and documents after the downgrade with those before the upgrade.

    between: after the upgrade. A column that was dropped or whose type changed has lost
    its values, and no downgrade can restore them. losses: what else the upgrade removes
    for good, in words.
    """
    found = Comparison(side)
    for name, records in before.records.items():
        later = after.records.get(name, Records(records.kind, {}))
        why = _reason(side, name, between.records.get(name), losses)
        for key, old, new in _pairs(records, later):
            if old is None or new is None:
                if why is not None and new is None:
                    found.lost[f"{name}: {records.kind}s ({why})"] += 1
                else:
                    _whole(found, records.kind, name, key, old, new)
                continue
            for field, one, other in _fields(side, old, new):
                cause = why or _column_reason(records, between.records.get(name), field)
                if cause is not None:
                    found.lost[f"{name}.{field}: values ({cause})"] += 1
                else:
                    found.add(records.kind, name, field, key, one, other)
    return found


def _reason(
    side: BackendName, name: str, between: Records | None, losses: Sequence[str]
) -> str | None:
    """Return why a whole table or collection may be lost; None if it may not."""
    if between is None and side is BackendName.POSTGRES:
        return "the upgrade drops the table"
    bare = name.rpartition(".")[2] if side is BackendName.POSTGRES else name
    for loss in losses:
        words = set(
            "".join(c if c.isalnum() or c in "_-." else " " for c in loss).split()
        )
        if {bare, name} & words and not _of_a_column(loss, side):
            return f"the upgrade reports: {loss}"
    return None


def _of_a_column(loss: str, side: BackendName) -> bool:
    """Return whether a loss is of a column; the schema shows better which one."""
    words = ("drop_column", "alter_column", "DROP COLUMN", "ALTER COLUMN")
    return side is BackendName.POSTGRES and any(word in loss for word in words)


def _column_reason(records: Records, between: Records | None, field: str) -> str | None:
    if not records.fields or between is None:
        return None
    if field not in between.fields:
        return "the upgrade drops the column"
    old, new = records.fields.get(field), between.fields[field]
    return None if old == new else f"the upgrade makes {new} of {old}"


def compare_again(
    side: BackendName, before: Snapshot, first: Snapshot, second: Snapshot
) -> Comparison:
    """Compare rows and documents after the first and the second upgrade.

    before: what there was before the first one. Values that are generated each time,
    such as keys and times, may differ if the upgrade itself generated them.
    """
    found = Comparison(side)
    for name in sorted(first.records.keys() | second.records.keys()):
        one = first.records.get(name) or Records("row", {})
        other = second.records.get(name) or Records(one.kind, {})
        known = before.records.get(name, Records(one.kind, {}))
        for key, old, new in _pairs(_only(one, known), _only(other, known)):
            if old is None or new is None:
                _whole(found, one.kind, name, key, old, new)
                continue
            for field, was, now in _fields(side, old, new):
                is_new = field not in known.by_key.get(key, {})
                if not (is_new and _made_anew(one, field, was, now)):
                    found.add(one.kind, name, field, key, was, now)
        _compare_new(found, name, one, other, known)
    return found


def _only(records: Records, known: Records) -> Records:
    kept = {k: v for k, v in records.by_key.items() if k in known.by_key}
    return Records(records.kind, kept, (), records.fields, records.made)


def _compare_new(
    found: Comparison, name: str, one: Records, other: Records, known: Records
) -> None:
    """Compare what both upgrades inserted, possibly under different keys."""

    def bag(records: Records) -> tuple[Counter[str], dict[str, Values]]:
        new = [v for k, v in records.by_key.items() if k not in known.by_key]
        normal = [(_normal(records, row), row) for row in (*new, *records.rest)]
        return Counter(text for text, _ in normal), dict(normal)

    (first, rows), (second, more) = bag(one), bag(other)
    for text in first - second:
        found.add(one.kind, name, "", "made by the first upgrade", rows[text], MISSING)
    for text in second - first:
        found.add(one.kind, name, "", "made by the second upgrade", MISSING, more[text])


def _normal(records: Records, row: Values) -> str:
    values = {
        field: "…" if _made_anew(records, field, value, value) else value
        for field, value in row.items()
    }
    return repr(list(values.items()))


def _made_anew(records: Records, field: str, was: Any, now: Any) -> bool:
    if records.kind == "row":
        return field in records.made
    if not isinstance(was, bytes) or not isinstance(now, bytes):
        return False
    kinds = {type(bson.decode(value)[""]) for value in (was, now)}
    return len(kinds) == 1 and kinds <= _KINDS_MADE


_KINDS_MADE = {
    ObjectId,
    Binary,
    type(bson.decode(bson.encode({"": bson.DatetimeMS(0)}))[""]),
}


def _pairs(
    one: Records, other: Records
) -> Iterator[tuple[str, Values | None, Values | None]]:
    """Yield key, old and new values; rows without a key are matched by all values."""
    for key in {**one.by_key, **other.by_key}:
        yield key, one.by_key.get(key), other.by_key.get(key)
    counts = Counter(map(_text, one.rest)), Counter(map(_text, other.rest))
    rows = {_text(row): row for row in (*one.rest, *other.rest)}
    for text in counts[0] - counts[1]:
        yield "without a key", rows[text], None
    for text in counts[1] - counts[0]:
        yield "without a key", None, rows[text]


def _text(row: Values) -> str:
    return repr(sorted(row.items()))


def _fields(
    side: BackendName, old: Values, new: Values
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the fields that differ; for a document, a different order too."""
    differ = False
    for field in {**old, **new}:
        one, other = old.get(field, MISSING), new.get(field, MISSING)
        if one != other:
            differ = True
            yield field, one, other
    if side is BackendName.MONGO and not differ and list(old) != list(new):
        yield "order of the fields", Order(old), Order(new)


def _whole(
    found: Comparison, kind: str, name: str, key: str, old: Any, new: Any
) -> None:
    before, after = (MISSING if each is None else each for each in (old, new))
    found.add(kind, name, "", key, before, after)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
