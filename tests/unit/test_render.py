"""The sources: headers that any message leaves whole, values, imports."""

from __future__ import annotations

import subprocess
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.script.base import ScriptDirectory
from bson import Binary, Decimal128, Int64

from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.generate import Header, clean_message, empty_pair, empty_partner
from flask_dualmigrate.generate.mongo.source import Comment, render_mongo, value_source
from flask_dualmigrate.generate.source.imports import import_lines, sorted_imports
from flask_dualmigrate.ops import NOW, AddField, CreateIndex

from .translation import HEADER, recorded

CREATED = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)


def header(message: str = "add status to items", **changes: Any) -> Header:
    fields: dict[str, Any] = {
        "revision": "ab12cd34ef56",
        "down_revision": ("9c1d2e3f4a5b",),
        "branch_labels": (),
        "depends_on": (),
        "message": message,
        "created_at": CREATED,
        **changes,
    }
    return Header(**fields)


def complaints(source: str) -> str:
    """Return what ruff would change in a source, or finds wrong with it."""
    found = []
    for arguments in (
        ["format", "--diff"],
        ["check", "--quiet", "--select", "E,F,W,I,UP,B"],
    ):
        command = ["ruff", *arguments, "--isolated", "--line-length", "88", "-"]
        done = subprocess.run(
            command, input=source, capture_output=True, text=True, check=False
        )
        found.append(done.stdout + done.stderr if done.returncode else "")
    return "".join(found)


def test_a_mongo_script_has_the_form_of_the_design() -> None:
    source = render_mongo(
        header(),
        [
            AddField("item", "status", default="new"),
            CreateIndex("item", (("status", 1),), "ix_item_status"),
        ],
        [],
    )

    assert source == (
        '"""add status to items\n'
        "\n"
        "Revision ID: ab12cd34ef56\n"
        "Revises: 9c1d2e3f4a5b\n"
        "Create Date: 2026-11-21 18:30:00+00:00\n"
        '"""\n'
        "\n"
        'revision = "ab12cd34ef56"\n'
        'down_revision = "9c1d2e3f4a5b"\n'
        "branch_labels = None\n"
        "depends_on = None\n"
        "\n"
        "\n"
        "def upgrade(op):\n"
        '    op.add_field("item", "status", default="new")\n'
        '    op.create_index("item", [("status", 1)], name="ix_item_status")\n'
        "\n"
        "\n"
        "def downgrade(op):\n"
        "    pass\n"
    )


MESSAGES = {
    "plain": "add status",
    "quotes": 'say "hi"',
    "three-quotes": 'a """ b',
    "code": '"""; import os; os.abort(); """',
    "ends-in-a-quote": 'say "',
    "begins-with-a-quote": '"say',
    "ends-in-a-backslash": "C:\\",
    "backslash": "a\\nb \\N{DASH} \\x41",
    "template": "${message} <% import os %> %(x)s {x}",
    "emoji": "ship it 🎉 👩‍👩‍👧",
    "not-ascii": "größe 数量 " * 20,
    "long": "word " * 60,
    "long-with-quotes": '\\" ' * 60,
    "one-long-word": "x" * 200,
    "comment": "# noqa",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_alembic_loads_any_message_as_it_was(
    tmp_path: Path, message: str, side: str
) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    source = empty_partner(header(message, down_revision=()), side)
    (versions / "ab12cd34ef56_x.py").write_text(source)

    script = ScriptDirectory(str(tmp_path)).get_revision("ab12cd34ef56")

    assert script.doc == clean_message(message)
    assert complaints(source) == ""


@pytest.mark.parametrize(
    "message",
    ["a\nb", "a\r\n\r\nb", "a\tb", " a  b ", "a\u2028b", "a\x0cb"],
    ids=range(6),
)
def test_line_ends_in_a_message_become_one_space(message: str) -> None:
    assert clean_message(message) == "a b"


@pytest.mark.parametrize("char", ["\0", "\x1b", "\x07", "\x7f", "\ud800"])
def test_a_control_character_in_a_message_is_refused(char: str) -> None:
    with pytest.raises(UsageError):
        clean_message(f"a{char}b")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"down_revision": ()}, "down_revision = None"),
        ({"down_revision": ("a", "b")}, 'down_revision = ("a", "b")'),
        ({"branch_labels": ("web",)}, 'branch_labels = ("web",)'),
        ({"depends_on": ("a", "b")}, 'depends_on = ("a", "b")'),
        ({"down_revision": ()}, "Revises:"),
        ({"down_revision": ("a", "b")}, "Revises: a, b"),
        ({"depends_on": ("a",)}, "Depends On: a"),
        (
            {"created_at": CREATED.astimezone(timezone(timedelta(hours=2)))},
            "Create Date: 2026-11-21 20:30:00+02:00",
        ),
    ],
    ids=range(8),
)
def test_the_header_says_what_the_revision_is(changes: Any, line: str) -> None:
    pair = empty_pair(header(**changes))

    assert line in pair.postgres.splitlines()
    assert line in pair.mongo.splitlines()


