"""--wait: for servers that come up, and not for what no waiting mends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import make_url

from flask_dualmigrate import DatabaseUnavailable, check, init, upgrade
from flask_dualmigrate.embedded import EmbeddedServers
from flask_dualmigrate.extension import environment_of
from tests.integration.conftest import NOWHERE, MakeApp
from tests.support.mongo.members import Member, free_port

NO_POSTGRES = "postgresql+psycopg://nobody:canary@127.0.0.1:9/nowhere"
NO_NAME = "server.invalid"


def soon(url: str) -> str:
    """Let a client that is closed without its server not wait for it."""
    return f"{url}&serverSelectionTimeoutMS=200"


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


@contextmanager
def later(act: Callable[[], object], *, after_s: float) -> Iterator[None]:
    """Do something in a thread, after a while; wait for its end."""
    timer = threading.Timer(after_s, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_a_run_waits_until_both_databases_are_up(
    make_app: MakeApp, folder: Path
) -> None:
    with EmbeddedServers(folder) as servers:
        urls = {"postgres": servers.postgres_uri(), "mongo": soon(servers.mongo_uri())}
    starting: dict[str, threading.Thread] = {}

    def start(told: str) -> None:
        """Start a server once it is waited for; later reasons are told too."""
        name = told.partition(":")[0]
        if name not in starting:
            ask = {"MongoDB": servers.mongo_uri, "PostgreSQL": servers.postgres_uri}
            starting[name] = threading.Thread(target=ask[name])
            starting[name].start()

    with EmbeddedServers(folder) as servers:
        app = make_app(urls=urls)
        with app.app_context():
            init()
            env = environment_of(on_absent=start)
            env.run.wait_for_servers(60)
            assert list(starting) == ["MongoDB", "PostgreSQL"]
            assert upgrade() is not None
            env.engine.dispose()
        for thread in starting.values():
            thread.join()


def test_postgresql_that_refuses_everybody_for_now_is_waited_for(
    make_app: MakeApp, folder: Path
) -> None:
    """A smart shutdown refuses with the same code as a start: 57P03."""
    said: list[str] = []
    with EmbeddedServers(folder) as servers:
        url = servers.postgres_uri()
        plain = make_url(url).set(drivername="postgresql")
        session = psycopg.connect(plain.render_as_string(hide_password=False))
        app = make_app(urls={"postgres": url}, active="postgres")
        with app.app_context():
            init()
            env = environment_of(on_absent=said.append)
            (postgres,) = [each for each in servers.status() if each.pid]
            assert postgres.pid is not None
            os.kill(postgres.pid, signal.SIGTERM)
            with pytest.raises(DatabaseUnavailable, match="shutting down"):
                env.run.wait_for_servers(1)

            def restart() -> None:
                session.close()
                while servers.status()[0].pid:
                    time.sleep(0.05)
                servers.postgres_uri()

            with later(restart, after_s=0.2):
                env.run.wait_for_servers(60)
            env.engine.dispose()
    assert "PostgreSQL: " in said[0]
    assert "the database system is shutting down" in said[0]


def test_a_mongodb_without_a_primary_is_waited_for(
    make_app: MakeApp, tmp_path: Path
) -> None:
    said: list[str] = []
    member = Member(tmp_path, 0, free_port())
    member.start()
    try:
        url = soon(f"mongodb://127.0.0.1:{member.port}/app?replicaSet=three")
        app = make_app(urls={"mongo": url}, active="mongo")
        with app.app_context():
            init()
            env = environment_of(on_absent=said.append)
            with later(lambda: initiate(member), after_s=1.5):
                env.run.wait_for_servers(60)
            assert upgrade() is not None
    finally:
        member.kill()
    assert said
    assert all(each.startswith("MongoDB: ") for each in said)


def initiate(member: Member) -> None:
    with member.client() as client:
        host = f"127.0.0.1:{member.port}"
        config = {"_id": "three", "members": [{"_id": 0, "host": host}]}
        client.admin.command("replSetInitiate", config)


@pytest.mark.parametrize(
    ("urls", "reason"),
    [
        ({"postgres": NO_POSTGRES}, "PostgreSQL did not come up in 1 s: .*refused"),
        (
            {"postgres": NO_POSTGRES.replace("127.0.0.1", NO_NAME)},
            f"PostgreSQL did not come up in 1 s: .*{NO_NAME}",
        ),
        ({"mongo": NOWHERE}, "MongoDB did not come up in 1 s: 127.0.0.1:9: .*refused"),
        (
            {"mongo": NOWHERE.replace("127.0.0.1", NO_NAME)},
            f"MongoDB did not come up in 1 s: {NO_NAME}:9: ",
        ),
    ],
    ids=["postgres-refused", "postgres-name", "mongo-refused", "mongo-name"],
)
def test_a_wait_ends_in_time_with_the_last_reason(
    make_app: MakeApp, urls: dict[str, str], reason: str
) -> None:
    app = make_app(urls=urls)
    with app.app_context():
        init()
        began = time.monotonic()
        # MongoDB's driver alone would wait for 30 s.
        with pytest.raises(DatabaseUnavailable, match=reason) as caught:
            upgrade(wait_s=1)
        assert time.monotonic() - began < 10
    assert caught.value.exit_code == 4
    assert "canary" not in str(caught.value)


def without(url: str, **parts: Any) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)


@pytest.mark.parametrize("what", ["database", "user", "mongo-user"])
def test_what_no_waiting_mends_is_not_waited_for(
    make_app: MakeApp, postgres_url: str, mongo_url: str, what: str
) -> None:
    urls = {
        "database": {"postgres": without(postgres_url, database="not_there")},
        "user": {"postgres": without(postgres_url, username="nobody", password="pw")},
        "mongo-user": {"mongo": mongo_url.replace("://", "://nobody:canary@")},
    }[what]
    app = make_app(urls=urls)
    assert run(app, "init").exit_code == 0
    began = time.monotonic()
    done = run(app, "upgrade", "--wait", "60")
    assert time.monotonic() - began < 15
    assert done.exit_code == 4
    assert "could not be reached: " in done.stderr
    assert "Waiting" not in done.stderr
    assert "canary" not in done.output


def test_the_command_says_what_it_waits_for_and_ends_with_exit_code_4(
    make_app: MakeApp,
) -> None:
    app = make_app(urls={"postgres": NO_POSTGRES})
    assert run(app, "init").exit_code == 0
    done = run(app, "check", "--wait", "1")
    assert (done.exit_code, done.stdout) == (4, "")
    waiting, failed = done.stderr.splitlines()
    assert waiting.startswith("Waiting for PostgreSQL: ")
    assert failed.startswith("Error: PostgreSQL did not come up in 1 s: ")


def test_a_wait_for_servers_that_are_up_costs_nothing_and_says_nothing(
    make_app: MakeApp,
) -> None:
    app = make_app()
    assert run(app, "init").exit_code == 0
    done = run(app, "check", "--wait", "60")
    assert (done.exit_code, done.stderr) == (0, "")
    with app.app_context():
        assert check(wait_s=60).ok


def test_a_wait_is_refused_where_there_is_nothing_to_wait_for(
    make_app: MakeApp,
) -> None:
    app = make_app()
    assert run(app, "init").exit_code == 0
    done = run(app, "upgrade", "--wait", "1", "--sql")
    assert done.exit_code == 2
    assert "--wait needs a run" in done.stderr
