"""The ready tests of the pytest plugin, on good apps and on one fault for each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate, init
from tests.integration.conftest import Tree
from tests.support.nursery import Nursery

READY = ("lint", "models_match_head", "paired", "single_head", "up_down_up")

CONFTEST = """
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate


@pytest.fixture
def dualmigrate_app(request, dualmigrate_postgres_url, dualmigrate_mongo_url):
    app = Flask("an_app")
    app.config["SQLALCHEMY_DATABASE_URI"] = dualmigrate_postgres_url
    app.config["MONGO_URI"] = dualmigrate_mongo_url
    db, mongo = SQLAlchemy(app), PyMongo(app)
    request.module.models(db, sa)
    DualMigrate(app, db, mongo, directory=request.path.parent / "migrations")
    return app
"""

TABLE = """
op.create_table(
    "t",
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.Text){more},
)
"""
MODEL = TABLE.replace("op.create_table", "sa.Table").replace(
    '"t",', '"t", db.metadata,'
)
BASE = {
    "postgres": TABLE.format(more=""),
    "postgres_down": 'op.drop_table("t")',
    "mongo": 'op.create_collection("t")',
    "mongo_down": 'op.drop_collection("t")',
}
ENUM = (
    'sa.Column("id", sa.String(32), primary_key=True), '
    'sa.Column("kind", sa.Enum("a", "b", name="kind"))'
)
JSON = ',\n    sa.Column("data", sa.JSON)'


def suite(folder: Path, models: str = MODEL.format(more="")) -> Tree:
    """Write a test module that turns the ready tests on, and an empty tree."""
    for side in ("postgres", "mongo"):
        (folder / "migrations" / side / "versions").mkdir(parents=True)
    body = textwrap.indent(textwrap.dedent(models), "    ")
    (folder / f"test_{folder.name}.py").write_text(
        "from pytest_dualmigrate.tests import *\n\n\n"
        f"def models(db, sa):\n{body or '    pass'}\n"
    )
    return Tree(folder / "migrations")


def good(folder: Path) -> None:
    suite(folder).add("r1", **BASE)


def two_heads(folder: Path) -> None:
    tree = suite(folder)
    tree.add("r1", **BASE)
    tree.add("r2")
    tree.ids.pop()
    tree.add("r3")


def not_paired(folder: Path) -> None:
    tree = suite(folder)
    tree.add("r1", **BASE)
    tree.add("r2")


def not_back(folder: Path) -> None:
    table = f'op.create_table("e", {ENUM})'
    models = MODEL.format(more="") + f'sa.Table("e", db.metadata, {ENUM})'
    tree = suite(folder, models)
    tree.add("r1", **BASE)
    tree.add(
        "r2",
        postgres=table,
        postgres_down='op.drop_table("e")',
        mongo='op.create_collection("e")',
        mongo_down='op.drop_collection("e")',
    )


def models_ahead(folder: Path) -> None:
    more = ',\n    sa.Column("more", sa.Text)'
    suite(folder, MODEL.format(more=more)).add("r1", **BASE)


def dangerous(folder: Path) -> None:
    tree = suite(folder, MODEL.format(more=JSON))
    tree.add("r1", **{**BASE, "postgres": TABLE.format(more=JSON)})


APPS = {
    "good": (good, None, ""),
    "two_heads": (two_heads, "single_head", "The tree has 2 heads: r2, r3"),
    "not_paired": (not_paired, "paired", "Revision r2 has no MongoDB script"),
    "not_back": (not_back, "up_down_up", "enum kind is left behind: labels 'a', 'b'"),
    "models_ahead": (models_ahead, "models_match_head", "add column t.more"),
    "dangerous": (dangerous, "lint", "jsonb"),
}


def run(
    nursery: Nursery, folder: Path, *arguments: str, servers: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run pytest as a user does, with the plugin."""
    installed = {point.name for point in entry_points(group="pytest11")}
    plugin = [] if "dualmigrate" in installed else ["-p", "pytest_dualmigrate"]
    return subprocess.run(
        [*nursery.python(), "-m", "pytest", "-q", "-rA", *plugin, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **servers},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.fixture(scope="module")
def urls(postgres_server_url: str, mongo_server_uri: str) -> dict[str, str]:
    return {"DATABASE_URL": postgres_server_url, "MONGO_URI": mongo_server_uri}


@pytest.fixture(scope="module")
def told(
    nursery: Nursery,
    tmp_path_factory: pytest.TempPathFactory,
    urls: dict[str, str],
) -> dict[str, dict[str, str]]:
    """What each ready test came to: app -> test -> outcome; and "" -> all it said."""
    folder = tmp_path_factory.mktemp("suites")
    (folder / "conftest.py").write_text(CONFTEST)
    for name, (make, _, _) in APPS.items():
        (folder / name).mkdir()
        make(folder / name)
        list_revisions(folder / name / "migrations")
    (folder / "not_paired/migrations/mongo/versions/r2.py").unlink()
    done = run(nursery, folder, servers=urls)
    found: dict[str, dict[str, str]] = {"": {"": done.stdout + done.stderr}}
    line = re.compile(r"^(PASSED|FAILED|ERROR) (\w+)/test_\w+\.py::test_(\w+)", re.M)
    for outcome, app, test in line.findall(done.stdout):
        found.setdefault(app, {})[test] = outcome
    return found


def list_revisions(root: Path) -> None:
    """Write revisions.lock; no database is asked."""
    app = Flask("an_app")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    DualMigrate(app, SQLAlchemy(app), PyMongo(), directory=str(root))
    with app.app_context():
        init()


@pytest.mark.parametrize("app", APPS)
def test_each_ready_test_catches_its_fault_and_the_others_do_not_mind(
    app: str, told: dict[str, dict[str, str]]
) -> None:
    _, fault, said = APPS[app]
    output = told[""][""]
    failed = {test for test, how in told.get(app, {}).items() if how != "PASSED"}
    assert failed == ({fault} if fault else set()), output
    assert said in output
    if app != "not_paired":
        assert set(told[app]) == set(READY), output


def test_they_pass_on_the_sample_app(
    nursery: Nursery, tmp_path: Path, urls: dict[str, str]
) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "from sample_app import create_app\n\n\n"
        "@pytest.fixture\n"
        "def dualmigrate_app(monkeypatch, dualmigrate_postgres_url,"
        " dualmigrate_mongo_url):\n"
        "    monkeypatch.setenv('DATABASE_URL', dualmigrate_postgres_url)\n"
        "    monkeypatch.setenv('MONGO_URI', dualmigrate_mongo_url)\n"
        "    monkeypatch.setenv('DB_TYPE', 'both')\n"
        "    return create_app(auto_upgrade=False)\n"
    )
    (tmp_path / "test_migrations.py").write_text(
        "from pytest_dualmigrate.tests import *\n"
    )
    done = run(nursery, tmp_path, servers=urls)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_without_an_app_they_say_what_to_write(
    nursery: Nursery, tmp_path: Path, urls: dict[str, str]
) -> None:
    (tmp_path / "test_migrations.py").write_text(
        "from pytest_dualmigrate.tests import *\n"
    )
    done = run(nursery, tmp_path, "-k", "single_head", servers=urls)
    assert done.returncode == 1
    assert "def dualmigrate_app(" in done.stdout


def test_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest_dualmigrate\n"
        "heavy = {'flask', 'sqlalchemy', 'pymongo', 'alembic', 'flask_dualmigrate'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
