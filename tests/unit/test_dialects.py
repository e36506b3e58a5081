"""What is known of each SQL dialect is asked of its class, chosen by its name once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import sqlalchemy as sa

import flask_dualmigrate
from flask_dualmigrate.postgres.dialects import (
    MySQL,
    Other,
    PostgreSQL,
    SQLite,
    dialect_of,
)
from flask_dualmigrate.postgres.journal.journal import PostgresJournal

ROOT = Path(flask_dualmigrate.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("postgresql+psycopg://", PostgreSQL),
        ("postgresql+psycopg2://", PostgreSQL),
        ("sqlite://", SQLite),
        ("mysql+pymysql://", MySQL),
        ("mariadb+pymysql://", MySQL),
        ("oracle://", Other),
    ],
)
def test_a_dialect_is_known_by_its_name(url: str, known: type[Other]) -> None:
    """No driver need be there: nothing is connected."""

    class Named:
        dialect = sa.make_url(url).get_dialect()

    assert type(dialect_of(Named())) is known  # type: ignore[arg-type]


def test_no_dialects_name_is_compared() -> None:
    compared = [
        (path.name, ast.unparse(node))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and ast.unparse(node.left).endswith(("dialect.name", "get_backend_name()"))
    ]

    assert compared == []


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_the_journal_holds_any_text_on_mysql(name: str) -> None:
    journal = PostgresJournal(table_options=MySQL.table_options)
    dialect = sa.make_url(f"{name}+pymysql://").get_dialect()()

    for table in journal.tables:
        created = str(sa.schema.CreateTable(table).compile(dialect=dialect))
        assert "CHARSET=utf8mb4" in created


@pytest.mark.parametrize("known", [PostgreSQL, SQLite, Other])
def test_the_journal_asks_no_other_dialect_to_be_imported(known: type[Other]) -> None:
    journal = PostgresJournal(table_options=known.table_options)

    assert [dict(table.dialect_kwargs) for table in journal.tables] == [{}, {}]
