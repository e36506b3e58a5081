"""Each rule of lint: what it finds, what it leaves alone, and what it says instead."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from flask_dualmigrate.linter import RULES, Severity, titles
from flask_dualmigrate.linter.advice.finding import NEXT

from .lint_cases import CASES, Case
from .linting import lint_case

DOCS = Path(__file__).parents[2] / "docs" / "lint.md"

BAD = [case for case in CASES if case.bad]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_rule_finds_the_bad_and_leaves_the_good(case: Case, tmp_path: Path) -> None:
    found = [f for f in lint_case(tmp_path, case) if f.code == case.code]

    assert bool(found) is case.bad
    for finding in found:
        assert finding.severity is RULES[case.code].severity
        assert Path(finding.path).is_file()
        lines = Path(finding.path).read_text(encoding="utf-8").splitlines()
        assert 1 <= finding.line <= len(lines)


@pytest.mark.parametrize("code", sorted(RULES))
def test_each_rule_has_a_good_and_a_bad_case(code: str) -> None:
    assert {case.bad for case in CASES if case.code == code} == {True, False}


@pytest.mark.parametrize("code", sorted(titles()))
def test_each_code_is_in_the_docs(code: str) -> None:
    row = re.search(rf"^\| `?{code}`? \|.*$", DOCS.read_text("utf-8"), re.MULTILINE)

    assert row is not None
    assert titles()[code] in row[0]


def test_the_docs_have_no_rule_that_is_none() -> None:
    named = set(re.findall(r"^\| `?(DM\d{3})`? \|", DOCS.read_text("utf-8"), re.M))

    assert named == set(titles())


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_the_code_to_paste_is_python_with_the_names_of_the_script(
    case: Case, tmp_path: Path
) -> None:
    for finding in lint_case(tmp_path, case):
        ast.parse(finding.instead)
        assert "None" not in finding.danger


PASTED_AS_A_WHOLE = {
    *("DM101", "DM102", "DM103", "DM104", "DM105", "DM106", "DM107", "DM108"),
    *("DM109", "DM111", "DM112", "DM114", "DM115", "DM116", "DM205", "DM209"),
    *("DM212", "DM301"),
}
"""Rules whose code to paste is a script that works in the place of the one before."""


@pytest.mark.parametrize(
    "case",
    [case for case in BAD if case.code in PASTED_AS_A_WHOLE],
    ids=lambda case: case.id,
)
def test_the_code_to_paste_is_not_found_again(case: Case, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    found = [f for f in lint_case(tmp_path / "before", case) if f.code == case.code]

    for number, finding in enumerate(found):
        root = tmp_path / str(number)
        root.mkdir()
        again = [
            each
            for each in lint_case(root, *_pasted(case, finding.instead))
            if (each.code, each.danger) == (finding.code, finding.danger)
            and each.allowed is None
        ]
        assert again == []


def _pasted(case: Case, instead: str) -> list[Case]:
    """Return the revisions that the code to paste is for."""
    parts = [part.strip("\n") or "pass" for part in instead.split(NEXT)]
    if case.code == "DM301":
        return _paired(case, instead)
    bodies = [f"{part}\npass" for part in parts]
    if case.code.startswith("DM1"):
        return [Case(case.code, "pasted", False, sql=body) for body in bodies]
    return [Case(case.code, "pasted", False, mongo=body) for body in bodies]


def _paired(case: Case, instead: str) -> list[Case]:
    on_mongo = ("sa." not in instead and "[(" in instead) or "add_field" in instead
    sql = case.sql if on_mongo else f"{case.sql}\n{instead}"
    mongo = f"{case.mongo}\n{instead}" if on_mongo else case.mongo
    return [Case(case.code, "pasted", False, sql=sql, mongo=mongo)]


def test_what_loses_data_is_destructive_and_nothing_else() -> None:
    lossy = {c for c, rule in RULES.items() if rule.severity is Severity.DESTRUCTIVE}

    assert lossy == {"DM111", "DM112", "DM113", "DM114", "DM115", "DM205"}
