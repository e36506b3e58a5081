"""Text from elsewhere: what a terminal obeys, and what a database refuses."""

from __future__ import annotations

import json

import pytest

from flask_dualmigrate.text import storable, storable_lines, visible, visible_json

TITLE = "\x1b]0;pwned\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, r"\x1b]0;pwned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\x7fb", r"a\x7fb"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
    ids=["osc", "c1", "del", "lines", "bidi", "separators", "surrogate", "tags"],
)
def test_what_a_terminal_obeys_is_shown_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


@pytest.mark.parametrize(
    "text", ["Grüße, 世界", "50\u202f%", "क\u200d\u200c", "👩\u200d🚀"]
)
def test_the_letters_of_all_languages_are_left(text: str) -> None:
    assert visible(text) == text


def test_a_text_of_several_lines_keeps_them() -> None:
    assert visible(f"a\n\t{TITLE}", lines=True) == "a\n\t\\x1b]0;pwned\\x07"


def test_json_stays_the_same_and_has_nothing_that_a_terminal_obeys() -> None:
    value = {"name": f"{TITLE}\x9b\x7f\u202e\u2028\n\ud800\U000e0041é"}
    text = visible_json(json.dumps(value, indent=2, ensure_ascii=False))

    assert json.loads(text) == value
    assert visible(text, lines=True) == text


def test_what_no_database_stores_is_escaped_and_what_is_too_long_is_cut() -> None:
    assert storable("caf\udce9\x00") == r"caf\udce9\x00"
    long = storable("x" * 20_000_000)
    assert long.endswith("x… (20,000,000 characters)")
    assert len(long) < 10_100


def test_of_many_lines_the_first_are_stored_and_the_rest_counted() -> None:
    assert storable_lines(map(str, range(60)))[-2:] == ["49", "and 10 more"]
