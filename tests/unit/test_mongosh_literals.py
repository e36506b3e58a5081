"""Values as mongosh reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.mongosh.literals import Raw, literal

VALUES: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (1, "1"),
    (2**31, 'NumberLong("2147483648")'),
    (Int64(1), 'NumberLong("1")'),
    (1.5, "1.5"),
    (1.0, "Double(1.0)"),
    (-0.0, "Double(-0)"),
    (float("inf"), "Infinity"),
    (float("-inf"), "-Infinity"),
    (float("nan"), "NaN"),
    ('a "b"\n\u2028', '"a \\"b\\"\\n\\u2028"'),
    ("é", '"é"'),
    (Decimal128("1.50"), 'NumberDecimal("1.50")'),
    (ObjectId("0" * 24), f'ObjectId("{"0" * 24}")'),
    (
        datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        'ISODate("2026-01-02T03:04:05.678Z")',
    ),
    (DatetimeMS(-(2**60)), f"new Date({-(2**60)})"),
    (b"\x00\x01", 'BinData(0, "AAE=")'),
    (Binary(b"\x00", 128), 'BinData(128, "AA==")'),
    (
        Binary.from_uuid(UUID(int=7)),
        'UUID("00000000-0000-0000-0000-000000000007")',
    ),
    (Timestamp(5, 1), "Timestamp({ t: 5, i: 1 })"),
    (Regex("a/b", re.I), 'BSONRegExp("a/b", "i")'),
    (MinKey(), "MinKey()"),
    (MaxKey(), "MaxKey()"),
    (Code("f()", {"x": 1}), 'Code("f()", { x: 1 })'),
    (DBRef("item", 1, "shop"), 'DBRef("item", 1, "shop")'),
    (Raw("BY"), "BY"),
    ([], "[]"),
    ({}, "{}"),
    ([1, {"a": "b"}], '[1, { a: "b" }]'),
    ({"$set": {"a.b": 1, "__proto__": 2}}, '{ $set: { "a.b": 1, ["__proto__"]: 2 } }'),
    ({"1": 1, "2": 1, "a": 1}, '{ "1": 1, "2": 1, a: 1 }'),
]


@pytest.mark.parametrize(
    ("value", "text"), VALUES, ids=[str(number) for number in range(len(VALUES))]
)
def test_a_value_is_written_with_its_type(value: Any, text: str) -> None:
    assert literal(value) == text


def test_what_does_not_fit_a_line_is_broken() -> None:
    assert literal({"a": "x" * 50, "b": ["y" * 50]}, 2) == (
        f'{{\n    a: "{"x" * 50}",\n    b: ["{"y" * 50}"],\n  }}'
    )


@pytest.mark.parametrize("keys", [["a", "1"], ["2", "1"], ["10", "9"]], ids=str)
def test_an_order_that_javascript_would_change_is_refused(keys: list[str]) -> None:
    with pytest.raises(OperationError, match="would put the numbers first"):
        literal(dict.fromkeys(keys, 1))


def test_a_value_that_bson_does_not_have_is_refused() -> None:
    with pytest.raises(OperationError, match="cannot be written"):
        literal(object())
