"""Which type changes count as taking something away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from flask_dualmigrate.alembic_scripts.narrowing import narrows
from flask_dualmigrate.postgres.preflight.destructive import destructive_calls
from flask_dualmigrate.tree.script_file import read_script, run_script


class Short(sa.TypeDecorator[str]):
    """A type of the app's own, over one of SQLAlchemy's."""

    impl = sa.String(6)
    cache_ok = True


def kept_as_text(*labels: str) -> sa.Enum:
    return sa.Enum(*labels, name="e", native_enum=False)


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
    (kept_as_text("a", "b"), kept_as_text("a")),
    (sa.VARCHAR(7), kept_as_text("a", "longer")),
    (sa.Enum("longer", name="e"), sa.String(5)),
    (sa.Text(), sa.Enum("a", name="e")),
    (sa.VARCHAR(7), Short()),
    (sa.Text(), sa.Uuid()),
    (sa.ARRAY(sa.BigInteger()), sa.ARRAY(sa.Integer())),
    (postgresql.TIMESTAMP(precision=6), postgresql.TIMESTAMP(precision=3)),
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
    (sa.VARCHAR(1), kept_as_text("a", "longer")),
    (kept_as_text("a"), kept_as_text("a", "longer")),
    (kept_as_text("a"), sa.String(6)),
    (sa.Enum("longer", name="e"), sa.String(6)),
    (sa.Enum("a", name="e"), sa.Enum("b", "a", name="other")),
    (sa.VARCHAR(1), Short()),
    (Short(), sa.VARCHAR(6)),
    (sa.CHAR(1), sa.VARCHAR(6)),
    (sa.String(6), sa.String(6, collation="C")),
    (sa.Uuid(), sa.String(36)),
    (sa.SmallInteger(), sa.String(6)),
    (sa.Numeric(4, 0), sa.Integer()),
    (sa.ARRAY(sa.Integer()), sa.ARRAY(sa.BigInteger())),
    (postgresql.TIMESTAMP(precision=3), postgresql.TIMESTAMP(precision=6)),
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
    (found,) = destructive_calls(run_script(read_script(path)), "upgrade")
    assert (found.table, found.schema, found.column) == place


def test_two_batches_under_one_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "r1.py"
    body = "".join(
        f'    with op.batch_alter_table("{name}") as b:\n        b.drop_column("x")\n'
        for name in "ab"
    )
    path.write_text(SCRIPT.format(body=body))
    found = destructive_calls(run_script(read_script(path)), "upgrade")
    assert [call.table for call in found] == ["a", "b"]


def test_a_wider_type_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "r1.py"
    change = "type_=sa.BigInteger(), existing_type=sa.Integer()"
    path.write_text(SCRIPT.format(body=f'    op.alter_column("a", "x", {change})'))
    assert destructive_calls(run_script(read_script(path)), "upgrade") == ()
