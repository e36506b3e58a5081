"""A table that both sides have: its definitions tried on a copy of it.

PostgreSQL's own wording of a model's definition is compared with its wording of the
existing one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Table

from ..tables.catalog import ConstraintRow
from ..tables.sides import Sides
from ..tables.state import full_name
from .trial_sql import NotTried, try_out

Definition = tuple[str | None, str]
"""A constraint's name, if the models give it one, and its SQL."""

_MADE = """
SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = pg_my_temp_schema() AND contype = '{kind}'
"""
_KINDS = {"c": ("check", "check"), "x": ("exclusion", "excl")}


class ComparedTable:
    """What both of its sides have in common."""

    def __init__(self, table: Table, sides: Sides) -> None:
        self.table = table
        self.catalog = sides.catalog
        self.dialect = sides.dialect
        self.name = full_name(table.name, table.schema, self.dialect)
        self.compiler: Any = self.dialect.ddl_compiler(self.dialect, None)  # type: ignore[arg-type]
        self._quote = self.dialect.identifier_preparer.quote
        self.copy = f"pg_temp.{self._quote(str(table.name))}"
        self._not_compared = sides.not_compared

    def tried(self, statements: Sequence[str], question: str) -> str | None:
        """Run statements on the copy, as `try_out` does."""
        key = self.catalog.key(self.table)
        return try_out(self.catalog.connection, key, statements, question)

    def leave_out(self, what: str, error: NotTried) -> None:
        self._not_compared.append(f"{what} ({error})")

    def differing(
        self, kind: str, wanted: Iterable[Definition], left: dict[str, ConstraintRow]
    ) -> Iterator[tuple[ConstraintRow | None, str, str]]:
        """Yield the constraints that differ: the existing one, or None; name and SQL.

        kind: c or x, as in pg_constraint. left: the existing ones; those that the
        models do not have are noted.
        """
        word, suffix = _KINDS[kind]
        for name, sql in wanted:
            try:
                made = self._made(kind, sql, name)
                old = left.pop(name or self._same(kind, left, made), None)
                if old is not None and self._is(kind, old, made):
                    continue
            except NotTried as error:
                left.pop(name or "", None)
                label = name or sql.removeprefix("CHECK ")
                self.leave_out(f"{word} constraint {label} of {self.name}", error)
                continue
            yield old, name or (made or [f"{self.table.name}_{suffix}"])[0], sql
        self._not_compared.extend(
            f"{word} constraint {name} of {self.name}, which the models do not have"
            for name in left
        )

    def _same(
        self,
        kind: str,
        left: dict[str, ConstraintRow],
        made: tuple[str, str] | None,
    ) -> str:
        """Return the name of the existing constraint that one without a name is."""
        found = (name for name, row in left.items() if self._is(kind, row, made))
        return next(found, made[0] if made else "")

    def _is(
        self, kind: str, there: ConstraintRow, made: tuple[str, str] | None
    ) -> bool:
        """Compare two definitions; if they differ, compare again after re-reading."""
        if made is None:
            return False
        definition = str(there.definition).removesuffix(" NOT VALID")
        if definition == made[1]:
            return True
        again = [self._made(kind, sql, None) for sql in (definition, made[1])]
        return None not in again and again[0] == again[1]

    def _made(self, kind: str, sql: str, name: str | None) -> tuple[str, str] | None:
        """Return the name and definition that PostgreSQL gives a constraint."""
        named = f"CONSTRAINT {self._quote(name)} " if name else ""
        statement = f"ALTER TABLE {self.copy} ADD {named}{sql}"
        answer = self.tried([statement], _MADE.format(kind=kind))
        if answer is None:
            return None
        verb = sql.partition(" ")[0]
        given, _, definition = answer.partition(f" {verb} ")
        return given, f"{verb} {definition}"
