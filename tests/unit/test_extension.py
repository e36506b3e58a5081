"""DualMigrate: its arguments, and which `flask` command upgrades at the start."""

from __future__ import annotations

import code
import contextvars
import os
from pathlib import Path
from typing import Any

import click
import flask.cli
import pytest
import sqlalchemy as sa
from click.shell_completion import ShellComplete
from flask import Flask
from flask.cli import FlaskGroup
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate
from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.extension import Registered, environment_of
from flask_dualmigrate.revisions import Direction

from .trees import BOTH, MONGO, POSTGRES, Tree


def _app() -> Flask:
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    return app


@pytest.fixture
def app() -> Flask:
    return _app()


@pytest.fixture
def db(app: Flask) -> SQLAlchemy:
    return SQLAlchemy(app)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What auto_upgrade did, for each app that was created."""
    started: list[object] = []
    monkeypatch.setattr(Registered, "on_start", lambda self, how: started.append(how))
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")  # put back after the test
    return started


def _create_app() -> Flask:
    app = _app()

    @app.cli.command("seed")
    def seed() -> None:
        click.echo("seeded")

    DualMigrate(app, SQLAlchemy(app), auto_upgrade=True)
    return app


def _group() -> FlaskGroup:
    return FlaskGroup(create_app=_create_app, load_dotenv=False)


def _run(group: click.Command, *args: str) -> None:
    # In a context of its own: `--help` leaves that of the app open.
    context = contextvars.copy_context()
    with pytest.raises(SystemExit):
        context.run(group.main, list(args), prog_name="flask")


def test_an_app_that_no_command_creates_upgrades(starts: list[object]) -> None:
    _create_app()

    assert starts == [True]


@pytest.mark.parametrize(
    "args",
    [
        ("db-migrate",),
        ("db-migrate", "--help"),
        ("db-migrate", "upgrade", "--help"),
        ("db-migrate", "nonsense"),
        ("shell",),
        ("routes",),
        ("--help",),
        ("seed", "--help"),
        (),
    ],
    ids=lambda args: " ".join(args) or "nothing",
)
def test_a_command_that_only_looks_does_not_upgrade(
    args: tuple[str, ...], starts: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "interact", lambda *args, **kwargs: None)

    _run(_group(), *args)

    assert starts == []


@pytest.mark.parametrize(
    ("args", "migrating"),
    [
        (("db-migrate", "nonsense"), True),
        (("migrations",), True),
        (("seed",), False),
        (("shell",), False),
        (("--help",), False),
        (None, False),
    ],
    ids=lambda args: " ".join(args) if isinstance(args, tuple) else str(args),
)
def test_a_factory_can_ask_whether_it_makes_the_app_for_a_migration(
    args: tuple[str, ...] | None, migrating: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "interact", lambda *args, **kwargs: None)
    answers: list[bool] = []

    def create_app() -> Flask:
        app, dualmigrate = _app(), DualMigrate(command="migrations")
        answers.append(dualmigrate.is_migrating())
        dualmigrate.init_app(app, SQLAlchemy(app))
        answers.append(dualmigrate.is_migrating())
        app.cli.command("seed")(lambda: None)
        return app

    if args is None:
        create_app()
    else:
        _run(FlaskGroup(create_app=create_app, load_dotenv=False), *args)

    assert set(answers) == {migrating}


def test_a_command_that_serves_upgrades(
    starts: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[object] = []
    monkeypatch.setattr(flask.cli, "run_simple", lambda *a, **k: served.append(a))

    _run(_group(), "run", "--no-reload")

    assert len(served) == 1
    assert starts == [True]


def test_a_command_of_the_app_upgrades(
    starts: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    _run(_group(), "seed")

    assert starts == [True]
    assert "seeded" in capsys.readouterr().out


def test_the_group_is_known_by_the_name_that_the_app_gave_it(
    starts: list[object],
) -> None:
    def create_app() -> Flask:
        app = _app()
        DualMigrate(app, SQLAlchemy(app), auto_upgrade=True, command="migrations")
        return app

    group = FlaskGroup(create_app=create_app, load_dotenv=False)
    _run(group, "migrations", "--help")
    _run(group, "db-migrate")  # known by its entry point, if not by the app
    assert starts == []
    _run(group, "another")
    assert starts == [True]


def test_a_flask_group_below_another_command_is_found(starts: list[object]) -> None:
    manage = click.Group("manage")
    manage.add_command(_group(), "flask")

    _run(manage, "flask", "db-migrate", "--help")

    assert starts == []


def test_another_tool_that_uses_click_upgrades(starts: list[object]) -> None:
    @click.command()
    def worker() -> None:
        _create_app()

    _run(worker)

    assert starts == [True]


@pytest.mark.parametrize("incomplete", ["db", "se"])
def test_the_completion_of_a_shell_does_not_upgrade(
    incomplete: str, starts: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_FLASK_COMPLETE", "bash_complete")
    completion = ShellComplete(_group(), {}, "flask", "_FLASK_COMPLETE")

    items = contextvars.copy_context().run(completion.get_completions, [], incomplete)

    assert [item.value for item in items] in (["db-migrate"], ["seed"])
    assert starts == []


def test_without_auto_upgrade_nothing_happens_at_the_start(
    app: Flask, db: SQLAlchemy, starts: list[object]
) -> None:
    DualMigrate(app, db)

    assert starts == []


def test_auto_upgrade_has_three_values(app: Flask, db: SQLAlchemy) -> None:
    with pytest.raises(UsageError, match="True, False or 'check', not 'always'"):
        DualMigrate(app, db, auto_upgrade="always")


def test_an_app_without_a_db_is_refused(app: Flask) -> None:
    with pytest.raises(UsageError, match=r"has no db.*init_app\(app, db, mongo\)"):
        DualMigrate().init_app(app)


def _environment(app: Flask, **arguments: Any) -> Any:
    with app.app_context():
        return environment_of(**arguments)


def test_without_an_app_context_the_verbs_say_so() -> None:
    with pytest.raises(UsageError, match="no current app"):
        environment_of()


def test_in_an_app_without_the_extension_the_verbs_say_so(app: Flask) -> None:
    with pytest.raises(UsageError, match="has no DualMigrate"):
        _environment(app)


def test_without_mongo_the_app_has_the_sql_side_alone(
    app: Flask, db: SQLAlchemy
) -> None:
    DualMigrate(app, db)

    assert _environment(app).available == (POSTGRES,)


def test_a_side_that_is_not_active_is_not_touched(app: Flask, db: SQLAlchemy) -> None:
    mongo = PyMongo()  # never given an app: mongo.db is None
    DualMigrate(app, db, mongo, active=lambda: "postgres")

    env = _environment(app)

    assert env.available == BOTH
    assert env.in_scope == (POSTGRES,)


def test_a_run_can_be_narrowed_to_a_side_in_use_only(
    app: Flask, db: SQLAlchemy
) -> None:
    DualMigrate(app, db, PyMongo(), active="both")
    assert _environment(app, backend="mongo").in_scope == (MONGO,)
    assert _environment(app, backend="both").in_scope == BOTH

    DualMigrate(app, db, PyMongo(), active="postgres")
    with pytest.raises(UsageError, match=r"--backend mongo is not in use.*postgres"):
        _ = _environment(app, backend="mongo").in_scope


def test_init_app_wins_over_the_constructor(app: Flask, db: SQLAlchemy) -> None:
    dualmigrate = DualMigrate(
        db=db, directory="one", active="mongo", compare_type=False, render_as_batch=True
    )

    dualmigrate.init_app(
        app, directory="two", active="postgres", compare_type=True, command="m"
    )

    config = _environment(app).config
    assert config.directory == Path("two").absolute()
    assert config.active == "postgres"
    assert config.alembic_options == {"compare_type": True, "render_as_batch": True}
    assert "m" in app.cli.commands


def test_one_extension_serves_several_apps(db: SQLAlchemy) -> None:
    dualmigrate = DualMigrate(db=db)
    first, second = _app(), _app()

    dualmigrate.init_app(first, directory="one")
    dualmigrate.init_app(second, directory="two")

    assert _environment(first).config.directory == Path("one").absolute()
    assert _environment(second).config.directory == Path("two").absolute()


def test_the_directory_of_a_call_wins(app: Flask, db: SQLAlchemy) -> None:
    DualMigrate(app, db, directory="one")

    assert _environment(app, directory="two").config.directory.name == "two"


def test_a_wrong_key_of_the_config_is_told_at_the_first_use(
    app: Flask, db: SQLAlchemy
) -> None:
    app.config["DUALMIGRATE_VALIDATOR"] = "warn"
    DualMigrate(app, db)

    with pytest.raises(UsageError, match="DUALMIGRATE_VALIDATOR is not a setting"):
        _environment(app)


ADD_TABLE = """
import sqlalchemy as sa
from alembic import op
def upgrade(): op.create_table("item", sa.Column("id", sa.Integer, primary_key=True))
def downgrade(): op.drop_table("item")
"""


def test_a_sqlite_database_in_memory_is_there_after_its_upgrade(
    app: Flask, db: SQLAlchemy, tmp_path: Path
) -> None:
    Tree(tmp_path, [POSTGRES]).add("aaaa", body=ADD_TABLE).lock()

    DualMigrate(app, db, directory=str(tmp_path), auto_upgrade=True)

    with app.app_context():
        assert sa.inspect(db.engine).has_table("item")
        assert environment_of().run.at_head()
        environment_of().run.migrate("base", Direction.DOWNGRADE)
        assert not sa.inspect(db.engine).has_table("item")


def test_no_environment_variable_of_these_tests_stays() -> None:
    assert "_FLASK_COMPLETE" not in os.environ
