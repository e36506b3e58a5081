"""What one statement of an Alembic script does to PostgreSQL, whatever its form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change, made by an Alembic operation or by a statement of raw SQL.

    verb: what it does: a verb listed in `WEIGHT`, or a harmless one. table: with its
    schema, unless that is public. name: the name of an index, constraint or type, or
    the new name of a table or column. columns: column names, or SQL expressions.
    type_, old_type: SQL types. type_code: the new type as a script writes it. default,
    check, where, using: SQL. options: other arguments of an index, as the script gives
    them. labels_lost: enum labels that the new type does not have.
    fits: the new type has room for each label of the old enum.
    line: in the script. transaction: number of the script's transaction that it is in,
    from 0; None in an autocommit block. sql: its text, if it is raw SQL.
    existing: its table existed before the script. proven: a valid check guarantees that
    the column has no null. utc: the session's TimeZone is UTC.
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
"""ACCESS EXCLUSIVE: blocks reads and writes until the transaction ends."""

LOCKS = SHARE | EXCLUSIVE

WRITES = frozenset({"update", "delete", "insert_select"})
"""Verbs that scan all rows of a table."""
