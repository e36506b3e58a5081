"""`lint` as a command: formats, exit codes, ranges; and what `revision` says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate, UsageError, lint
from flask_dualmigrate.cli.views import as_text
from flask_dualmigrate.linter import Finding, LintResult, Severity
from flask_dualmigrate.revisions import BackendName

from .lint_cases import Case
from .linting import tree_of

NOTHING = Case(sql_down="pass", mongo_down="pass")


def indexed(name: str, comment: str = "") -> Case:
    """Return a revision that builds an index on both sides, and drops it again."""
    return Case(
        sql=f'op.create_index("{name}", "items", ["{name}"]){comment}',
        sql_down=f'op.drop_index("{name}", "items")',
        mongo=f'op.create_index("items", [("{name}", 1)], name="{name}")',
        mongo_down=f'op.drop_index("items", "{name}")',
    )


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """An app with a tree of four revisions, and without a server."""
    allowed = indexed("name", "  # dualmigrate: allow DM101 it is small")
    tree_of(tmp_path / "migrations", NOTHING, indexed("n"), allowed).lock()
    app = Flask("an_app", root_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://127.0.0.1:9/none"
    app.config["MONGO_URI"] = "mongodb://127.0.0.1:9/none"
    db, mongo = SQLAlchemy(), PyMongo()
    db.init_app(app)
    mongo.init_app(app)
    DualMigrate(app, db, mongo, directory=str(tmp_path / "migrations"))
    with app.app_context():
        yield app
    assert mongo.cx is not None
    mongo.cx.close()


def run(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


def test_a_finding_says_danger_what_to_write_and_how_to_allow_it(app: Flask) -> None:
    said = run(app, "lint", "r2")

    assert said.exit_code == 3
    lines = said.stdout.splitlines()
    assert lines[0].endswith("r2.py:9: DM101 index built without CONCURRENTLY")
    assert lines[1].startswith("  CREATE INDEX blocks writes to items")
    assert "  Write instead:" in lines
    assert "      with op.get_context().autocommit_block():" in lines
    assert "  Or allow it with: # dualmigrate: allow DM101 REASON" in lines
    assert lines[-1] == "1 finding in 1 revision."


@pytest.mark.parametrize(
    ("words", "exit_code", "last"),
    [
        (["r1"], 0, "Nothing found in 1 revision."),
        (["r3"], 0, "Nothing found in 1 revision; 1 allowed by comments."),
        (["r1", "r3"], 0, "Nothing found in 2 revisions; 1 allowed by comments."),
        (["--since", "r2"], 0, "Nothing found in 1 revision; 1 allowed by comments."),
        (["r2:"], 0, "Nothing found in 1 revision; 1 allowed by comments."),
        (["r1:r2"], 3, "1 finding in 1 revision."),
        ([":r1"], 0, "Nothing found in 2 revisions."),
        ([], 3, "1 finding in 4 revisions; 1 allowed by comments."),
        (["--mongo-only"], 0, "Nothing found in 4 revisions."),
        (["--sql-only", "r2"], 3, "1 finding in 1 revision."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_revisions_and_the_side_that_are_named(
    words: list[str], exit_code: int, last: str, app: Flask
) -> None:
    said = run(app, "lint", *words)

    assert said.stdout.splitlines()[-1] == last
    assert said.exit_code == exit_code


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"]])
def test_json_has_the_findings_and_what_is_allowed(
    words: list[str], app: Flask
) -> None:
    said = run(app, "lint", *words)

    found = json.loads(said.stdout)
    assert said.exit_code == 3
    assert (found["ok"], found["revisions"]) == (False, 4)
    (finding,) = found["findings"]
    assert finding["code"] == "DM101"
    assert finding["severity"] == "warning"
    assert finding["backend"] == "postgres"
    assert (finding["revision"], finding["line"]) == ("r2", 9)
    assert Path(finding["path"]).is_file()
    assert [each["allowed"] for each in found["allowed"]] == ["it is small"]


def test_github_gets_one_annotation_a_line_rightly_escaped() -> None:
    finding = Finding(
        "DM101",
        "a title: with, both",
        Severity.WARNING,
        "r1",
        BackendName.POSTGRES,
        str(Path.cwd() / "a,b" / "c:d%.py"),
        7,
        "100 % danger",
        "one\r\ntwo",
    )

    said = as_text(LintResult((finding,)), "github")

    assert said == (
        "::warning file=a%2Cb/c%3Ad%25.py,line=7,title=DM101%3A a title%3A with%2C both"
        "::100 %25 danger%0A%0Aone%0D%0Atwo"
    )


def test_github_is_told_nothing_where_nothing_is(app: Flask) -> None:
    said = run(app, "lint", "r1", "--format", "github")

    assert (said.exit_code, said.stdout.strip()) == (0, "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--sql-only", "--mongo-only"], "leave nothing to check"),
        (["r1", "--since", "r1"], "not both"),
        (["nowhere"], "nowhere"),
    ],
)
def test_wrong_usage_is_told(words: list[str], text: str, app: Flask) -> None:
    said = run(app, "lint", *words)

    assert said.exit_code == 2
    assert text in said.stderr


def test_the_exit_code_is_in_the_help(app: Flask) -> None:
    assert "exit code 3" in run(app, "lint", "--help").stdout


def test_the_function_takes_what_the_command_takes(app: Flask) -> None:
    assert [f.code for f in lint(revisions="r2").findings] == ["DM101"]
    assert lint(since="r2").ok
    assert lint(revisions=["r1", "r3"]).revisions == 2
    with pytest.raises(UsageError):
        lint(revisions="r1", since="r1")


def test_a_new_revision_with_nothing_in_it_has_no_warning(app: Flask) -> None:
    said = run(app, "revision", "-m", "nothing", "--rev-id", "r4")

    assert said.exit_code == 0, said.stderr
    assert "Warning" not in said.stderr


def test_a_new_partner_is_linted(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "migrations" / "mongo" / "versions" / "r3.py").unlink()
    script = tmp_path / "migrations" / "postgres" / "versions" / "r3.py"
    body = script.read_text("utf-8").replace('["name"])', '["name"], unique=True)')
    script.write_text(body, encoding="utf-8")

    said = run(app, "revision", "--pair", "r3")

    assert said.exit_code == 0, said.stderr
    (warning, hint) = said.stderr.splitlines()
    assert "r3.py:" in warning
    assert "DM201 unique index on an existing collection" in warning
    assert hint.endswith("flask db-migrate lint r3")


@pytest.mark.parametrize("value", [["DM1"], "every", [3], 5])
def test_a_code_to_ignore_that_is_none_is_refused(value: Any, app: Flask) -> None:
    app.config["DUALMIGRATE_LINT_IGNORE"] = value

    assert "DUALMIGRATE_LINT_IGNORE" in run(app, "lint").stderr


@pytest.mark.parametrize("value", [["DM101"], "DM101", "DM101, DM124"])
def test_a_rule_that_is_ignored_is_not_told_of(value: Any, app: Flask) -> None:
    app.config["DUALMIGRATE_LINT_IGNORE"] = value

    assert run(app, "lint").exit_code == 0
