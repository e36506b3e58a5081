"""convert_field: which values survive, and that they are what PostgreSQL makes."""

from __future__ import annotations

import random
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from bson import Binary, Decimal128, Int64, ObjectId
from pymongo.database import Database

from flask_dualmigrate.mongo.expressions.conversions import outcome_of
from flask_dualmigrate.ops import ConvertField
from tests.support.mongo.runs import DOWN, complete, image, run

Db = Database[Any]
LOST = "lost"

CONVERSIONS: dict[str, list[tuple[Any, Any]]] = {
    "string": [
        (12, "12"),
        (Int64(2**53 + 1), "9007199254740993"),
        (12.0, "12"),
        (12.7, "12.7"),
        (-0.0, "-0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (123456.789, "123456.789"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (Decimal128("12.50"), "12.50"),
        (True, "true"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00.000Z"),
        (ObjectId("0123456789abcdef01234567"), "0123456789abcdef01234567"),
        (Binary(b"x"), LOST),
        ([1], LOST),
        ({"a": 1}, LOST),
    ],
    "int": [
        ("12", 12),
        (" -12\n", -12),
        ("+12", 12),
        ("12.5", LOST),
        ("", LOST),
        ("0x1A", LOST),
        ("99999999999", LOST),
        (12.0, 12),
        (12.7, LOST),
        (Decimal128("12.00"), 12),
        (Decimal128("12.50"), LOST),
        (Int64(7), 7),
        (Int64(2**31), LOST),
        (float("nan"), LOST),
        (True, LOST),
        (datetime(2026, 1, 1, tzinfo=UTC), LOST),
    ],
    "long": [
        ("99999999999", Int64(99999999999)),
        ("9" * 19, LOST),
        (7, Int64(7)),
        (1e15, Int64(10**15)),
        (1e19, LOST),
    ],
    "double": [
        ("12.5", 12.5),
        (" 1e3 ", 1000.0),
        ("NaN", float("nan")),
        ("-Infinity", float("-inf")),
        ("1e400", LOST),
        ("1,5", LOST),
        (Int64(2**53), 2.0**53),
        (Int64(2**53 + 1), LOST),
        (Decimal128("0.1"), 0.1),
        (Decimal128("1.234567890123456789"), LOST),
        (False, LOST),
    ],
    "decimal": [
        ("0.10", Decimal128("0.10")),
        ("9" * 34, Decimal128("9" * 34)),
        ("9" * 35, LOST),
        (12.7, Decimal128("12.7")),
        (1 / 3, Decimal128("0.3333333333333333")),
        (7, Decimal128("7")),
        (True, LOST),
    ],
    "bool": [
        ("true", True),
        (" F ", False),
        ("off", False),
        ("yes", True),
        ("1", True),
        ("o", LOST),
        ("2", LOST),
        (1, True),
        (0.0, False),
        (5, LOST),
    ],
    "date": [
        ("2026-11-21", datetime(2026, 11, 21)),
        ("2026-11-21 18:30", datetime(2026, 11, 21, 18, 30)),
        ("2026-11-21T18:30:00Z", datetime(2026, 11, 21, 18, 30)),
        ("2026-11-21 18:30:00.5+02", datetime(2026, 11, 21, 16, 30, 0, 500000)),
        ("2026-02-30", LOST),
        ("12345-01-01", LOST),
        ("tomorrow", LOST),
        (1234567890, LOST),
    ],
    "objectId": [
        (" 0123456789abcdef01234567", ObjectId("0123456789abcdef01234567")),
        ("0123", LOST),
    ],
    "array": [("a", ["a"]), ({"b": 1}, [{"b": 1}])],
}


def convert(db: Db, to: str, values: list[Any]) -> list[Any]:
    """Return what each value becomes, LOST where it does not survive."""
    db.t.insert_many([{"_id": n, "v": value} for n, value in enumerate(values)])
    stages = [{"$sort": {"_id": 1}}, {"$project": {"found": outcome_of("$v", to)}}]
    found = [document["found"] for document in db.t.aggregate(stages)]
    return [outcome[0] if outcome else LOST for outcome in found]


@pytest.mark.parametrize("to", CONVERSIONS)
def test_a_value_becomes_the_same_value_of_another_type_or_is_lost(
    mongo_db: Db, to: str
) -> None:
    values, expected = zip(*CONVERSIONS[to], strict=True)
    found = convert(mongo_db, to, list(values))
    assert list(map(repr, found)) == list(map(repr, expected))


@pytest.mark.parametrize(
    ("to", "cast"),
    [
        ("int", "integer"),
        ("long", "bigint"),
        ("double", "double precision"),
        ("decimal", "numeric"),
        ("bool", "boolean"),
        ("date", "timestamptz"),
    ],
)
def test_a_text_becomes_what_postgresql_makes_of_it(
    mongo_db: Db, engine: sa.Engine, to: str, cast: str
) -> None:
    texts = [value for value, _ in CONVERSIONS[to] if isinstance(value, str)]
    texts = [text for text in texts if text not in ("0x1A", "9" * 35, "tomorrow")]
    # PostgreSQL 16 and later read 0x1A, numeric has more digits, and it knows tomorrow.
    for text, found in zip(texts, convert(mongo_db, to, texts), strict=True):
        assert _same(found, cast_by_postgresql(engine, text, cast)), text


@pytest.mark.parametrize("kind", ["integer", "bigint", "double precision", "numeric"])
def test_a_number_becomes_the_text_that_postgresql_writes(
    mongo_db: Db, engine: sa.Engine, kind: str
) -> None:
    python = {"double precision": float, "numeric": Decimal128}.get(kind, int)
    texts = ["0", "-12", "123456789"]
    texts += ["12.7", "0.1", "1e15", "12345.678901234567"] if python is float else []
    texts += ["12.50", "0.001"] if python is Decimal128 else []
    found = convert(mongo_db, "string", [python(text) for text in texts])
    for text, converted in zip(texts, found, strict=True):
        with engine.connect() as connection:
            query = f"SELECT CAST(CAST('{text}' AS {kind}) AS text)"
            assert converted == connection.exec_driver_sql(query).scalar()


def cast_by_postgresql(engine: sa.Engine, text: str, cast: str) -> Any:
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
        try:
            query = sa.text(f"SELECT CAST(CAST(:text AS text) AS {cast})")
            return connection.execute(query, {"text": text}).scalar()
        except sa.exc.DBAPIError:
            return LOST


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, Decimal128):
        return bool(found.to_decimal() == expected)
    if isinstance(expected, datetime):
        return bool(found == expected.astimezone(UTC).replace(tzinfo=None))
    return repr(found) == repr(expected)


def test_every_double_has_a_text_that_reads_as_the_same_double(mongo_db: Db) -> None:
    chance = random.Random(7)
    powers = [10 ** chance.randint(-50, 29) for _ in range(2000)]
    doubles = [chance.uniform(-1, 1) * power for power in powers]
    doubles += [round(chance.uniform(-1e6, 1e6), digits % 7) for digits in range(2000)]
    for double, text in zip(doubles, convert(mongo_db, "string", doubles), strict=True):
        assert float(text) == double


def test_no_double_becomes_another_one(mongo_db: Db) -> None:
    chance = random.Random(8)
    bits = [struct.pack("<Q", chance.getrandbits(64)) for _ in range(2000)]
    doubles = [struct.unpack("<d", eight)[0] for eight in bits]
    for double, text in zip(doubles, convert(mongo_db, "string", doubles), strict=True):
        assert text == LOST or repr(float(text)) == repr(double)


@pytest.mark.parametrize(
    ("on_error", "expected"),
    [
        ("null", [12, None, None, 7, None]),
        ("keep", [12, "abc", None, 7, 12.7]),
    ],
)
def test_what_does_not_survive_becomes_null_or_stays(
    mongo_db: Db, on_error: str, expected: list[Any]
) -> None:
    values = ["12", "abc", None, 7, 12.7]
    mongo_db.t.insert_many([{"_id": n, "v": value} for n, value in enumerate(values)])
    mongo_db.t.insert_one({"_id": "none"})
    run(mongo_db, ConvertField("t", "v", to="int", on_error=on_error, batch_size=2))
    found = list(mongo_db.t.find().sort("_id"))
    assert [doc["v"] for doc in found[:5]] == expected
    assert found[5] == {"_id": "none"}


def test_an_expression_of_the_script_converts(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": 1, "v": "a,b"}, {"_id": 2, "v": ["c"]}])
    using = {"$split": ["$v", ","]}
    run(mongo_db, ConvertField("t", "v", to="array", using=using))
    assert [doc["v"] for doc in mongo_db.t.find().sort("_id")] == [["a", "b"], ["c"]]


def test_an_expression_that_gives_another_type_is_lost(mongo_db: Db) -> None:
    mongo_db.t.insert_one({"_id": 1, "v": "1"})
    assert list(
        mongo_db.t.aggregate(
            [{"$project": {"found": outcome_of("$v", "int", using={"$toLong": "$v"})}}]
        )
    ) == [{"_id": 1, "found": []}]


def test_a_downgrade_leaves_alone_what_the_upgrade_left_alone(mongo_db: Db) -> None:
    values = ["1", "abc", True, 12.7, None, "2"]
    mongo_db.t.insert_many([{"_id": n, "v": v} for n, v in enumerate(values)])
    before = image(mongo_db)
    complete(mongo_db, ConvertField("t", "v", to="int", on_error="keep"))
    mongo_db.t.insert_one({"_id": 99, "v": 7})  # the app's, after the upgrade
    back = ConvertField("t", "v", to="string", on_error="keep")
    complete(mongo_db, back, direction=DOWN)
    assert mongo_db.t.find_one_and_delete({"_id": 99}) == {"_id": 99, "v": "7"}
    assert image(mongo_db) == before
