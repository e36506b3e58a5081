"""A MariaDB of the tests' own, where one is installed on the machine."""

from __future__ import annotations

import getpass
import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
SERVER = shutil.which("mariadbd") or shutil.which("mariadbd", path=_PATH)
INSTALL = shutil.which("mariadb-install-db") or shutil.which(
    "mariadb-install-db", path=_PATH
)
MISSING = next(
    (
        why
        for why, there in (
            ("no MariaDB server (mariadbd) is installed", SERVER and INSTALL),
            ("no PyMySQL is installed", importlib.util.find_spec("pymysql")),
        )
        if not there
    ),
    None,
)
"""Why there is none; None: there is one."""


@contextmanager
def mariadb() -> Iterator[sa.URL]:
    """Start a server in a folder of its own; yields the URL of its root, no database.

    It is reached by its socket alone, whose path must be short.
    """
    assert SERVER is not None
    assert INSTALL is not None
    with tempfile.TemporaryDirectory(prefix="dm-maria-") as name:
        folder = Path(name)
        data, place, log = folder / "data", folder / "socket", folder / "log"
        user = f"--user={getpass.getuser()}"
        with log.open("w") as output:
            subprocess.run(
                [
                    *(INSTALL, "--no-defaults", f"--datadir={data}", user),
                    *("--auth-root-authentication-method=normal", "--skip-test-db"),
                ],
                stdout=output,
                stderr=output,
                check=True,
            )
            server = subprocess.Popen(
                [
                    *(SERVER, "--no-defaults", f"--datadir={data}", user),
                    *("--skip-networking", f"--socket={place}"),
                    *("--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"),
                    *(f"--pid-file={folder / 'pid'}", "--innodb-fast-shutdown=2"),
                ],
                stdout=output,
                stderr=output,
            )
        query = {"unix_socket": str(place)}
        url = sa.URL.create("mysql+pymysql", "root", host="localhost", query=query)
        try:
            _wait(place, server, log)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait(path: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 60
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
            else:
                return
        time.sleep(0.05)
