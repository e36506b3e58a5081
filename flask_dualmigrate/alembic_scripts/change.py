"""What one statement of an Alembic script does to PostgreSQL, however it is written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change: of an operation of Alembic, or of a statement of raw SQL.

    verb: what it does, one of those of `WEIGHT` or a harmless one. table: with its
    schema, unless that is public. name: of an index, a constraint, a type; what a
    table or column is renamed to. columns: column names, or SQL expressions.
    type_, old_type: SQL types. type_code: how a script writes the new one. default,
    check, where, using: SQL. options: other arguments of an index, as a script has
    them. labels_lost: labels of an enum that its new type has not.
    fits: the new type has room for each label of the enum that the old one was.
    line: of the script. transaction: which one of the script it is in, from 0; None
    in an autocommit block. sql: its text, where it is raw SQL.
    existing: its table was there before the script. proven: a valid check says that the
    column has no null. utc: the session's TimeZone is UTC.
    """

    verb: str
    table: str | None = None
    column: str | None = None
    name: str | None = None
    columns: tuple[str, ...] = ()
    referred: str | None = None
    referred_columns: tuple[str, ...] = ()
    type_: str | None = None
    old_type: str | None = None
    type_code: str | None = None
    default: str | None = None
    check: str | None = None
    where: str | None = None
    using: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    labels_lost: tuple[str, ...] = ()
    nullable: bool = True
    unique: bool = False
    primary_key: bool = False
    fits: bool = False
    generated: bool = False
    concurrently: bool = False
    not_valid: bool = False
    using_index: bool = False
    repeatable: bool = False
    line: int | None = None
    transaction: int | None = 0
    sql: str | None = None
    existing: bool = True
    proven: bool = False
    utc: bool = False

    @property
    def place(self) -> str:
        """The column with its table, or the table."""
        return ".".join(part for part in (self.table, self.column) if part)


SHARE = frozenset({"create_index", "add_foreign_key"})
"""Locks that block writes, but not reads, until the transaction ends."""

EXCLUSIVE = frozenset(
    {
        *("drop_table", "rename_table", "truncate", "alter_table", "drop_index"),
        *("add_column", "drop_column", "rename_column", "alter_type", "set_not_null"),
        *("alter_column", "add_check", "add_unique", "add_primary_key", "add_exclude"),
        "drop_constraint",
    }
)
"""ACCESS EXCLUSIVE: blocks reads and writes of the table until the transaction ends."""

LOCKS = SHARE | EXCLUSIVE

WRITES = frozenset({"update", "delete", "insert_select"})
"""Verbs that go through all rows of a table."""
