"""Which type changes count as taking something away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from flask_dualmigrate.lint.narrowing import narrows
from flask_dualmigrate.postgres.destructive import destructive_calls
from flask_dualmigrate.script_file import load_script

NARROWER: list[tuple[Any, Any]] = [
    (sa.BigInteger(), sa.Integer()),
    (sa.Integer, sa.SmallInteger),
    (sa.Numeric(10, 2), sa.Integer()),
    (sa.Numeric(10, 4), sa.Numeric(10, 2)),
    (sa.Numeric(10, 2), sa.Numeric(8, 2)),
    (sa.Numeric(), sa.Numeric(8, 2)),
    (sa.Numeric(10, 2), sa.Float()),
    (sa.Text(), sa.String(50)),
    (sa.String(100), sa.String(50)),
    (sa.Integer(), sa.String(3)),
    (sa.String(), sa.Integer()),
    (sa.Integer(), sa.Boolean()),
    (sa.DateTime(), sa.Date()),
    (sa.DateTime(timezone=True), sa.DateTime()),
    (sa.Enum("a", "b", name="e"), sa.Enum("a", name="e")),
]
NOT_NARROWER: list[tuple[Any, Any]] = [
    (sa.Integer(), sa.BigInteger()),
    (sa.Integer(), sa.Numeric()),
    (sa.Numeric(8, 2), sa.Numeric(10, 2)),
    (sa.Numeric(8, 2), sa.Numeric()),
    (sa.String(50), sa.String(100)),
    (sa.String(50), sa.Text()),
    (sa.Integer(), sa.Text()),
    (sa.DateTime(), sa.DateTime(timezone=True)),
    (sa.Date(), sa.DateTime()),
    (sa.JSON(), postgresql.JSONB()),
    (sa.Enum("a", name="e"), sa.Enum("a", "b", name="e")),
    (None, sa.Integer()),
    ("no type", sa.Integer()),
]


@pytest.mark.parametrize(("old", "new"), NARROWER, ids=str)
def test_a_type_that_cannot_hold_all_is_narrower(old: Any, new: Any) -> None:
    assert narrows(old, new)


@pytest.mark.parametrize(("old", "new"), NOT_NARROWER, ids=str)
def test_a_type_that_holds_all_is_not(old: Any, new: Any) -> None:
    assert not narrows(old, new)


SCRIPT = '''"""r1"""
import sqlalchemy as sa
from alembic import op
revision = "r1"
down_revision = None
branch_labels = None
depends_on = None

def upgrade():
{body}

def downgrade():
    pass
'''


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ('op.drop_table("a", schema="s")', ("a", "s", None)),
        ('op.drop_column("a", "x")', ("a", None, "x")),
        ('op.drop_column("a", "x", schema="s")', ("a", "s", "x")),
        (
            'with op.batch_alter_table("a") as b:\n        b.drop_column("x")',
            ("a", None, "x"),
        ),
        (
            'op.alter_column("a", "x", type_=sa.Integer(), '
            "existing_type=sa.BigInteger())",
            ("a", None, "x"),
        ),
        (
            'with op.batch_alter_table("a", schema="s") as b:\n'
            '        b.alter_column("x", existing_type=sa.Text(), '
            "type_=sa.String(5))",
            ("a", "s", "x"),
        ),
        ('op.execute("DELETE FROM a WHERE x")', ("a", None, None)),
        ('op.execute(sa.text("truncate table s.a"))', ("a", "s", None)),
        ('op.execute("DROP SCHEMA s CASCADE")', (None, None, None)),
        ("op.drop_table(name_of())", (None, None, None)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_is_found_with_what_it_is_about(
    code: str, place: tuple[str | None, ...], tmp_path: Path
) -> None:
    path = tmp_path / "r1.py"
    path.write_text(SCRIPT.format(body=f"    {code}"))
    (found,) = destructive_calls(load_script(path), "upgrade")
    assert (found.table, found.schema, found.column) == place


def test_two_batches_under_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "r1.py"
    body = "".join(
        f'    with op.batch_alter_table("{name}") as b:\n        b.drop_column("x")\n'
        for name in "ab"
    )
    path.write_text(SCRIPT.format(body=body))
    found = destructive_calls(load_script(path), "upgrade")
    assert [call.table for call in found] == ["a", "b"]


def test_a_wider_type_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "r1.py"
    change = "type_=sa.BigInteger(), existing_type=sa.Integer()"
    path.write_text(SCRIPT.format(body=f'    op.alter_column("a", "x", {change})'))
    assert destructive_calls(load_script(path), "upgrade") == ()
