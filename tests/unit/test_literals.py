"""Values of data changes are written out, whatever type their columns have."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import CompileError

from flask_dualmigrate.sql.literals import sql_with_values

DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
UNTYPED = sa.table("t", sa.column("a"))
JSON = sa.table("t", sa.column("a", postgresql.JSONB))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (None, "NULL"),
        ("it's", "'it''s'"),
        (True, "true"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (dt.date(2026, 1, 2), "'2026-01-02'"),
        (uuid.UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
    ],
    ids=str,
)
def test_a_value_of_a_column_without_a_type_is_written_by_its_own(
    value: Any, written: str
) -> None:
    update = sa.update(UNTYPED).values(a=value)
    assert sql_with_values(update, DIALECT) == f"UPDATE t SET a={written}"


def test_json_is_written_as_a_text_that_the_server_reads() -> None:
    rows = sa.insert(JSON).values([{"a": {"b": 1}}, {"a": [True]}])
    written = """INSERT INTO t (a) VALUES ('{"b": 1}'), ('[true]')"""
    assert sql_with_values(rows, DIALECT) == written


def test_a_condition_and_a_value_of_a_statement_are_both_written() -> None:
    found = UNTYPED.c.a.in_([1, 2]) | (UNTYPED.c.a == "x")
    written = "DELETE FROM t WHERE t.a IN (1, 2) OR t.a = 'x'"
    assert sql_with_values(sa.delete(UNTYPED).where(found), DIALECT) == written


def test_a_value_that_has_no_words_in_sql_is_an_error_of_sqlalchemys() -> None:
    with pytest.raises(CompileError):
        sql_with_values(sa.update(UNTYPED).values(a=object()), DIALECT)
