"""An app that does not load is told in one line, with file and line of its own code.

No database is there: what asked one would end with exit code 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.bad_input import (
    CANARY,
    NO_MONGO,
    NO_POSTGRES,
    SECRET,
    Row,
    all_logged,
    check_refusal,
    started_processes,
)
from tests.support.flask_command import FlaskCommand

APP = """\
import os
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate

db, mongo = SQLAlchemy(), PyMongo()

def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["MONGO_URI"] = os.environ["MONGO_URI"]
    db.init_app(app)
    mongo.init_app(app)
    DualMigrate(app, db, mongo)
    return app
"""
AT = "{root}/the_app.py:"
UP = ("db-migrate", "upgrade", "--yes")
THE_APP = ("--app", "the_app", *UP)
BARE = APP.replace("    DualMigrate(app, db, mongo)\n", "")


@dataclass(frozen=True)
class App:
    """A bad app. source: of the_app.py; more: of models.py beside it."""

    id: str
    says: Sequence[str]
    source: str | None = APP
    more: str = ""
    postgres: str = NO_POSTGRES
    mongo: str = NO_MONGO
    words: tuple[str, ...] = THE_APP


def postgres(url: str) -> str:
    return f"postgresql+psycopg://{url}"


QUOTED = quote(CANARY, safe="")
SQL_KEY, MONGO_KEY = (
    "SQLALCHEMY_DATABASE_URI cannot be read",
    "MONGO_URI cannot be read",
)
READS_SQL = "The form is postgresql+psycopg://HOST:PORT/DATABASE, with USER:PASSWORD@"
READS_MONGO = "The form is mongodb://HOST:PORT/DATABASE, with USER:PASSWORD@"
ROWS = (
    App("none-named", ("Could not locate a Flask", "flask --app"), None, words=UP),
    App("none-there", ("Could not import 'the_app'", "flask --app MODULE"), None),
    App(
        "seeds-a-table-that-is-not-there-yet",
        ("no such table: user", AT + "17", "if not dualmigrate.is_migrating()"),
        APP.replace('os.environ["DATABASE_URL"]', '"sqlite://"').replace(
            "    return app\n",
            "    with app.app_context():\n"
            '        db.session.execute(db.text("SELECT * FROM user"))\n'
            "    return app\n",
        ),
    ),
    App("no-app-in-it", ("Failed to find Flask application", "--app"), "a = 1\n"),
    App(
        "import",
        ("cannot be loaded", "No module named 'no_such'", AT + "2", "Install no_such"),
        "\nimport no_such\n",
    ),
    App(
        "import-below",
        ("No module named 'no_such'", "{root}/models.py:3"),
        "import models\n" + APP,
        "\n\nimport no_such\n",
    ),
    App(
        "import-of-a-name",
        ("cannot import name 'nothing'", AT + "1", "Fix it there"),
        "from flask import nothing\n",
    ),
    App("syntax", ("SyntaxError", AT + "2"), "\nclass A(:\n"),
    App("syntax-below", ("{root}/models.py:1",), "import models\n", "if x\n"),
    App("raises", ("ZeroDivisionError: division by zero", AT + "1"), "1/0\n"),
    App(
        "raises-in-the-factory",
        ("KeyError: 'no_such'", AT + "11"),
        APP.replace("DATABASE_URL", "no_such"),
    ),
    App("exits", ("SystemExit: 0", AT + "2"), "import sys\nsys.exit(0)\n"),
    App(
        "tells-the-password",
        ("ValueError: bad", "user:***", AT + "4"),
        "import os\ndef create_app():\n    url = os.environ['DATABASE_URL']\n"
        "    raise ValueError('bad ' + url)\n",
    ),
    App(
        "tells-the-password-of-its-config",
        ("ValueError: bad ***", AT + "5"),
        "from flask import Flask\nfrom os import environ\napp = Flask('x')\n"
        "app.config['MONGO_URI'] = environ['MONGO_URI']\n"
        f"raise ValueError('bad ' + {CANARY!r})\n",
    ),
    App("no-dualmigrate", ("has no DualMigrate", "init_app(app, db"), BARE),
    App(
        "dualmigrate-without-db",
        ("DualMigrate has no db", AT + "15", "Call init_app"),
        APP.replace("DualMigrate(app, db, mongo)", "DualMigrate(app)"),
    ),
    App(
        "unknown-word",
        ("cannot be loaded", "ZeroDivisionError"),
        "1/0\n",
        words=("--app", "the_app", "db-migrate", "upgrad"),
    ),
    App("postgres-no-url", (SQL_KEY, AT + "13", READS_SQL), postgres="nonsense"),
    App(
        "postgres-no-scheme",
        (SQL_KEY, AT + "13"),
        postgres=f"user:{QUOTED}@host/db",
    ),
    App(
        "postgres-old-scheme",
        (SQL_KEY, "Can't load plugin: sqlalchemy.dialects:postgres", READS_SQL),
        postgres=f"postgres://user:{QUOTED}@host/db",
    ),
    App(
        "postgres-no-driver",
        ("No module named 'pg8000'", AT + "13", "Install this driver", "psycopg"),
        postgres=f"postgresql+pg8000://user:{QUOTED}@host/db",
    ),
    App(
        "postgres-port",
        (SQL_KEY, "invalid literal for int", AT + "13"),
        postgres=postgres(f"user:{QUOTED}@host:port/db"),
    ),
    App(
        "postgres-password-in-place-of-the-port",
        (SQL_KEY, READS_SQL),
        postgres=postgres(f"user:@host:{QUOTED}/db"),
    ),
    App("postgres-empty", (SQL_KEY,), postgres=""),
    App(
        "mongo-scheme",
        (MONGO_KEY, "Invalid URI scheme", AT + "14", READS_MONGO),
        mongo=f"mongo://user:{QUOTED}@host/db",
    ),
    App("mongo-unquoted", (MONGO_KEY, "%2F"), mongo=f"mongodb://user:{CANARY}@host/db"),
    App(
        "mongo-password-taken-for-a-database",
        (MONGO_KEY, AT + "14"),
        mongo=f"mongodb://user:pw/{SECRET}@host/db",
    ),
    App(
        "mongo-per-cent",
        (MONGO_KEY, "must be escaped", "%25"),
        mongo=f"mongodb://user:{SECRET}%@host/db",
    ),
    App(
        "mongo-port",
        (MONGO_KEY, "Port", AT + "14"),
        mongo=f"mongodb://user:{QUOTED}@host:port/db",
    ),
    App(
        "mongo-password-in-place-of-the-port",
        (MONGO_KEY,),
        mongo=f"mongodb://user:{SECRET}",
    ),
    App("mongo-no-host", (MONGO_KEY, "hostname"), mongo="mongodb://"),
    App(
        "mongo-option",
        (MONGO_KEY, "key=value"),
        mongo=f"mongodb://user:{QUOTED}@host/db?option",
    ),
    App("mongo-empty", (MONGO_KEY, "Invalid URI scheme", AT + "14"), mongo=""),
)


@pytest.fixture
def flask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskCommand:
    monkeypatch.setenv("DATABASE_URL", NO_POSTGRES)
    monkeypatch.setenv("MONGO_URI", NO_MONGO)
    return FlaskCommand(tmp_path, monkeypatch)


@pytest.mark.parametrize("app", ROWS, ids=[row.id for row in ROWS])
def test_an_app_that_does_not_load_is_refused_in_one_line(
    app: App,
    flask: FlaskCommand,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("DATABASE_URL", app.postgres)
    monkeypatch.setenv("MONGO_URI", app.mongo)
    if app.source is not None:
        flask.write(app.source)
    flask.write(app.more, "models.py")
    row = Row(app.id, app.words, tuple(app.says))
    variants = ((), ("--json",), ("--debug",)) if app.id != "unknown-word" else ((),)
    for variant in variants:
        with all_logged(caplog), started_processes() as started:
            result = flask(*app.words, *variant)
        check_refusal(result, row, variant, {"root": str(flask.folder)})
        told = (result.output, repr(result.exception), caplog.text, repr(started))
        assert SECRET not in "".join(told), told
    if "cannot be loaded" in result.stderr and variants[1:]:
        assert "Traceback" in result.stderr  # with --debug


def test_help_needs_no_app_and_lists_the_group_once(flask: FlaskCommand) -> None:
    flask.write("1/0\n")
    broken = flask("--app", "the_app", "db-migrate", "--help")
    assert broken.exit_code == 0, broken.output
    assert "upgrade" in broken.stdout

    flask.write(APP)
    listed = flask("--app", "the_app:create_app", "--help")
    assert listed.exit_code == 0, listed.output
    assert listed.stdout.count("db-migrate") == 1


def test_a_group_of_another_name_stands_beside_it_and_starts_no_upgrade(
    flask: FlaskCommand,
) -> None:
    options = 'command="move", auto_upgrade=True, directory="there"'
    flask.write(APP.replace("db, mongo)\n", f"db, mongo, {options})\n"))
    for name in ("move", "db-migrate"):
        said = flask("--app", "the_app", name, "heads")
        assert said.exit_code == 2, said.output
        assert "there" in said.stderr, said.output  # no such directory; no database


def test_what_an_app_adds_to_its_group_is_found(flask: FlaskCommand) -> None:
    more = """
    @app.cli.commands["db-migrate"].command("mine")
    def mine():
        from flask import current_app
        print("of", current_app.name)
"""
    flask.write(APP.replace("    return app\n", f"{more}    return app\n"))
    said = flask("--app", "the_app", "db-migrate", "mine")
    assert (said.exit_code, said.stdout) == (0, "of the_app\n"), said.output

    said = flask("--app", "the_app", "db-migrate", "nobodys")
    assert said.exit_code == 2
    assert "No such command 'nobodys'" in said.stderr
