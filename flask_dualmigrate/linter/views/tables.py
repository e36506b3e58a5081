"""The state left by earlier revisions and earlier lines, as far as rules need it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...alembic_scripts.change import Change


@dataclass
class Check:
    """A check constraint. valid: PostgreSQL guarantees that all rows satisfy it."""

    text: str
    valid: bool


@dataclass
class Tables:
    """The tables as the scripts create them; raw SQL counts if it can be parsed.

    types: table -> column -> SQL type. checks: table -> name -> check.
    """

    types: dict[str, dict[str, str | None]] = field(default_factory=dict)
    checks: dict[str, dict[str, Check]] = field(default_factory=dict)

    def type_of(self, table: str | None, column: str | None) -> str | None:
        return self.types.get(table or "", {}).get(column or "")

    def proves_not_null(self, table: str | None, column: str | None) -> bool:
        """Return whether a valid check says that a column has no null."""
        wanted = f"{column} is not null"
        found = self.checks.get(table or "", {}).values()
        return any(each.valid and wanted in _plain(each.text) for each in found)

    def take(self, change: Change) -> None:
        """Learn the state that a change leaves."""
        table, column = change.table or "", change.column or ""
        columns = self.types.setdefault(table, {})
        match change.verb:
            case "create_table":
                columns.clear()
                self.checks.pop(table, None)
            case "column" | "add_column" | "alter_type":
                columns[column] = change.type_
            case "drop_table":
                self.types.pop(table, None)
                self.checks.pop(table, None)
            case "drop_column":
                columns.pop(column, None)
            case "rename_column":
                columns[change.name or ""] = columns.pop(column, None)
            case "rename_table":
                self.types[change.name or ""] = self.types.pop(table, {})
                self.checks[change.name or ""] = self.checks.pop(table, {})
            case "add_check":
                check = Check(change.check or "", not change.not_valid)
                name = change.name or change.check or ""
                self.checks.setdefault(table, {})[name] = check
            case "validate":
                found = self.checks.get(table, {}).get(change.name or "")
                if found is not None:
                    found.valid = True
            case "drop_constraint":
                self.checks.get(table, {}).pop(change.name or "", None)


def _plain(text: str) -> str:
    return re.sub(r"[\s()\"]+", " ", text).strip().lower()
