"""What the source of an Alembic script shows without running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flask_dualmigrate.alembic_scripts.source_calls import (
    created_schemas,
    switches_role,
)
from flask_dualmigrate.errors import TreeError
from flask_dualmigrate.postgres.preflight.preflight import refuse_concurrently
from flask_dualmigrate.tree.script_file import LoadedScript, read_script, run_script

Load = Callable[[str], LoadedScript]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a script whose upgrade is one statement; nothing of it runs."""

    def loaded(statement: str) -> LoadedScript:
        path = tmp_path / "script.py"
        head = 'revision = "a"\ndown_revision = None\n\n\ndef upgrade():\n'
        path.write_text(f"{head}    {statement}\n")
        return run_script(read_script(path))

    return loaded


IN_A_TRANSACTION = [
    'op.execute("create unique index  concurrently ix ON t (a)")',
    'op.execute("-- first\\nDROP INDEX CONCURRENTLY ix")',
    'op.execute("SELECT 1; REINDEX TABLE CONCURRENTLY t")',
    'op.execute(sa.text("REINDEX (VERBOSE) TABLE CONCURRENTLY t"))',
    'op.drop_index("ix", postgresql_concurrently=True)',
]


@pytest.mark.parametrize("statement", IN_A_TRANSACTION)
def test_concurrently_in_the_transaction_is_refused(load: Load, statement: str) -> None:
    with pytest.raises(TreeError, match="CONCURRENTLY"):
        refuse_concurrently(load(statement), "upgrade")


@pytest.mark.parametrize(
    "statement",
    [
        f"with op.get_context().autocommit_block(): {IN_A_TRANSACTION[0]}",
        'op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY v")',
        "op.execute(\"COMMENT ON TABLE t IS 'CREATE INDEX CONCURRENTLY'\")",
        'op.create_index("ix", "t", ["a"], postgresql_concurrently=False)',
    ],
)
def test_what_may_run_in_a_transaction_is_not_refused(
    load: Load, statement: str
) -> None:
    refuse_concurrently(load(statement), "upgrade")


@pytest.mark.parametrize(
    ("statement", "switches"),
    [
        ('op.execute("SET ROLE owner")', True),
        ('op.execute(f"set local role {owner()}")', True),
        ('op.execute("SELECT 1; SET SESSION AUTHORIZATION owner")', True),
        ('op.execute("RESET ROLE")', False),
        ('op.execute("ALTER DATABASE d SET ROLE owner")', False),
        ("op.execute(\"UPDATE t SET role = 'SET ROLE'\")", False),
    ],
)
def test_the_sql_of_a_script_shows_whether_it_switches_to_another_role(
    load: Load, statement: str, switches: bool
) -> None:
    assert switches_role(load(statement)) is switches


@pytest.mark.parametrize(
    ("statement", "is_created"),
    [
        ('op.execute("create schema if not exists shop")', True),
        ("op.execute('CREATE SCHEMA \"shop\" AUTHORIZATION x')", True),
        ('op.execute(sa.schema.CreateSchema("shop", if_not_exists=True))', True),
        ('op.execute("DROP SCHEMA shop")', False),
        ('op.execute("CREATE TABLE shop.t (id int)")', False),
    ],
)
def test_the_source_of_a_script_shows_which_schemas_it_creates(
    load: Load, statement: str, is_created: bool
) -> None:
    assert ("shop" in created_schemas(load(statement))) is is_created
