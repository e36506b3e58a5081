"""Values written out in PostgreSQL's SQL: several statements have no parameters."""

from __future__ import annotations


class Sql(str):
    """An expression that is SQL already, not a text."""


def in_sql(value: object) -> str:
    r"""Return a value as an SQL literal.

    A text is written as E'…', which a script's standard_conforming_strings does not
    change.
    """
    if isinstance(value, Sql):
        return str(value)
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    assert isinstance(value, str), value
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
