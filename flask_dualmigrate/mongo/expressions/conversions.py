"""Conversions of BSON values, as aggregation expressions that lose nothing.

MongoDB's $convert cuts 12.7 to 12, turns true into 1, writes a double as text with six
digits, and turns the text "false" into true. These give what PostgreSQL's `USING` cast
gives for the same value, and refuse what does not survive: an outcome is `[value]`, or
`[]` for a value that would be lost.
Source: PostgreSQL manual, 8.1 to 8.6 (input of numbers, booleans and dates).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ops import MISSING
from .paths import FieldPath

Expr = Any
Branches = dict[tuple[str, ...], Callable[[Expr], Expr]]

LOST: list[Any] = []
"""The outcome for a value that does not survive."""

_BLANKS = " \t\n\v\f\r"
_INTEGER = r"^[+-]?[0-9]+$"
_FLOAT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NOT_FINITE = r"^([Nn][Aa][Nn]|[+-]?[Ii][Nn][Ff]([Ii][Nn][Ii][Tt][Yy])?)$"
_OBJECT_ID = r"^[0-9a-fA-F]{24}$"
_ZONE = r" ?([Zz]|UTC|[+-][0-9]{2}(:?[0-9]{2})?)?"
_DATE = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9:]{{5,8}}(\.[0-9]+)?{_ZONE})?$"

# By patterns: `$in` uses the collation of the collection, which may be lax.
_TRUE = "^(t|tr|tru|true|y|ye|yes|on|1)$"
_FALSE = "^(f|fa|fal|fals|false|n|no|of|off|0)$"

_DECIMAL_DIGITS = 34
_YEARS_MS = (-62_167_219_200_000, 253_402_300_799_999)
"""The first moment of the year 0 and the last of 9999, relative to 1970-01-01."""


def needs_conversion(path: FieldPath, to: str) -> Expr:
    """True if the field has a value of another type; null stays null."""
    kept = ["null", "undefined", to]
    return {"$and": [path.present, {"$not": [{"$in": [{"$type": path.value}, kept]}]}]}


def outcome_of(value: Expr, to: str, *, using: Expr = MISSING) -> Expr:
    """Return the expression of an outcome: `[converted]`, or `[]`.

    using: an expression that gives the converted value, which is valid if it is of type
    `to` or null.
    """
    if using is not MISSING:
        fits = {"$in": [{"$type": "$$result"}, [to, "null"]]}
        return _let("result", using, _if(fits, ["$$result"]))
    if to == "array":
        return [[value]]
    branches = [
        {
            "case": {"$in": [{"$type": "$$value"}, list(types)]},
            "then": convert("$$value"),
        }
        for types, convert in _CONVERSIONS[to].items()
    ]
    return _let("value", value, {"$switch": {"branches": branches, "default": LOST}})


def _let(name: str, value: Expr, inner: Expr) -> Expr:
    return {"$let": {"vars": {name: value}, "in": inner}}


def _if(condition: Expr, outcome: Expr) -> Expr:
    return {"$cond": [condition, outcome, LOST]}


def _convert(value: Expr, to: str) -> Expr:
    return {"$convert": {"input": value, "to": to, "onError": None, "onNull": None}}


def _trimmed(value: Expr) -> Expr:
    return {"$trim": {"input": value, "chars": _BLANKS}}


def _matches(value: Expr, *patterns: str) -> Expr:
    tests = [{"$regexMatch": {"input": value, "regex": regex}} for regex in patterns]
    return {"$or": tests}


def _plainly(to: str) -> Callable[[Expr], Expr]:
    """Return the conversion of a type whose every value survives."""
    return lambda value: [_convert(value, to)]


def _exactly(to: str) -> Callable[[Expr], Expr]:
    """Return the conversion, valid if the result equals the value as a number."""

    def convert(value: Expr) -> Expr:
        same = {"$eq": ["$$result", value]}
        return _let("result", _convert(value, to), _if(same, ["$$result"]))

    return convert


def _from_text(to: str, *patterns: str) -> Callable[[Expr], Expr]:
    """Return the conversion of a text in one of these forms, with blanks around it."""

    def convert(value: Expr) -> Expr:
        result = _let("result", _convert("$$text", to), _if_any("$$result"))
        return _let("text", _trimmed(value), _if(_matches("$$text", *patterns), result))

    return convert


def _if_any(result: Expr) -> Expr:
    return _if({"$ne": [result, None]}, [result])


def _decimal_from_text(value: Expr) -> Expr:
    """Convert a text unless it has more digits than a decimal: it would be rounded."""
    regex = r"^[+-]?0*([0-9]*)\.?([0-9]*)"
    digits = {"$regexFind": {"input": _trimmed(value), "regex": regex}}
    length = {"$strLenCP": {"$concat": _captured(0) + _captured(1)}}
    fits = {"$lte": [length, _DECIMAL_DIGITS]}
    outcome = _from_text("decimal", _FLOAT, _NOT_FINITE)(value)
    return _let("found", digits, _if(fits, outcome))


def _captured(group: int) -> list[Expr]:
    """Return what a group of `$$found` matched; nothing if it did not take part."""
    part = {"$arrayElemAt": ["$$found.captures", group]}
    return [{"$ifNull": [part, ""]}]


def _double_from_decimal(value: Expr) -> Expr:
    """Convert a decimal of up to 15 digits: $toDecimal shows that many of a double."""
    same = {"$eq": [_convert("$$result", "decimal"), value]}
    return _let("result", _convert(value, "double"), _if(same, ["$$result"]))


def _decimal_from_double(value: Expr) -> Expr:
    """Convert by text: $toDecimal gives 12.7 as 12.7000000000000, cut at 15 digits."""
    return _let(
        "texts",
        _text_from_double(value),
        {"$map": {"input": "$$texts", "in": _convert("$$this", "decimal")}},
    )


def _bool_from_text(value: Expr) -> Expr:
    return _let(
        "text",
        {"$toLower": _trimmed(value)},
        {
            "$cond": [
                _matches("$$text", _TRUE),
                [True],
                _if(_matches("$$text", _FALSE), [False]),
            ]
        },
    )


def _bool_from_number(value: Expr) -> Expr:
    return _if({"$in": [value, [0, 1]]}, [{"$eq": [value, 1]}])


def _text_from_date(value: Expr) -> Expr:
    """Convert only years 0 to 9999: $convert fails on others, even with onError."""
    first_ms, last_ms = _YEARS_MS
    at_ms = {"$toLong": value}
    written = {"$and": [{"$gte": [at_ms, first_ms]}, {"$lte": [at_ms, last_ms]}]}
    return _if(written, [_convert(value, "string")])


def _text_from_double(value: Expr) -> Expr:
    """Return the shortest text that reads as the same double again.

    $toString gives six digits. If those are not enough, the exact decimal value is
    rounded to 15, 16 and 17 digits until one reads back.
    """
    six = {"$toString": value}
    exponent = {"$regexMatch": {"input": "$$six", "regex": "e"}}
    plain = {"$and": [{"$lt": [{"$abs": value}, 1e15]}, {"$gte": [{"$abs": value}, 1]}]}
    short = {
        "$and": [
            {"$eq": [_convert("$$six", "double"), value]},
            {"$not": [{"$and": [exponent, plain]}]},
        ]
    }
    whole = {"$and": [plain, {"$eq": [value, {"$trunc": value}]}]}
    branches = [
        {"case": short, "then": ["$$six"]},
        {"case": whole, "then": [{"$toString": {"$toLong": value}}]},
        {
            "case": {
                "$and": [
                    {"$gt": [{"$abs": value}, 1e-60]},
                    {"$lt": [{"$abs": value}, 1e30]},
                ]
            },
            "then": _digits_of_double(value),
        },
    ]
    return _let("six", six, {"$switch": {"branches": branches, "default": LOST}})


def _digits_of_double(value: Expr) -> Expr:
    """Return the shortest rounding of a double's exact value that reads back."""
    power = {"$subtract": [53, {"$floor": {"$log": [{"$abs": value}, 2]}}]}
    # Multiplied by a power of two, a double stays exact and becomes a whole number.
    mantissa = {"$toLong": {"$multiply": [value, {"$pow": [2.0, "$$power"]}]}}
    two = {"$toDecimal": 2}
    exact = {"$divide": [{"$toDecimal": mantissa}, {"$pow": [two, "$$power"]}]}
    places = {"$subtract": [14, {"$floor": {"$log10": {"$abs": value}}}]}
    texts = {
        "$map": {
            "input": [0, 1, 2, 3],
            "as": "more",
            "in": _without_zeros({"$round": ["$$exact", _whole("$$places", "$$more")]}),
        }
    }
    reads_back = {"$eq": [_convert("$$this", "double"), value]}
    first = {"$slice": [{"$filter": {"input": texts, "cond": reads_back}}, 1]}
    return _let(
        "power",
        {"$toInt": power},
        _let("exact", exact, _let("places", places, first)),
    )


