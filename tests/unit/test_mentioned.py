"""Which tables a statement about a sequence touches, for the backup before a run."""

from __future__ import annotations

import pytest

from flask_dualmigrate.sql.tables import mentioned


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("ALTER SEQUENCE a OWNED BY t.c", {(None, "t")}),
        ('ALTER SEQUENCE "S x"."a b" OWNED BY s."T".c', {("s", "T")}),
        ("ALTER SEQUENCE a OWNED BY NONE", set()),
        ("ALTER SEQUENCE t_id_seq AS bigint", set()),
    ],
)
def test_a_sequence_that_counts_on_touches_its_owner_alone(
    statement: str, tables: set[tuple[str | None, str]]
) -> None:
    found = mentioned([statement])
    assert found.unknown is None
    assert found.tables == tables


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER SEQUENCE a RESTART WITH 4",
        "ALTER SEQUENCE a AS bigint RESTART",
        "ALTER SEQUENCE a INCREMENT BY 2",
        "DROP SEQUENCE a",
    ],
)
def test_one_whose_counter_moves_may_touch_anything(statement: str) -> None:
    assert mentioned([statement]).unknown is not None
