"""What an Alembic script does, recorded without a database."""

from __future__ import annotations

import textwrap
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from flask_dualmigrate.alembic_scripts import Recorder, record
from flask_dualmigrate.postgres.scripts.recorded import Recorded
from flask_dualmigrate.postgres.scripts.recorded import record as record_sql
from flask_dualmigrate.revisions import Direction


def script(upgrade: str) -> ModuleType:
    text = "from alembic import op\nimport sqlalchemy as sa\ndef upgrade():\n"
    text += textwrap.indent(textwrap.dedent(upgrade).strip(), "    ")
    module = ModuleType("a_script")
    exec(compile(text, "a_script.py", "exec"), vars(module))
    return module


def recorded(upgrade: str) -> Recorded:
    a_script: Any = SimpleNamespace(module=script(upgrade))
    return record_sql(a_script, Direction.UPGRADE)


def names(operations: Any) -> list[str]:
    return [type(operation).__name__ for operation in operations]


@pytest.mark.parametrize(
    ("upgrade", "operations", "statements"),
    [
        ("pass", [], []),
        (
            'op.create_table("t", sa.Column("n", sa.Integer, index=True))',
            ["CreateTableOp", "CreateIndexOp"],
            [
                "CREATE TABLE t (\n    n INTEGER\n)",
                "CREATE INDEX ix_t_n ON t (n)",
            ],
        ),
        (
            'op.add_column("t", sa.Column("n", sa.Integer, sa.ForeignKey("u.id")))',
            ["AddColumnOp", "CreateForeignKeyOp"],
            [
                "ALTER TABLE t ADD COLUMN n INTEGER",
                "ALTER TABLE t ADD FOREIGN KEY(n) REFERENCES u (id)",
            ],
        ),
        (
            'with op.batch_alter_table("t") as batch:\n    batch.drop_column("n")',
            ["DropColumnOp"],
            ["ALTER TABLE t DROP COLUMN n"],
        ),
        (
            'op.execute("UPDATE t SET n = 1;")',
            ["ExecuteSQLOp"],
            ["UPDATE t SET n = 1"],
        ),
        (
            'op.get_bind().execute(sa.text("DELETE FROM t"))',
            ["ExecuteSQLOp"],
            ["DELETE FROM t"],
        ),
        (
            't = sa.table("t", sa.column("n", sa.Integer))\n'
            'op.bulk_insert(t, [{"n": 1}])',
            ["BulkInsertOp"],
            ["INSERT INTO t (n) VALUES (1)"],
        ),
    ],
    ids=["nothing", "table", "column", "batch", "sql", "bind", "rows"],
)
def test_a_script_is_recorded_as_operations_and_as_sql(
    upgrade: str, operations: list[str], statements: list[str]
) -> None:
    found = recorded(upgrade)

    assert names(found.operations) == operations
    assert list(found.statements) == statements
    assert found.missed is None


@pytest.mark.parametrize(
    ("upgrade", "why"),
    [
        ('op.drop_table("t")\nraise ValueError("no")', "completely: ValueError: no"),
        ('op.drop_table("t")\nraise SystemExit(1)', "completely: SystemExit: 1"),
        (
            'op.drop_table("t")\nop.get_bind().execute(sa.text("SELECT 1"))',
            "queries the database (SELECT 1)",
        ),
        (
            'op.drop_table("t")\n'
            't = sa.table("t", sa.column("n"))\nop.bulk_insert(t, [{"n": object()}])',
            "BulkInsertOp has no SQL without a connection",
        ),
    ],
    ids=["raises", "exits", "asks", "no literal"],
)
def test_what_cannot_be_recorded_is_said_and_the_rest_counts(
    upgrade: str, why: str
) -> None:
    found = recorded(upgrade)

    assert found.statements[0] == "DROP TABLE t"
    assert why in str(found.missed)


def test_a_call_knows_its_line_and_whether_it_is_in_the_transaction() -> None:
    module = script(
        """
        op.drop_table("a")
        with op.get_context().autocommit_block():
            op.drop_table("b")
        op.drop_table("c")
        """
    )

    calls = record(module, "upgrade").calls

    assert [(call.line, call.in_transaction) for call in calls] == [
        (4, True),
        (6, False),
        (7, True),
    ]


def test_one_recorder_keeps_scripts_apart() -> None:
    with Recorder() as recorder:
        one = recorder.record(script('op.drop_table("a")'), "upgrade")
        other = recorder.record(script('op.drop_column("b", "c")'), "upgrade")

    assert names(one.operations) == ["DropTableOp"]
    assert names(other.operations) == ["DropColumnOp"]


def test_a_script_without_the_function_does_nothing() -> None:
    assert record(script("pass"), "downgrade").calls == ()
