"""The default of a column as a BSON value."""

from __future__ import annotations

import enum
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from bson import Binary, Decimal128
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql as pg

from flask_dualmigrate.generate.tables.defaults import (
    TODAY,
    NoValue,
    client_value,
    server_value,
)
from flask_dualmigrate.ops import NOW

from .translation import dialect

SOME_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


class Status(enum.Enum):
    NEW = "new"


class Shout(sa.types.TypeDecorator[str]):
    """A type of the app's own, a text to the database."""

    impl = sa.String
    cache_ok = True


def value_of(type_: Any, default: Any) -> Any:
    column: Column[Any] = Column("c", type_, server_default=default)
    return server_value(column.server_default, column.type, dialect())


@pytest.mark.parametrize(
    ("type_", "default", "value"),
    [
        (sa.Integer, "0", 0),
        (sa.Integer, sa.text("0"), 0),
        (sa.Integer, sa.text("'0'::integer"), 0),
        (sa.Integer, sa.text("(-1)"), -1),
        (sa.SmallInteger, "12", 12),
        (sa.BigInteger, "9223372036854775807", 2**63 - 1),
        (sa.Float, "1.5", 1.5),
        (sa.Float, sa.text("1e3"), 1000.0),
        (sa.Numeric(8, 2), "0", Decimal128("0")),
        (sa.Numeric, sa.text("1.50::numeric(8, 2)"), Decimal128("1.50")),
        (sa.Numeric(asdecimal=False), "1.5", 1.5),
        (sa.Boolean, sa.true(), True),
        (sa.Boolean, sa.text("false"), False),
        (sa.Boolean, "t", True),
        (sa.Boolean, "1", True),
        (sa.Boolean, "off", False),
        (sa.String, "0", "0"),
        (sa.String, "", ""),
        (sa.String, "it's 100%", "it's 100%"),
        (sa.String, sa.text("'100%'"), "100%"),
        (sa.String, sa.text("'a:b'::character varying(10)"), "a:b"),
        (sa.String, sa.text("E'a\\nb'"), "a\nb"),
        (sa.Text, sa.text("CAST('x' AS TEXT)"), "x"),
        (Shout, "x", "x"),
        (sa.Enum("new", name="s"), "new", "new"),
        (sa.Enum(Status, name="s"), sa.text("'NEW'::s"), "NEW"),
        (sa.JSON, sa.text("'[]'::json"), []),
        (sa.JSON, "{}", {}),
        (pg.JSONB, sa.text("'{}'::jsonb"), {}),
        (pg.JSONB, sa.text("jsonb_build_object()"), {}),
        (pg.JSONB, sa.text("'{\"a\": [1, 2.5, null]}'"), {"a": [1, 2.5, None]}),
        (sa.JSON().with_variant(pg.JSONB(), "postgresql"), "[1]", [1]),
        (pg.ARRAY(sa.Text), "{}", []),
        (pg.ARRAY(sa.Text), sa.text("'{}'::text[]"), []),
        (pg.ARRAY(sa.Text), sa.text("ARRAY[]::text[]"), []),
        (pg.ARRAY(sa.Text), '{a,"b c",NULL,"d\\"e"}', ["a", "b c", None, 'd"e']),
        (pg.ARRAY(sa.Integer), "{1,2}", [1, 2]),
        (pg.HSTORE, "", {}),
        (sa.Date, "2024-05-06", datetime(2024, 5, 6, tzinfo=UTC)),
        (sa.DateTime, "2024-05-06 07:08", datetime(2024, 5, 6, 7, 8, tzinfo=UTC)),
        (
            sa.DateTime(timezone=True),
            sa.text("'2024-05-06 02:00:00.123456+02'::timestamptz"),
            datetime(2024, 5, 6, 0, 0, 0, 123000, tzinfo=UTC),
        ),
        (
            sa.DateTime,
            sa.text("TIMESTAMP '2024-05-06'"),
            datetime(2024, 5, 6, tzinfo=UTC),
        ),
        (sa.DateTime, "epoch", datetime(1970, 1, 1, tzinfo=UTC)),
        (sa.DateTime, sa.func.now(), NOW),
        (sa.DateTime, sa.text("CURRENT_TIMESTAMP"), NOW),
        (sa.DateTime, sa.text("CURRENT_TIMESTAMP(3)"), NOW),
        (sa.DateTime, sa.text("(now() AT TIME ZONE 'utc'::text)"), NOW),
        (sa.DateTime, sa.text("timezone('utc', now())"), NOW),
        (sa.DateTime, sa.text("'now'::timestamp"), NOW),
        (sa.Date, sa.func.now(), TODAY),
        (sa.Date, sa.text("CURRENT_DATE"), TODAY),
        (sa.Time, "12:30", "12:30"),
        (sa.Uuid, str(SOME_ID), Binary.from_uuid(SOME_ID)),
        (pg.UUID(as_uuid=False), str(SOME_ID), str(SOME_ID)),
        (sa.LargeBinary, sa.text("'\\x00ff'::bytea"), b"\x00\xff"),
        (sa.Integer, sa.text("NULL"), None),
        (sa.String, sa.text("NULL::character varying"), None),
        (pg.INET, "127.0.0.1", "127.0.0.1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_server_default_is_a_value_of_the_right_type(
    type_: Any, default: Any, value: Any
) -> None:
    found = value_of(type_, default)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        (sa.Uuid, sa.text("gen_random_uuid()")),
        (sa.Integer, sa.text("nextval('a_seq'::regclass)")),
        (sa.Integer, sa.text("1 + 1")),
        (sa.Integer, "9223372036854775808"),
        (sa.Integer, "1.5"),
        (sa.Integer, "many"),
        (sa.Boolean, "maybe"),
        (sa.DateTime, sa.text("now() + interval '1 day'")),
        (sa.DateTime, sa.text("now() AT TIME ZONE 'Europe/Berlin'")),
        (sa.DateTime, "infinity"),
        (sa.String, sa.text("CURRENT_USER")),
        (sa.String, sa.text("md5(random()::text)")),
        (sa.String, sa.text("CASE WHEN true THEN 'x' END")),
        (sa.Time, sa.func.now()),
        (sa.Numeric, "1" * 40),
        (sa.JSON, "{"),
        (sa.Interval, "1 day"),
        (pg.TSVECTOR, "x"),
        (pg.HSTORE, "a=>1"),
        (pg.ARRAY(sa.Text), "{{a},{b}}"),
        (sa.LargeBinary, sa.text("'\\001'::bytea")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_only_the_server_knows_has_no_value(type_: Any, default: Any) -> None:
    with pytest.raises(NoValue):
        value_of(type_, default)


@pytest.mark.parametrize(
    ("type_", "default", "value"),
    [
        (sa.Integer, 3, 3),
        (sa.Numeric, Decimal("1.50"), Decimal128("1.50")),
        (sa.Float, 2, 2.0),
        (sa.Boolean, False, False),
        (sa.String, "x", "x"),
        (sa.Enum(Status, name="s"), Status.NEW, "NEW"),
        (
            sa.Enum(Status, name="s", values_callable=lambda e: [m.value for m in e]),
            Status.NEW,
            "new",
        ),
        (sa.Date, date(2024, 5, 6), datetime(2024, 5, 6, tzinfo=UTC)),
        (sa.DateTime, datetime(2024, 5, 6), datetime(2024, 5, 6, tzinfo=UTC)),
        (sa.Time, time(12, 30), "12:30:00"),
        (sa.Uuid, SOME_ID, Binary.from_uuid(SOME_ID)),
        (sa.JSON, {"a": [1]}, {"a": [1]}),
        (pg.ARRAY(sa.Numeric), [Decimal(1)], [Decimal128("1")]),
        (sa.LargeBinary, b"x", b"x"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_constant_of_the_model_is_a_value(
    type_: Any, default: Any, value: Any
) -> None:
    found = client_value(Column("c", type_, default=default), dialect())

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "column",
    [
        Column("c", sa.Integer),
        Column("c", sa.JSON, default=dict),
        Column("c", sa.DateTime, default=sa.func.now()),
    ],
    ids=["none", "function", "sql"],
)
def test_a_model_without_a_constant_has_no_value(column: Column[Any]) -> None:
    with pytest.raises(NoValue):
        client_value(column, dialect())
