"""The SQL of defaults, conditions and checks, as it is read."""

from __future__ import annotations

import pytest

from flask_dualmigrate.sql.expressions import (
    Array,
    Binary,
    Call,
    Cast,
    Expr,
    In,
    Name,
    Number,
    Text,
    Unary,
    Word,
    bare,
    parse,
)
from flask_dualmigrate.sql.tokens import UnknownSql, escape_colons, mentions, rename


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("'it''s'", Text("it's")),
        ("E'a\\tb'", Text("a\tb")),
        ("-1.5", Number("-1.5")),
        (".5e-3", Number(".5e-3")),
        ("TRUE", Word(True)),
        ("null", Word(None)),
        ("Status", Name("status")),
        ('"Status"', Name("Status")),
        ('items."Größe"', Name("Größe")),
        ("now()", Call("now")),
        ("pg_catalog.now()", Call("now")),
        ("CURRENT_TIMESTAMP", Call("current_timestamp")),
        ("a::character varying(20)[]", Cast(Name("a"), "character varying[]")),
        ("a::timestamp(3) with time zone", Cast(Name("a"), "timestamp with time zone")),
        ('a::public."Status"', Cast(Name("a"), "Status")),
        ("cast(a AS text)", Cast(Name("a"), "text")),
        ("DATE '2020-01-01'", Cast(Text("2020-01-01"), "date")),
        ("ARRAY[1, 2]", Array((Number("1"), Number("2")))),
        ("a != 1", Binary("<>", Name("a"), Number("1"))),
        ("a IN (1)", In(Name("a"), (Number("1"),))),
        ("a = ANY (ARRAY[1]::int[])", In(Name("a"), (Number("1"),))),
        ("a IS NOT NULL", Unary("IS NOT NULL", Name("a"))),
        ("NOT a", Unary("NOT", Name("a"))),
        (
            "a OR b AND c",
            Binary("OR", Name("a"), Binary("AND", Name("b"), Name("c"))),
        ),
        ("a -> 'b'", Binary("->", Name("a"), Text("b"))),
        ("now() AT TIME ZONE 'utc'", Call("timezone", (Text("utc"), Call("now")))),
    ],
)
def test_an_expression_is_read(text: str, expression: Expr) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(
    "text",
    ["", "a +", "a b", "CASE WHEN a THEN 1 END", "a[1]", "a LIKE 'x'", "(a", "a ~ 'x'"],
)
def test_what_is_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(UnknownSql):
        parse(text)


def test_casts_are_taken_off() -> None:
    assert bare(parse("nextval(('x'::text)::regclass)::int")) == Call(
        "nextval", (Text("x"),)
    )


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("a > 1 AND b = 'a'", "\"c\" > 1 AND b = 'a'"),
        ("a(b)", "a(b)"),
        ("b::a", "b::a"),
        ("a.b", "a.b"),
        ("t.a = 1", 't."c" = 1'),
        ('"A" = a', '"A" = "c"'),
    ],
)
def test_a_column_is_renamed_where_it_is_one(text: str, renamed: str) -> None:
    assert rename(text, "a", "c") == renamed
    assert mentions(text, "a") == (text != renamed)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a::text", "a::text"),
        ("':x'", "'\\:x'"),
        ("'12:30'", "'12:30'"),
        ("a : b", "a : b"),
    ],
)
def test_a_colon_that_would_be_a_parameter_is_escaped(text: str, escaped: str) -> None:
    assert escape_colons(text) == escaped
