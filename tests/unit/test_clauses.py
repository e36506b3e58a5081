"""SQLAlchemy's clauses answer == with a clause, and refuse to be true or false."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lint_cases import Case
from .linting import lint_case
from .test_translate_script import partner, upgrade_of

COLUMN = 'sa.column("at")'
PLACES = {
    "where": (
        'op.create_index("ix", "items", ["name"], unique=True, '
        f"postgresql_where={COLUMN}.is_(None))",
        'partialFilterExpression={"at": None, "name": {"$type": "string"}}',
    ),
    "where and expressions": (
        'op.create_index("ix", "items", [sa.func.lower(sa.column("name")), '
        'sa.column("n").desc()], postgresql_where=sa.and_(sa.column("n") > 1, '
        f"{COLUMN}.isnot(None)))",
        '[("name", 1), ("n", -1)]',
    ),
    "a default there was": (
        'op.alter_column("others", "n", existing_server_default=sa.text("1"), '
        "existing_type=sa.Integer(), type_=sa.BigInteger())",
        "# others.n: INTEGER becomes BIGINT",
    ),
    "a default there was, not null": (
        'op.alter_column("others", "n", existing_server_default=sa.func.now(), '
        "nullable=False)",
        "# others.n can no longer be null",
    ),
    "a new default": (
        'op.alter_column("items", "at", server_default=sa.func.now(), nullable=False)',
        '[{"$set": {"at": "$$NOW"}}]',
    ),
    "a check": (
        'op.create_check_constraint("ck", "items", sa.column("n") > 1)',
        "# Check of items, n > 1",
    ),
    "an exclusion": (
        'op.create_exclude_constraint("ex", "items", (sa.column("n"), "="), '
        'where=sa.column("n") > 1)',
        "op.todo(",
    ),
    "using": (
        'op.alter_column("items", "n", type_=sa.String(), '
        'postgresql_using=sa.cast(sa.column("n"), sa.String))',
        'op.convert_field("items", "n", to="string")',
    ),
    "a statement": (
        'op.execute(sa.delete(sa.table("items")).where(sa.column("n").in_([1, 2])))',
        'op.delete("items", {"n": {"$in": [1, 2]}})',
    ),
    "rows": (
        'op.bulk_insert(sa.table("items", sa.column("id"), sa.column("at")), '
        '[{"id": 1, "at": sa.func.now()}])',
        "op.todo(",
    ),
    "the drop of an index": (
        f'op.drop_index("ix", "items", postgresql_where={COLUMN}.is_(None))',
        "pass",
    ),
}


@pytest.mark.parametrize(("call", "expected"), PLACES.values(), ids=PLACES)
def test_a_clause_may_stand_wherever_alembic_takes_one(
    call: str, expected: str, tmp_path: Path
) -> None:
    assert expected in " ".join(upgrade_of(partner(call)).split())
    case = Case("DM101", "a clause", bad=False, sql=call)
    lint_case(tmp_path, case)