def test_many_parents_are_on_lines_of_their_own() -> None:
    source = empty_pair(header(down_revision=tuple("abcdefgh" * 2 for _ in range(6))))

    assert complaints(source.mongo) == ""


def test_a_script_of_comments_alone_has_a_pass() -> None:
    source = render_mongo(HEADER, [Comment("nothing to do")], [])

    assert "    # nothing to do\n    pass\n" in source
    assert recorded(source) == ()


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (-1.5, "-1.5"),
        (float("inf"), 'float("inf")'),
        ("it's", '"it\'s"'),
        (Int64(3), "Int64(3)"),
        (Decimal128("1.50"), 'Decimal128("1.50")'),
        (b"\x00x", 'b"\\x00x"'),
        (Binary(b"x", 5), 'Binary(b"x", 5)'),
        (
            Binary.from_uuid(uuid.UUID(int=1)),
            'Binary.from_uuid(UUID("00000000-0000-0000-0000-000000000001"))',
        ),
        (datetime(2024, 5, 6, tzinfo=UTC), "datetime(2024, 5, 6, tzinfo=UTC)"),
        (
            datetime(2024, 5, 6, 7, 0, 0, 1000, tzinfo=UTC),
            "datetime(2024, 5, 6, 7, 0, 0, 1000, tzinfo=UTC)",
        ),
        ({"a": [1, {"b": None}]}, '{"a": [1, {"b": None}]}'),
        ([("a", 1)], '[("a", 1)]'),
        (NOW, "op.now()"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_is_written_as_python(value: Any, source: str) -> None:
    assert value_source(value, set()) == source


@pytest.mark.parametrize(
    "value",
    [
        Decimal128("1.5"),
        Binary.from_uuid(uuid.UUID(int=1)),
        datetime(2024, 5, 6, tzinfo=UTC),
        [Decimal128("1"), datetime(2024, 5, 6, tzinfo=UTC), Int64(1)],
        {"a": b"x" * 100, "b": "word " * 40},
    ],
    ids=range(5),
)
def test_a_script_imports_what_it_uses_and_records_the_same(value: Any) -> None:
    operation = AddField("item", "f", default=value)

    source = render_mongo(HEADER, [operation], [])

    assert complaints(source) == ""
    assert recorded(source) == (operation,)


def test_an_alembic_script_imports_what_it_uses() -> None:
    source = 'op.add_column("t", sa.Column("c", Money(2)))'

    assert import_lines(source, ["from app.types import Money, Weight"]) == [
        "import sqlalchemy as sa",
        "from alembic import op",
        "",
        "from app.types import Money",
    ]


def test_a_type_that_is_named_by_its_module_is_imported() -> None:
    lines = import_lines("decimal.Decimal(1)\nbson.codec_options.CodecOptions()", [])

    assert lines == ["import decimal", "", "import bson.codec_options"]


def test_imports_are_in_isorts_order() -> None:
    lines = sorted_imports(
        [
            "from bson import Int64",
            "from bson import Decimal128",
            "from datetime import datetime",
            "from datetime import UTC",
            "import sqlalchemy as sa",
            "import json",
        ]
    )
    used = "Int64, Decimal128, datetime, UTC, sa, json"
    source = "\n".join(lines) + f"\n\nprint({used})\n"

    assert complaints(source) == ""
