"""How the embedded servers live: who starts, shares and ends them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask
from pymongo import MongoClient
from sqlalchemy import create_engine, make_url, text

from flask_dualmigrate.embedded import EmbeddedServers, configure
from flask_dualmigrate.embedded.__main__ import embedded as command
from flask_dualmigrate.embedded.config import _servers_in
from flask_dualmigrate.embedded.process import alive
from flask_dualmigrate.errors import UsageError
from tests.support.embedded_users import User, eventually, pids, programs_in, user

BOTH = ("postgres", "mongo")
NAMES = {"PostgreSQL", "MongoDB"}


def postgres(uri: str) -> psycopg.Connection:
    url = make_url(uri).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(), autocommit=True)


def mongo(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri)


def test_the_postgres_uri_is_one_that_sqlalchemy_takes(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        engine = create_engine(servers.postgres_uri("shop"))
        with engine.connect() as connection:
            database = connection.execute(text("SELECT current_database()")).scalar()
            version = connection.execute(text("SHOW server_version_num")).scalar_one()
        engine.dispose()
    assert (database, int(version) // 10_000) == ("shop", 18)


def test_the_mongo_uri_is_of_a_replica_set_with_transactions(folder: Path) -> None:
    with EmbeddedServers(folder) as servers, mongo(servers.mongo_uri("shop")) as client:
        with client.start_session() as session, session.start_transaction():
            client.get_default_database().item.insert_one({"_id": 1}, session=session)
        assert client.shop.item.count_documents({}) == 1
        assert client.admin.command("hello")["setName"] == "rs0"


def test_nothing_listens_beyond_this_machine(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        with postgres(servers.postgres_uri()) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        servers.mongo_uri()
        pid = pids(folder)["MongoDB"]
        sockets = [one for one in psutil.net_connections("inet") if one.pid == pid]
        assert {one.laddr.ip for one in sockets if one.laddr} == {"127.0.0.1"}


def test_a_server_that_nobody_asks_for_is_not_started(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        servers.postgres_uri()
        assert pids(folder).keys() == {"PostgreSQL"}


def test_data_outlive_a_stop(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        with postgres(servers.postgres_uri()) as connection:
            connection.execute("CREATE TABLE item AS SELECT 1 AS id")
        with mongo(servers.mongo_uri()) as client:
            client.app.item.insert_one({"_id": 1})
        port = client.port
    with EmbeddedServers(folder) as servers:
        with postgres(servers.postgres_uri()) as connection:
            assert connection.execute("SELECT id FROM item").fetchall() == [(1,)]
        with mongo(servers.mongo_uri()) as client:
            assert list(client.app.item.find()) == [{"_id": 1}]
            assert client.port == port


def test_two_processes_share_one_pair(folder: Path) -> None:
    with user(folder, *BOTH):
        first = pids(folder)
        with user(folder, *BOTH):
            assert pids(folder) == first
    assert first.keys() == NAMES


def test_processes_that_start_at_once_share_one_pair(folder: Path) -> None:
    users = [User(folder, *BOTH) for _ in range(3)]
    uris = [one.wait_until("ready") for one in users]
    assert uris[0] == uris[1] == uris[2]
    assert programs_in(folder) == ["mongod", "postgres"]
    for one in users:
        one.leave()
    assert programs_in(folder) == []


def test_the_last_process_to_leave_stops_the_servers(folder: Path) -> None:
    with user(folder, *BOTH) as first, user(folder, *BOTH) as second:
        first.leave()
        assert pids(folder).keys() == NAMES
        second.leave()
        assert programs_in(folder) == []


def test_two_objects_in_a_process_are_two_users(folder: Path) -> None:
    with EmbeddedServers(folder) as first, EmbeddedServers(folder) as second:
        first.postgres_uri()
        assert not first.stop()
        assert pids(folder).keys() == {"PostgreSQL"}
        assert second.stop()
    assert programs_in(folder) == []


def test_a_process_need_not_say_that_it_leaves(folder: Path) -> None:
    one = User(folder, *BOTH, script="print('done', flush=True)")
    one.wait_until("done")
    one.leave()
    assert programs_in(folder) == []


def test_what_a_killed_process_left_is_used_and_stopped_by_the_next(
    folder: Path,
) -> None:
    with user(folder, *BOTH) as killed:
        left = pids(folder)
        killed.kill()
        assert pids(folder) == left
    with user(folder, *BOTH) as second:
        assert pids(folder) == left
        second.leave()
    assert programs_in(folder) == []


def test_a_killed_process_does_not_count_as_a_user(folder: Path) -> None:
    with user(folder, *BOTH) as killed, user(folder, *BOTH) as other:
        killed.kill()
        other.leave()
    assert programs_in(folder) == []


def test_ctrl_c_at_a_terminal_does_not_reach_the_servers(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        servers.postgres_uri()
        servers.mongo_uri()
        sessions = {os.getsid(pid) for pid in pids(folder).values()}
    assert os.getsid(0) not in sessions


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_server_that_was_killed_is_started_again_with_its_data(
    folder: Path, name: str
) -> None:
    with EmbeddedServers(folder) as servers:
        with postgres(servers.postgres_uri()) as connection:
            connection.execute("CREATE TABLE item AS SELECT 1 AS id")
        with mongo(servers.mongo_uri()) as client:
            client.app.item.insert_one({"_id": 1})
        os.kill(pids(folder)[name], signal.SIGKILL)
        with postgres(servers.postgres_uri()) as connection:
            assert connection.execute("SELECT id FROM item").fetchall() == [(1,)]
        with mongo(servers.mongo_uri()) as client:
            assert list(client.app.item.find()) == [{"_id": 1}]
        assert programs_in(folder) == ["mongod", "postgres"]


FORK = """
import os
parent_exits_first = {parent_exits_first}
read, write = os.pipe()
child = os.fork()
if child == 0:
    if parent_exits_first:
        os.close(write)
        os.read(read, 1)
        print("alone", flush=True)
        sys.stdin.read()
    sys.exit()