def _whole(*numbers: Expr) -> Expr:
    """Return a sum as $round takes it: an integer from -20 to 100."""
    return {"$max": [-20, {"$min": [100, {"$toInt": {"$add": list(numbers)}}]}]}


def _without_zeros(decimal: Expr) -> Expr:
    """Return a decimal as text, without trailing zeros."""
    regex = r"^(-?[0-9]+(?:\.[0-9]*[1-9])?)(?:\.?0*)(E.*)?$"
    found = {"$regexFind": {"input": {"$toString": decimal}, "regex": regex}}
    exponent = [{"$toLower": text} for text in _captured(1)]
    return _let("found", found, {"$concat": _captured(0) + exponent})


def _date_from_text(value: Expr) -> Expr:
    parsed = {"$dateFromString": {"dateString": "$$text", "onError": None}}
    result = _let("result", parsed, _if_any("$$result"))
    return _let("text", _trimmed(value), _if(_matches("$$text", _DATE), result))


def _whole_number(to: str) -> Branches:
    return {
        ("string",): _from_text(to, _INTEGER),
        ("int", "long", "double", "decimal"): _exactly(to),
    }


_CONVERSIONS: dict[str, Branches] = {
    "string": {
        ("int", "long", "decimal", "bool", "objectId"): _plainly("string"),
        ("double",): _text_from_double,
        ("date",): _text_from_date,
    },
    "int": _whole_number("int"),
    "long": _whole_number("long"),
    "double": {
        ("string",): _from_text("double", _FLOAT, _NOT_FINITE),
        ("int", "long"): _exactly("double"),
        ("decimal",): _double_from_decimal,
    },
    "decimal": {
        ("string",): _decimal_from_text,
        ("int", "long"): _plainly("decimal"),
        ("double",): _decimal_from_double,
    },
    "bool": {
        ("string",): _bool_from_text,
        ("int", "long", "double", "decimal"): _bool_from_number,
    },
    "date": {("string",): _date_from_text},
    "objectId": {("string",): _from_text("objectId", _OBJECT_ID)},
}
