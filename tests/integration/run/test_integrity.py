"""What runs is what was hashed, and nothing of an edited script runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_dualmigrate import downgrade, init, repair, upgrade
from tests.integration.conftest import MakeApp, Tree

SIDES = ["postgres", "mongo"]


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


@pytest.fixture
def one(make_app: MakeApp, tmp_path: Path) -> Tree:
    """Two revisions, applied; no app is left pushed, so that each test has its own."""
    tree = Tree(tmp_path / "migrations")
    with make_app().app_context():
        init()
        tree.add("r1")
        tree.add("r2")
        init()
        upgrade()
    return tree


def edit(path: Path, mark: Path) -> None:
    """Have a script leave a mark when it is imported."""
    code = f"\nimport pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    path.write_text(path.read_text() + code)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("verb", ["upgrade", "downgrade"])
def test_an_edited_script_is_refused_before_any_of_it_runs(
    one: Tree, make_app: MakeApp, tmp_path: Path, side: str, verb: str
) -> None:
    mark = tmp_path / "ran"
    edit(one.path(side, "r1"), mark)
    said = cli(make_app(), verb, "--yes")
    assert said.exit_code == 3
    assert not mark.exists()
    for word in (" then, ", " now)", "Restore", "--accept-checksum", "downgrade"):
        assert word in said.stderr


def test_an_accepted_edit_runs(one: Tree, make_app: MakeApp, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    edit(one.path("mongo", "r1"), mark)
    app = make_app()
    with app.app_context():
        repair(revision="r1", accept_checksum=True)
        downgrade(revision="base")
    assert mark.exists()


def test_a_script_that_does_not_compile_is_told_before_a_database_is_asked(
    one: Tree, make_app: MakeApp
) -> None:
    one.path("mongo", "r2").write_text("revision = (")
    nowhere = {"postgres": "postgresql+psycopg://nobody@127.0.0.1:9/x"}
    said = cli(make_app(urls=nowhere), "upgrade")
    assert said.exit_code == 2
    assert "does not compile" in said.stderr


@pytest.mark.parametrize("part", ["", "mongo/versions", "mongo/versions/r1.py"])
def test_what_anybody_may_write_is_refused(
    one: Tree, make_app: MakeApp, part: str
) -> None:
    path = one.root / part
    path.chmod(path.stat().st_mode | 0o002)
    said = cli(make_app(), "upgrade")
    assert said.exit_code == 2
    assert f"chmod o-w {path}" in said.stderr
    allowed = make_app(config={"DUALMIGRATE_ALLOW_WORLD_WRITABLE": True})
    said = cli(allowed, "upgrade")
    assert said.exit_code == 0, said.stderr
