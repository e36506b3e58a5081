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
