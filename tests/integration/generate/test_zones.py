"""A cast depends on no setting of the session: zone, or how dates are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql as pg

from flask_dualmigrate.generate import differences
from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import pair, run

AWARE = sa.DateTime(timezone=True)
NOON = datetime(2026, 7, 1, 12, 0, 0, 250000)


@pytest.fixture
def far_away(postgres_url: str) -> Iterator[sa.Engine]:
    """An engine whose server is set as none of ours would be."""
    engine = sa.create_engine(postgres_url)
    name = sa.make_url(postgres_url).database
    with engine.begin() as connection:
        for setting in (
            "timezone TO 'America/New_York'",
            "datestyle TO 'German'",
            "intervalstyle TO 'sql_standard'",
            "bytea_output TO 'escape'",
        ):
            connection.execute(sa.text(f'ALTER DATABASE "{name}" SET {setting}'))
    engine.dispose()
    yield engine
    engine.dispose()


# The type before, a value (SQL), the type after, what it is then (as text, in UTC),
# and the value as text once it is back.
CASTS: dict[str, tuple[Any, str, Any, str, str]] = {
    "aware": (
        sa.DateTime,
        "timestamp '2026-07-01 12:00:00.5'",
        AWARE,
        "2026-07-01 12:00:00.5+00",
        "2026-07-01 12:00:00.5",
    ),
    "day": (
        sa.Date,
        "date '2026-07-01'",
        AWARE,
        "2026-07-01 00:00:00+00",
        "2026-07-01",
    ),
    "clock": (
        sa.Time,
        "time '12:00'",
        sa.Time(timezone=True),
        "12:00:00+00",
        "12:00:00",
    ),
    "written": (
        AWARE,
        "timestamptz '2026-07-01 12:00+00'",
        sa.String(40),
        "2026-07-01T12:00:00Z",
        "2026-07-01 12:00:00+00",
    ),
    "written, without a zone": (
        sa.DateTime,
        "timestamp '2026-07-01 12:00'",
        sa.Text,
        "2026-07-01T12:00:00",
        "2026-07-01 12:00:00",
    ),
    "written day": (sa.Date, "date '2026-07-02'", sa.Text, "2026-07-02", "2026-07-02"),
    "for ever": (AWARE, "'infinity'", sa.Text, "infinity", "infinity"),
    "read": (
        sa.Text,
        "'2026-07-01T12:00:00'",
        AWARE,
        "2026-07-01 12:00:00+00",
        "2026-07-01T12:00:00Z",
    ),
    "read with a zone": (
        sa.Text,
        "'2026-07-01 14:00:00+02'",
        sa.DateTime,
        "2026-07-01 12:00:00",
        "2026-07-01T12:00:00",
    ),
    "many": (
        pg.ARRAY(sa.DateTime),
        "array[timestamp '2026-07-01 12:00']",
        pg.ARRAY(AWARE),
        '{"2026-07-01 12:00:00+00"}',
        '{"2026-07-01 12:00:00"}',
    ),
    "a span": (
        sa.Interval,
        "interval '-1 day -2 hours'",
        sa.Text,
        "-1 days -02:00:00",
        "-1 days -02:00:00",
    ),
    "bytes": (sa.LargeBinary, r"'\x41ff'", sa.Text, r"\x41ff", r"\x41ff"),
}


def one(type_: Any, **more: Any) -> MetaData:
    metadata = MetaData()
    key = Column("id", sa.Integer, primary_key=True)
    Table("things", metadata, key, Column("a", type_, **more))
    return metadata


def value(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        for setting in ("timezone TO 'UTC'", "datestyle TO 'ISO'"):
            connection.execute(sa.text(f"SET LOCAL {setting}"))
        connection.execute(sa.text("SET LOCAL intervalstyle TO 'postgres'"))
        connection.execute(sa.text("SET LOCAL bytea_output TO 'hex'"))
        return str(connection.scalar(sa.text("SELECT a::text FROM things")))


@pytest.mark.parametrize("case", CASTS.values(), ids=CASTS)
def test_a_cast_gives_the_same_under_any_setting(
    case: tuple[Any, str, Any, str, str], far_away: sa.Engine
) -> None:
    before, sql, after, expected, back = case
    run(far_away, pair(far_away, one(before)).postgres)
    with far_away.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO things (a) VALUES ({sql})"))
    made = pair(far_away, one(after))
    run(far_away, made.postgres)
    assert value(far_away) == expected
    run(far_away, made.postgres, "downgrade")
    assert value(far_away) == back
    run(far_away, made.postgres)
    assert value(far_away) == expected


def test_a_default_without_a_zone_is_one_of_utc(far_away: sa.Engine) -> None:
    text = "2026-07-01 12:00:00"
    made = pair(far_away, one(AWARE, server_default=text))
    run(far_away, made.postgres)
    with far_away.begin() as connection:
        connection.execute(sa.text("INSERT INTO things (id) VALUES (1)"))
        assert (
            differences(connection, one(AWARE, server_default=text), options={}) == ()
        )
    assert value(far_away) == f"{text}+00"


def test_a_default_that_gets_a_zone_is_one_of_utc(far_away: sa.Engine) -> None:
    text = "2026-07-01 12:00:00"
    run(far_away, pair(far_away, one(sa.DateTime, server_default=text)).postgres)
    made = pair(far_away, one(AWARE, server_default=text))
    for function in ("upgrade", "downgrade", "upgrade"):
        run(far_away, made.postgres, function)
    with far_away.begin() as connection:
        connection.execute(sa.text("INSERT INTO things (id) VALUES (1)"))
        assert (
            differences(connection, one(AWARE, server_default=text), options={}) == ()
        )
    assert value(far_away) == f"{text}+00"


@pytest.mark.parametrize(
    "more",
    [{"server_default": "2026-07-01 12:00"}, {"default": datetime(2026, 7, 1, 12)}],
    ids=["of the server", "of the model"],
)
def test_a_column_more_is_filled_in_utc(
    more: dict[str, Any], far_away: sa.Engine
) -> None:
    base = MetaData()
    Table("things", base, Column("id", sa.Integer, primary_key=True))
    run(far_away, pair(far_away, base).postgres)
    with far_away.begin() as connection:
        connection.execute(sa.text("INSERT INTO things (id) VALUES (1)"))
    run(far_away, pair(far_away, one(AWARE, nullable=False, **more)).postgres)
    assert value(far_away) == "2026-07-01 12:00:00+00"


def test_both_databases_have_the_same_moment_and_the_same_text(
    far_away: sa.Engine,
    make_app: Callable[..., Flask],
    mongo_db: Database[dict[str, Any]],
) -> None:
    def models(naive: Any, aware: Any, text: Any, day: Any) -> MetaData:
        metadata = MetaData()
        key = Column("id", sa.Integer, primary_key=True)
        columns = (Column("naive", naive), Column("aware", aware))
        more = (Column("text", text), Column("day", day))
        Table("things", metadata, key, *columns, *more)
        return metadata

    with far_away.begin() as connection:  # psycopg reads no other one
        name = far_away.url.database
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET datestyle TO ISO'))
    far_away.dispose()
    before = models(sa.DateTime, AWARE, sa.Text, sa.Date)
    after = models(AWARE, sa.Text, sa.DateTime, sa.Text)
    evolution = Evolution(make_app)
    evolution.to(before)
    day = datetime(2026, 7, 1)
    row = {"naive": NOON, "aware": NOON.replace(tzinfo=UTC), "text": NOON.isoformat()}
    with far_away.begin() as connection:
        table = before.tables["things"]
        connection.execute(table.insert().values(id=1, day=day.date(), **row))
    mongo_db["things"].insert_one({"_id": 1, "day": day, **row})
    evolution.to(after)
    with far_away.connect() as connection:
        found = connection.execute(after.tables["things"].select()).mappings().one()
    document = mongo_db["things"].find_one({}, {"_id": 0})
    assert document is not None
    assert document == {
        "naive": NOON,
        "aware": "2026-07-01T12:00:00.25Z",
        "text": NOON,
        "day": "2026-07-01",
    }
    assert found["naive"].astimezone(UTC).replace(tzinfo=None) == NOON
    assert {key: found[key] for key in ("aware", "text", "day")} == {
        key: document[key] for key in ("aware", "text", "day")
    }
    evolution.down(after)
    with far_away.connect() as connection:
        found = connection.execute(before.tables["things"].select()).mappings().one()
    assert (found["naive"], found["day"]) == (NOON, day.date())
    assert found["aware"] == NOON.replace(tzinfo=UTC)
