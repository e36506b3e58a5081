"""SQL as tokens and statements, cut as PostgreSQL cuts it."""

from __future__ import annotations

import pytest

from flask_dualmigrate.alembic_scripts.sql_changes import changes_of_sql
from flask_dualmigrate.sql.names import full_name
from flask_dualmigrate.sql.statements import statements
from flask_dualmigrate.sql.tokens import tokens
from flask_dualmigrate.sql.words import split, words_of


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

    found = ["SELECT ';'", "DO $$ BEGIN; END $$"]
    assert [words.text for words in split(text)] == found


def test_lists_are_cut_outside_of_brackets() -> None:
    parts = words_of("a, f(b, ','), c[1, 2]").split(",")
    assert [part.text for part in parts] == ["a", "f(b, ',')", "c[1, 2]"]
    inner = words_of("f (a, (b), ')') c (d)").brackets()
    assert inner is not None
    assert inner.text == "a, (b), ')'"


@pytest.mark.parametrize(
    ("text", "kind", "targets"),
    [
        ("create unique index concurrently ON only s.t (a)", "CREATE INDEX", "s.t"),
        ("TRUNCATE ONLY a, ONLY b CASCADE", "TRUNCATE", "a b"),
        ('DROP INDEX CONCURRENTLY IF EXISTS a, "B c" CASCADE', "DROP INDEX", "a B c"),
        ("DELETE /* all */ FROM public.t", "DELETE", "t"),
        ("delete this", "DELETE", ""),
        ("CREATE RULE r AS ON UPDATE TO t DO (SELECT 1; SELECT 2)", "CREATE RULE", "r"),
        ('UPDATE U&"d\\0061t" SET a = 1', "UPDATE", ""),
    ],
)
def test_a_statement_is_told_by_its_begin(text: str, kind: str, targets: str) -> None:
    (statement,) = statements(text)

    assert statement.kind == kind
    assert " ".join(map(full_name, statement.targets)) == targets


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("INSERT INTO t (a) VALUES ('select')", "insert"),
        ("WITH x AS (SELECT 'delete from t') SELECT * FROM x FOR UPDATE", "other"),
        ("ROLLBACK WORK TO a", "other"),
        ("SET SESSION lock_timeout TO 3", "lock_timeout"),
        ("SET TIME ZONE 'UTC+3'", "other"),
    ],
)
def test_texts_within_a_statement_do_not_tell_what_it_does(
    text: str, verb: str
) -> None:
    assert [change.verb for change in changes_of_sql(text)] == [verb]
