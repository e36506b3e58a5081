"""SQL as tokens and statements, cut as PostgreSQL cuts it."""

from __future__ import annotations

import pytest

from flask_dualmigrate.sql.statements import at_commas, in_brackets, statements
from flask_dualmigrate.sql.tokens import tokens
from flask_dualmigrate.sql.words import split


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a<-1", ["a", "<", "-", "1"]),
        ("a->>'b'", ["a", "->>", "'b'"]),
        ("a #>> '{}'", ["a", " ", "#>>", " ", "'{}'"]),
        ("a+--b\n1", ["a", "+", "--b", "\n", "1"]),
        ("/* a /* b */ c */x", ["/* a /* b */ c */", "x"]),
        ("/* open", ["/", "*", " ", "open"]),
        ("$t$a;b$t$", ["$t$a;b$t$"]),
        ("a$b$c", ["a$b$c"]),
        ('U&"d\\0061t"', ['U&"d\\0061t"']),
        ("E'it\\'s'", ["E'it\\'s'"]),
        ("'open", ["'", "open"]),
    ],
)
def test_text_is_cut_into_tokens_with_nothing_lost(text: str, parts: list[str]) -> None:
    assert [token.text for token in tokens(text)] == parts
    assert "".join(parts) == text


def test_semicolons_count_outside_of_quotes_and_comments_alone() -> None:
    text = "SELECT ';' -- ;\n; /* ; /* ; */ ; */ DO $$ BEGIN; END $$;"

    assert statements(text) == ["SELECT ';'", "DO $$ BEGIN; END $$"]
    assert len(list(split(text))) == 2


def test_lists_are_cut_outside_of_brackets() -> None:
    assert at_commas("a, f(b, ','), c[1, 2]") == ["a", "f(b, ',')", "c[1, 2]"]
    assert in_brackets("f (a, (b), ')') c (d)") == "a, (b), ')'"
