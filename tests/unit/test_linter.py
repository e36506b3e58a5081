"""Lint goes through a tree: which revisions, what it knows, and never an error."""

from __future__ import annotations

import ast
import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_dualmigrate.runtime.time_limits import Limits

from .lint_cases import CASES, Case
from .linting import lint_case, lint_tree, tree_of
from .trees import MONGO, POSTGRES, Tree


def codes(found: list) -> list[str]:  # type: ignore[type-arg]
    return [finding.code for finding in found]


def test_a_table_of_an_earlier_revision_is_in_use(tmp_path: Path) -> None:
    make = Case(sql='op.create_table("b", sa.Column("n", sa.Integer))')
    index = Case(sql='op.create_index("ix", "b", ["n"])')
    tree = tree_of(tmp_path, make, index)

    assert "DM101" not in codes(lint_tree(tree, "r1"))
    assert "DM101" in codes(lint_tree(tree, "r2"))


def test_a_check_that_an_earlier_revision_validated_spares_the_scan(
    tmp_path: Path,
) -> None:
    check = Case(
        sql='op.create_check_constraint("ck", "items", "n IS NOT NULL", '
        "postgresql_not_valid=True)"
    )
    validate = Case(
        sql='op.execute("ALTER TABLE items VALIDATE CONSTRAINT ck")\n'
        'op.alter_column("items", "n", nullable=False)'
    )

    found = lint_tree(tree_of(tmp_path, check, validate), "r2")

    assert "DM104" not in codes(found)


def test_the_app_that_waits_for_ever_for_a_lock_is_warned(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, Case(sql='op.drop_constraint("ck", "items")'))

    assert "DM123" not in codes(lint_tree(tree))
    assert "DM123" in codes(lint_tree(tree, limits=Limits(lock_timeout_s=0)))


def test_findings_come_by_revision_script_and_line(tmp_path: Path) -> None:
    body = 'op.drop_column("items", "n")\nop.drop_column("items", "name")'
    mongo = 'op.drop_field("items", "n", keep=False)'
    one = Case(sql=body, mongo=mongo)
    found = lint_case(tmp_path, one, one)

    places = [(f.revision, f.backend is MONGO, f.line) for f in found]
    assert places == sorted(places)
    assert {f.revision for f in found} == {"r1", "r2"}


@pytest.mark.parametrize("side", [POSTGRES, MONGO])
def test_one_side_alone_has_no_findings_of_the_pair(
    side: object, tmp_path: Path
) -> None:
    case = Case(
        sql='op.create_index("ix", "items", ["n"])',
        mongo='op.drop_field("items", "n", keep=False)',
    )

    found = lint_tree(tree_of(tmp_path, case, sides=[side]))

    assert found
    assert not [code for code in codes(found) if code.startswith("DM301")]
    assert {finding.backend for finding in found} == {side}


@pytest.mark.parametrize(
    ("sql", "mongo"),
    [
        ('raise ValueError("no")', "pass"),
        ('op.get_bind().execute(sa.text("SELECT 1"))', "pass"),
        ("pass", "op.create_collection('system.users')"),
        ("pass", "1 / 0"),
        ("raise SystemExit(1)", "pass"),
    ],
    ids=["raises", "asks", "refused name", "fails", "exits"],
)
def test_a_script_that_cannot_be_followed_is_a_finding(
    sql: str, mongo: str, tmp_path: Path
) -> None:
    found = lint_case(tmp_path, Case(sql=sql, mongo=mongo))

    (said,) = [finding for finding in found if finding.code == "DM004"]
    assert said.backend is (MONGO if sql == "pass" else POSTGRES)


def test_a_missing_partner_does_not_stop_it(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, Case(sql='op.create_index("ix", "items", ["n"])'))
    (tree.root / "mongo" / "versions" / "r1.py").unlink()

    found = lint_tree(tree)

    assert "DM101" in codes(found)
    assert {finding.backend for finding in found} == {POSTGRES}


_TABLES = (
    *("test_translate_script", "test_translate_columns", "test_translate_sql"),
    *("test_translate", "test_recording", "test_render", "test_recorder"),
)


def _snippets() -> Iterator[str]:
    """Yield all code in the tables of other tests."""
    for name in _TABLES:
        module = importlib.import_module(f"tests.unit.{name}")
        for function in list(vars(module).values()):
            for mark in getattr(function, "pytestmark", ()):
                if mark.name == "parametrize":
                    yield from filter(_is_script, _texts(mark.args[1]))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))


def _is_script(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return "op." in text and "await" not in text


def _all_bodies() -> Iterator[Case]:
    for text in _snippets():
        yield Case(sql=text, sql_down=text)
        yield Case(mongo=text, mongo_down=text)
    for case, other in itertools.pairwise(CASES):
        yield Case(
            sql=case.sql,
            sql_down=other.sql,
            sql_head=case.sql_head,
            mongo=case.mongo,
            mongo_down=other.mongo,
            mongo_head=f"{case.mongo_head}\n{other.mongo_head}",
        )


def test_lint_never_raises_whatever_a_script_says(tmp_path: Path) -> None:
    bodies = list(_all_bodies())
    assert len(bodies) > 300
    tree = tree_of(tmp_path, *bodies)
    names = [f"r{number}" for number in range(1, len(bodies) + 1)]

    found = lint_tree(tree, *names, facts={"has_transactions": False})

    assert len(found) > len(bodies)
    for finding in found:
        ast.parse(finding.instead)


def test_lint_of_an_empty_tree_finds_nothing(tmp_path: Path) -> None:
    assert lint_tree(Tree(tmp_path)) == []


def test_what_holds_for_postgresql_alone_is_not_said_of_another_dialect(
    tmp_path: Path,
) -> None:
    case = Case(
        sql='op.create_index("ix", "items", ["n"])\n'
        'op.add_column("items", sa.Column("code", sa.Text, nullable=False))\n'
        "# dualmigrate: allow DM104 no lock there\n"
        'op.alter_column("items", "n", nullable=False)\n'
        'op.drop_column("items", "at")'
    )
    tree = tree_of(tmp_path, case, sides=(POSTGRES,))

    assert {"DM101", "DM103", "DM111"} <= set(codes(lint_tree(tree)))
    elsewhere = lint_tree(tree, on_postgres=False)

    assert set(codes(elsewhere)) == {"DM103", "DM111", "DM302"}