if not parent_exits_first:
    os.waitpid(child, 0)
    print("child is gone", flush=True)
    sys.stdin.read()
"""


def test_a_forked_child_does_not_stop_the_servers_of_its_parent(folder: Path) -> None:
    parent = User(folder, *BOTH, script=FORK.format(parent_exits_first=False))
    parent.wait_until("child is gone")
    assert pids(folder).keys() == NAMES
    parent.leave()
    assert programs_in(folder) == []


def test_a_forked_child_that_outlives_its_parent_keeps_the_servers(
    folder: Path,
) -> None:
    parent = User(folder, *BOTH, script=FORK.format(parent_exits_first=True))
    parent.wait_until("alone")
    assert pids(folder).keys() == NAMES
    parent.leave()  # Ends the input of the child, too.
    assert eventually(lambda: programs_in(folder) == [])


def test_a_folder_deleted_below_its_servers_is_made_anew(folder: Path) -> None:
    with user(folder, *BOTH) as killed:
        old = pids(folder)
        killed.kill()
    shutil.rmtree(folder)
    with EmbeddedServers(folder) as servers:
        servers.postgres_uri()
        servers.mongo_uri()
        assert programs_in(folder) == ["mongod", "postgres"]
        assert not any(alive(pid) for pid in old.values())


def test_servers_whose_folder_was_deleted_end_with_their_user(folder: Path) -> None:
    with user(folder, *BOTH) as one:
        shutil.rmtree(folder)
        one.leave()
        assert not folder.exists()
        assert programs_in(folder) == []


@pytest.mark.parametrize(
    "name",
    ["$HOME `id` a,b 'c' \"d\" %41+ä€", "long" * 40],
    ids=["odd characters", "long"],
)
def test_a_folder_may_have_any_name(folder: Path, name: str) -> None:
    before = set(Path("/tmp").glob("dualmigrate-pg-*"))
    with EmbeddedServers(folder / name) as servers:
        with postgres(servers.postgres_uri()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with mongo(servers.mongo_uri()) as client:
            client.app.item.insert_one({"_id": 1})
    assert set(Path("/tmp").glob("dualmigrate-pg-*")) <= before


@pytest.fixture
def app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    for variable in ("DATABASE_URL", "MONGO_URI"):
        monkeypatch.delenv(variable, raising=False)
    yield Flask(__name__, instance_path=str(folder))
    _servers_in(folder).stop()
    _servers_in.cache_clear()


def test_configure_starts_both_servers_under_the_instance_path(app: Flask) -> None:
    configure(app, database="shop")
    assert pids(Path(app.instance_path)).keys() == NAMES
    with postgres(app.config["SQLALCHEMY_DATABASE_URI"]) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("shop",)
    with mongo(app.config["MONGO_URI"]) as client:
        assert client.get_default_database().name == "shop"


@pytest.mark.parametrize(
    ("active", "server", "key"),
    [
        ("postgres", "PostgreSQL", "SQLALCHEMY_DATABASE_URI"),
        ("mongo", "MongoDB", "MONGO_URI"),
    ],
)
def test_configure_leaves_the_other_side_alone(
    app: Flask, active: str, server: str, key: str
) -> None:
    configure(app, active=active)
    assert pids(Path(app.instance_path)).keys() == {server}
    uris = {"SQLALCHEMY_DATABASE_URI", "MONGO_URI"}
    assert {name for name in uris if app.config.get(name)} == {key}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://u:p@h/d?x=y", "postgresql+psycopg://u:p@h/d?x=y"),
        ("postgresql://u@h:1/d", "postgresql+psycopg://u@h:1/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_the_environment_wins_and_nothing_is_started(
    app: Flask, monkeypatch: pytest.MonkeyPatch, given: str, taken: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    monkeypatch.setenv("MONGO_URI", "mongodb://nowhere/d")
    configure(app)
    assert app.config["SQLALCHEMY_DATABASE_URI"] == taken
    assert app.config["MONGO_URI"] == "mongodb://nowhere/d"
    assert list(Path(app.instance_path).iterdir()) == []


def test_configure_refuses_a_side_that_there_is_not(app: Flask) -> None:
    with pytest.raises(UsageError, match="active is 'mysql'"):
        configure(app, active="mysql")


def test_servers_started_by_hand_run_until_stopped_by_hand(folder: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(command, [*arguments, str(folder)])
        assert result.exit_code == 0, result.output
        return result.output

    started = dict(line.split("=", 1) for line in run("start").splitlines())
    assert started.keys() == {"DATABASE_URL", "MONGO_URI"}
    with user(folder, *BOTH) as other:
        other.leave()
    assert "stopped" not in run("status")
    with ExitStack() as stack:
        stack.enter_context(user(folder, *BOTH))
        assert "Another process uses them" in run("stop")
        assert pids(folder).keys() == NAMES
    assert run("stop") == "Stopped.\n"
    assert programs_in(folder) == []


def test_the_command_says_an_error_in_one_line(folder: Path) -> None:
    (folder / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "flask_dualmigrate.embedded", "start", "file/below"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("Error: The servers' folder cannot be used")
    assert len(done.stderr.splitlines()) == 1
