"""Comments that allow what lint found, and what is wrong with comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lint_cases import Case
from .linting import lint_case, lint_tree, tree_of

INDEX = 'op.create_index("ix", "items", ["n"])'


def codes(root: Path, sql: str, head: str = "") -> list[tuple[str, str | None]]:
    """Return what is found in a script, and the reasons for which it is allowed."""
    case = Case(sql=sql, sql_head=head, mongo="pass")
    found = lint_case(root, case)
    return [(f.code, f.allowed) for f in found if not f.code.startswith("DM3")]


@pytest.mark.parametrize(
    ("sql", "head"),
    [
        (f"{INDEX}  # dualmigrate: allow DM101 it is small", ""),
        (f"# dualmigrate: allow DM101 it is small\n{INDEX}", ""),
        (f"# dualmigrate: allow DM101 it is small\n# and stays so\n{INDEX}", ""),
        (f"{INDEX}  #dualmigrate:allow DM101: it is small", ""),
        (f"{INDEX}  # dualmigrate: allow DM101 - it is small", ""),
        (
            'op.create_index(\n    "ix",\n    "items",  '
            '# dualmigrate: allow DM101 it is small\n    ["n"],\n)',
            "",
        ),
        (INDEX, "# dualmigrate: allow DM101 it is small"),
    ],
    ids=["line", "above", "two lines", "tight", "dash", "inside", "head"],
)
def test_a_comment_with_a_reason_allows_a_finding(
    sql: str, head: str, tmp_path: Path
) -> None:
    ((code, reason),) = codes(tmp_path, sql, head)

    assert code == "DM101"
    assert str(reason).startswith("it is small")


def test_one_comment_allows_several_rules(tmp_path: Path) -> None:
    sql = (
        "# dualmigrate: allow DM110, DM101 both are small\n"
        f'{INDEX}; op.rename_table("items", "things")'
    )

    assert {reason for _, reason in codes(tmp_path, sql)} == {"both are small"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"{INDEX}  # dualmigrate: allow DM101", ["DM001", "DM101"]),
        (f"{INDEX}  # dualmigrate: allow DM101  ", ["DM001", "DM101"]),
        (f"{INDEX}  # dualmigrate: allow DM999 why", ["DM002", "DM101"]),
        (f"{INDEX}  # dualmigrate: allow", ["DM002", "DM101"]),
        (f"{INDEX}  # dualmigrate: alow DM101 why", ["DM002", "DM101"]),
        (f"{INDEX}  # dualmigrate: allow DM111 why", ["DM003", "DM101"]),
        ("# dualmigrate: allow DM101 why\npass", ["DM003"]),
        (f"pass  # dualmigrate: allow DM101 why\n{INDEX}", ["DM003", "DM101"]),
    ],
    ids=[
        "no reason",
        "blanks",
        "unknown",
        "no code",
        "misspelt",
        "another rule",
        "nothing",
        "line below",
    ],
)
def test_a_comment_that_allows_nothing_is_a_finding(
    sql: str, expected: list[str], tmp_path: Path
) -> None:
    found = codes(tmp_path, sql)

    assert sorted(code for code, _ in found) == expected
    assert {reason for _, reason in found} == {None}


def test_a_text_that_looks_like_a_comment_is_none(tmp_path: Path) -> None:
    sql = "op.execute('SELECT 1 -- # dualmigrate: allow DM101 why')"

    assert codes(tmp_path, sql) == []


def test_a_comment_for_a_rule_that_counts_is_not_called_idle(tmp_path: Path) -> None:
    mongo = (
        'op.create_index("items", [("n", 1)], name="ix")'
        "  # dualmigrate: allow DM206 built at night"
    )

    found = lint_case(tmp_path, Case(mongo=mongo))

    assert "DM003" not in {finding.code for finding in found}


def test_a_finding_of_the_pair_is_allowed_at_the_head_of_its_script(
    tmp_path: Path,
) -> None:
    head = "# dualmigrate: allow DM301 events are of MongoDB alone"
    case = Case(mongo='op.add_field("items", "m")', mongo_head=head)

    found = [f for f in lint_case(tmp_path, case) if f.code == "DM301"]

    assert [f.allowed for f in found] == ["events are of MongoDB alone"]


def test_the_config_turns_a_rule_off_and_does_not_call_its_comments_idle(
    tmp_path: Path,
) -> None:
    sql = f"{INDEX}  # dualmigrate: allow DM101 it is small"
    tree = tree_of(tmp_path, Case(sql=sql))

    found = lint_tree(tree, ignored=["DM101"])

    assert {f.code for f in found}.isdisjoint({"DM101", "DM003"})
