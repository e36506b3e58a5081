"""The app factory: one database in use, the other one never touched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import pytest
from flask import Flask

from flask_dualmigrate import show, status
from flask_dualmigrate.revisions import BackendName
from sample_app import mongo
from sample_app.config import get_db_type
from tests.support.nursery import Nursery

from .conftest import MakeApp

SIDES = ("postgres", "mongo")
VARIABLES = {"postgres": "DATABASE_URL", "mongo": "MONGO_URI"}
SERVE = """
from sample_app.wsgi import app
print(app.test_client().get("/api/items").status_code)
"""


class Deaf:
    """A server that lets connect whoever will, and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.urls = {
            "postgres": f"postgresql://nobody@{host}/nowhere",
            "mongo": f"mongodb://{host}/nowhere",
        }

    def was_called(self) -> bool:
        """Say whether anybody has connected."""
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    """Where the database that is not in use is said to be."""
    server = Deaf()
    yield server
    server.close()


@pytest.fixture(params=SIDES)
def one_sided(
    request: pytest.FixtureRequest,
    make_app: MakeApp,
    deaf: Deaf,
    monkeypatch: pytest.MonkeyPatch,
) -> Flask:
    """The app on one database, the other one deaf."""
    side: str = request.param
    monkeypatch.setenv("DB_TYPE", side)
    url = request.getfixturevalue(f"{side}_url")
    urls = {VARIABLES[name]: deaf.urls[name] for name in SIDES}
    return make_app(side, **{**urls, VARIABLES[side]: url})


def test_on_one_database_the_other_is_never_connected_to(
    one_sided: Flask, deaf: Deaf
) -> None:
    assert one_sided.test_client().get("/api/items").status_code == 200
    assert not deaf.was_called()


def test_on_postgres_mongo_is_not_initialised(
    make_app: MakeApp, postgres_url: str
) -> None:
    make_app("postgres", DATABASE_URL=postgres_url)

    assert mongo.db is None


def test_on_mongo_postgres_is_not_initialised(
    make_app: MakeApp, mongo_url: str
) -> None:
    app = make_app("mongo", MONGO_URI=mongo_url)

    assert "sqlalchemy" not in app.extensions


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "current",
        "check",
        "show",
        "history -i",
        "upgrade",
        "upgrade --dry-run",
        "downgrade -1 --yes",
        "stamp base --yes",
    ],
)
def test_every_command_works_on_one_database_alone(
    one_sided: Flask, deaf: Deaf, command: str
) -> None:
    done = one_sided.test_cli_runner().invoke(args=["db-migrate", *command.split()])

    assert done.exit_code == 0, done.output
    assert not deaf.was_called()


def test_a_deployment_on_one_database_applies_its_side_only(one_sided: Flask) -> None:
    with one_sided.app_context():
        rows = status().rows

    states = {side: {row.sides[side].state for row in rows} for side in BackendName}
    used = BackendName(os.environ["DB_TYPE"])
    assert states.pop(used) == {"applied"}
    assert list(states.values()) == [{"not used here"}]


def test_a_migration_command_leaves_the_upgrade_to_whoever_calls_it(
    nursery: Nursery, postgres_url: str, mongo_url: str
) -> None:
    urls = {"DATABASE_URL": postgres_url, "MONGO_URI": mongo_url, "DB_TYPE": "both"}
    command = ["-m", "flask", "--app", "sample_app", "db-migrate", "status", "--json"]

    done = start(nursery, command, urls)
    output, errors = done.communicate()

    assert done.returncode == 0, errors
    facts = json.loads(output)
    assert facts["pending"] == len(facts["rows"]) > 0


@pytest.mark.parametrize("db_type", [*SIDES, "both"])
def test_of_processes_that_start_at_once_one_migrates_and_all_serve(
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    nursery: Nursery,
    postgres_url: str,
    mongo_url: str,
    db_type: str,
) -> None:
    urls = {"DATABASE_URL": postgres_url, "MONGO_URI": mongo_url, "DB_TYPE": db_type}

    processes = [start(nursery, ["-W", "error", "-c", SERVE], urls) for _ in range(4)]
    answers = [process.communicate() for process in processes]

    assert [output for output, _ in answers] == ["200\n"] * 4, answers
    monkeypatch.setenv("DB_TYPE", db_type)
    with make_app(urls.pop("DB_TYPE"), **urls).app_context():
        for row in status().rows:
            for attempts in show(revision=row.revision).attempts.values():
                assert [attempt["status"] for attempt in attempts] == ["applied"]


@pytest.mark.parametrize(
    ("db_type", "module"),
    [
        ("postgres", "sample_app.repositories.mongo"),
        ("mongo", "sample_app.repositories.postgres"),
    ],
)
def test_the_other_databases_repositories_are_not_even_imported(
    nursery: Nursery, db_type: str, module: str
) -> None:
    program = (
        "import sys; from flask import Flask; from sample_app import mongo;"
        "from sample_app.repositories import repositories_for;"
        "mongo.init_app(Flask('other'), 'mongodb://127.0.0.1:1/nowhere');"
        f"repositories_for({db_type!r}); sys.exit({module!r} in sys.modules)"
    )

    subprocess.run([*nursery.python(), "-c", program], check=True)


def test_on_both_the_repositories_use_postgres(
    make_app: MakeApp, postgres_url: str, mongo_url: str
) -> None:
    app = make_app("both", DATABASE_URL=postgres_url, MONGO_URI=mongo_url)
    app.test_client().post("/api/types", json={"name": "Tool"})

    assert mongo.db is not None
    assert mongo.db["type"].count_documents({}) == 0


def test_postgres_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_TYPE", raising=False)

    assert get_db_type() == "postgres"


def test_an_unknown_database_is_refused_with_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_TYPE", "mysql")

    with pytest.raises(ValueError, match=r"mysql.*postgres, mongo, both"):
        get_db_type()


def start(
    nursery: Nursery, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start Python in an environment."""
    return subprocess.Popen(
        [*nursery.python(), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
