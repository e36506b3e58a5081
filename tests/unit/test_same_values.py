"""Values of the two drivers that say the same."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64

from flask_dualmigrate.verbs.same_values import canonical, variants

NOON = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
UUID = uuid.UUID(int=7)
BERLIN = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("row", "document"),
    [
        (Decimal("1.50"), Decimal128("1.5")),
        (7, Int64(7)),
        (2.5, Decimal128("2.5")),
        (0.1, 0.1),
        (Decimal("NaN"), float("nan")),
        (UUID, Binary.from_uuid(UUID)),
        (memoryview(b"x"), b"x"),
        (dt.datetime(2026, 7, 1, 12), NOON),
        (dt.datetime(2026, 7, 1, 14, tzinfo=BERLIN), NOON),
        (NOON.replace(microsecond=1), NOON),
        (dt.date(2026, 7, 1), dt.datetime(2026, 7, 1)),
        (dt.time(12), "12:00:00"),
        ([1, None], [Int64(1), None]),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}),
        (None, None),
    ],
)
def test_a_row_and_a_document_say_the_same(row: Any, document: Any) -> None:
    assert canonical(row) == canonical(document)


@pytest.mark.parametrize(
    ("row", "document"),
    [(1, "1"), (1, True), (None, ""), (NOON, NOON.isoformat()), ("1.50", "1.5")],
)
def test_they_do_not(row: Any, document: Any) -> None:
    assert canonical(row) != canonical(document)


def test_a_uuid_may_be_the_key_of_a_document_as_a_text_too() -> None:
    assert variants(UUID) == [Binary.from_uuid(UUID), str(UUID)]
    assert variants(object()) == []
