"""How many statements a comparison sends: as many for many tables as for few."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, MetaData, Table
from sqlalchemy.dialects import postgresql

from flask_dualmigrate.generate import compare_models
from tests.support.generate.generated import pair


def models(count: int, *more: Column[int]) -> MetaData:
    """Tables that point to each other; more: columns that the last one has too."""
    metadata = MetaData()
    for number in range(count):
        Table(
            f"table_{number}",
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("name", sa.String(80), nullable=False, index=True),
            Column("email", sa.String(200), unique=True),
            Column("kind", sa.Enum("a", "b", name="kind")),
            Column(
                "size", sa.Enum("s", "l", native_enum=False, create_constraint=True)
            ),
            Column("word", sa.Enum("x", "y", native_enum=False)),
            Column("detail", postgresql.JSONB, server_default="{}"),
            Column("other_id", ForeignKey(f"table_{max(number - 1, 0)}.id")),
            *(more if number == count - 1 else ()),
        )
    return metadata


@pytest.fixture
def sent(engine: sa.Engine) -> list[str]:
    """What is sent over the engine."""
    found: list[str] = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda *given: found.append(given[2])
    )
    return found


@pytest.mark.parametrize("count", [2, 20])
def test_a_comparison_sends_as_many_statements_for_many_tables(
    engine: sa.Engine, sent: list[str], count: int
) -> None:
    models(count).create_all(engine)
    sent.clear()

    with engine.connect() as connection:
        found = compare_models(connection, models(count), options={}, made={})

    assert found.differences == ()
    assert len(sent) == 20


@pytest.mark.parametrize("count", [2, 20])
def test_what_is_written_comes_from_what_was_compared(
    engine: sa.Engine, sent: list[str], count: int
) -> None:
    models(count).create_all(engine)
    sent.clear()

    made = pair(engine, models(count, Column("more", sa.Integer)))

    assert "'more'" in made.postgres or '"more"' in made.postgres
    assert len(sent) == 19
