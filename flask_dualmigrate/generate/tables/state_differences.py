"""How two states of the tables differ, in the words of autogenerate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.exc import CompileError
from sqlalchemy.schema import Computed, DefaultClause

from ...alembic_scripts.change import Change
from ...alembic_scripts.column_types import parse_type
from ...sql import expressions
from ...sql import tokens as sql_tokens
from ...sql.names import name_of
from ...sql.tokens import literal
from .defaults import NoValue, server_value
from .enums import enums_of
from .state import ColumnState, IndexState, Key, Schema, TableState, sql_of
from .text_enums import labels_of
from .types import plain_type
from .unchecked_enums import text_enum
from .words import index_words

_NAMED = {
    *("create_index", "drop_index", "reindex", "add_check", "add_unique"),
    "drop_constraint",
}
_OF_A_COLUMN = {"alter_type", "set_not_null", "alter_column"}
_HARMLESS = {
    *("update", "delete", "insert", "insert_select", "truncate", "raw", "drop_type"),
    *("lock_timeout", "utc", "transaction", "validate", "add_foreign_key"),
    *("add_exclude", "drop_schema"),
}
_VALUE = re.compile(
    r"(?is)ALTER\s+TYPE\s+(?P<type>\S+)\s+(?P<verb>ADD|RENAME)\s+VALUE\s+"
    r"(?:IF\s+NOT\s+EXISTS\s+)?'(?P<label>(?:[^']|'')*)'"
)


@dataclass
class ChangedBySql:
    """What scripts change with raw SQL.

    parts: tables, (table, column), and the names of indexes and constraints.
    types: enums whose labels are no longer known. labels: enum -> labels added.
    """

    parts: set[str | tuple[str, str]] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    labels: dict[str, set[str]] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        """Note what a statement of raw SQL changes."""
        value = _VALUE.match(change.sql or "")
        if value is not None:
            self._take_label(value)
        elif change.verb in ("create_type", "rename_type"):
            for name in (change.name, change.column):
                self.labels.pop(name or "", None)
        elif change.verb == "other" or change.verb in _HARMLESS:
            return
        elif change.verb in _NAMED and change.name:
            self.parts.add(change.name)
        elif change.verb in _OF_A_COLUMN and change.table and change.column:
            self.parts.add((change.table, change.column))
        elif change.table:
            self.parts.add(change.table)

    def _take_label(self, value: re.Match[str]) -> None:
        name = name_of(value["type"]).rpartition(".")[2]
        if value["verb"].upper() == "ADD":
            label = value["label"].replace("''", "'")
            self.labels.setdefault(name, set()).add(label)
        else:
            self.types.add(name)


@dataclass
class StateComparison:
    """Compares states, and lists in not_compared what could not be compared.

    options: Alembic's compare_type and compare_server_default.
    """

    dialect: Dialect
    by_sql: ChangedBySql
    options: Mapping[str, Any]
    not_compared: list[str] = field(default_factory=list)

    def differences(self, there: Schema, models: Schema) -> Iterator[str]:
        """Yield, in words, the changes that turn the tables into the models' tables."""
        for name in sorted(there.keys() | models.keys()):
            if name in self.by_sql.parts:
                self._pass(f"table {name}: a script changes it in raw SQL")
            elif name not in models:
                yield f"remove table {name}"
            elif name not in there:
                yield f"add table {name}"
            else:
                yield from self._tables(there[name], models[name])

    def _pass(self, what: str) -> None:
        self.not_compared.append(what)

    def _tables(self, old: TableState, new: TableState) -> Iterator[str]:
        for name, column in new.columns.items():
            if (new.name, name) in self.by_sql.parts:
                self._pass(f"column {new.name}.{name}: a script changes it in raw SQL")
            elif name not in old.columns:
                yield f"add column {new.name}.{name}"
            else:
                labels = _labels_made(old, name, self.dialect)
                yield from self._columns(new.name, old.columns[name], column, labels)
        for name in sorted(old.columns.keys() - new.columns.keys()):
            yield f"remove column {new.name}.{name}"
        yield from self._indexes(old, new)
        yield from self._checks(old, new)

    def _columns(
        self,
        table: str,
        old: ColumnState,
        new: ColumnState,
        old_labels: frozenset[str] | None,
    ) -> Iterator[str]:
        place = f"{table}.{new.name}"
        changed = []
        if self.options.get("compare_type", True) and not self._same_type(
            place, old.type_, new.type_
        ):
            changed.append("type")
        elif not self._same_text_labels(place, old_labels, new.type_):
            changed.append("labels")
        if old.nullable != new.nullable:
            changed.append("nullable")
        if self.options.get("compare_server_default", True) and not self._same_default(
            place, old, new
        ):
            changed.append("server default")
        if changed:
            yield f"change {', '.join(changed)} of column {place}"

    def _same_type(self, place: str, old: Any, new: Any) -> bool:
        plain = [plain_type(type_, self.dialect) for type_ in (old, new)]
        try:
            one, other = (parse_type(type_.compile(self.dialect)) for type_ in plain)
        except CompileError:
            self._pass(f"the type of column {place}")
            return True
        collations = [getattr(type_, "collation", None) for type_ in plain]
        same = one == other and collations[0] == collations[1]
        return same and self._same_labels(old, new)

    def _same_text_labels(
        self, place: str, old: frozenset[str] | None, new: Any
    ) -> bool:
        """Compare the labels of an enum that is stored as text."""
        enum = text_enum(new, self.dialect)
        if enum is None:
            return True
        if old is None:
            self._pass(f"the labels of column {place}: no script defines them")
            return True
        return old == set(enum.enums)

    def _same_labels(self, old: Any, new: Any) -> bool:
        before, after = (
            {str(enum.name): list(enum.enums) for enum in enums_of(type_, self.dialect)}
            for type_ in (old, new)
        )
        by_sql, known = self.by_sql, before.keys() & after.keys()
        for name in known & by_sql.types:
            self._pass(f"the labels of enum {name}: a script changes them in raw SQL")
        return all(
            self._same_order(name, before[name], after[name])
            for name in known - by_sql.types
        )

    def _same_order(self, name: str, old: list[str], new: list[str]) -> bool:
        added = self.by_sql.labels.get(name, set())
        if not added - set(old):
            return old == new
        self._pass(
            f"the order of the labels of enum {name}: a script adds some in raw SQL"
        )
        return {*old, *added} == set(new)

    def _same_default(self, place: str, old: ColumnState, new: ColumnState) -> bool:
        one, other = (self._default(each.server_default) for each in (old, new))
        try:
            values = [
                server_value(each.server_default, each.type_, self.dialect)
                for each in (old, new)
                if each.server_default is not None
            ]
        except NoValue:
            return self._same_text(f"the default of column {place}", one, other)
        return not values or (len(values) == 2 and values[0] == values[1])

    def _default(self, default: Any) -> str | None:
        if isinstance(default, DefaultClause):
            arg = default.arg
            return literal(arg) if isinstance(arg, str) else sql_of(arg, self.dialect)
        if isinstance(default, Computed):
            return sql_of(default.sqltext, self.dialect)
        return None  # an identity takes its values from a sequence

    def _indexes(self, old: TableState, new: TableState) -> Iterator[str]:
        if old.primary_key != new.primary_key:
            yield f"change primary key of {new.name}"
        before, after = _without_key(old), _without_key(new)
        for name in sorted(before.keys() | after.keys()):
            if name in self.by_sql.parts:
                self._pass(f"index {name}: a script changes it in raw SQL")
            elif name not in after:
                yield f"remove index {name} of {new.name}"
            elif name not in before:
                yield f"add {index_words(after[name], new.name)}"
            elif not self._same_index(before[name], after[name]):
                yield f"change index {name} of {new.name}"

    def _same_index(self, old: IndexState, new: IndexState) -> bool:
        one, other = (
            replace(index, where=None, keys=tuple(map(_without_sql, index.keys)))
            for index in (old, new)
        )
        return one == other and all(
            self._same_text(f"index {new.name}", before, after)
            for before, after in zip(_texts(old), _texts(new), strict=True)
        )

    def _checks(self, old: TableState, new: TableState) -> Iterator[str]:
        of_enums = _checks_of_enums(old, new, self.dialect)
        for name in sorted((old.checks.keys() | new.checks.keys()) - of_enums):
            place = f"check constraint {name}"
            if name in self.by_sql.parts:
                self._pass(f"{place}: a script changes it in raw SQL")
            elif name not in new.checks:
                yield f"remove {place} of {new.name}"
            elif name not in old.checks:
                yield f"add {place} on {new.name}"
            elif not self._same_text(place, old.checks[name], new.checks[name]):
                yield f"change {place} of {new.name}"

    def _same_text(self, place: str, old: str | None, new: str | None) -> bool:
        """Compare two expressions by meaning; note those that cannot be parsed."""
        if old is None or new is None:
            return old == new
        if " ".join(old.split()) == " ".join(new.split()):
            return True
        try:
            return expressions.bare(expressions.parse(old)) == expressions.bare(
                expressions.parse(new)
            )
        except sql_tokens.UnknownSql:
            self._pass(f"{place}: {old}, and {new}")
            return True


def _labels_made(
    table: TableState, column: str, dialect: Dialect
) -> frozenset[str] | None:
    """Return the labels that scripts allow a text column, by a CHECK or its type."""
    for check in table.checks.values():
        labels = labels_of(check, column)
        if labels is not None:
            return frozenset(labels)
    enum = text_enum(table.columns[column].type_, dialect)
    return None if enum is None else frozenset(map(str, enum.enums))


def _checks_of_enums(old: TableState, new: TableState, dialect: Dialect) -> set[str]:
    """Return the scripts' CHECKs that belong to an enum in the models."""
    enums = [
        name
        for name, column in new.columns.items()
        if text_enum(column.type_, dialect) is not None
    ]
    return {
        name
        for name, check in old.checks.items()
        if name not in new.checks
        and any(labels_of(check, column) is not None for column in enums)
    }


def _without_key(table: TableState) -> dict[str, IndexState]:
    return {
        name: index for name, index in table.indexes.items() if not index.is_primary_key
    }


def _without_sql(key: Key) -> Key:
    return replace(key, expression=None if key.expression is None else "")


def _texts(index: IndexState) -> tuple[str | None, ...]:
    return (index.where, *(key.expression for key in index.keys))
