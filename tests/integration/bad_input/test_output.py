"""Where the output cannot go: a run is not stopped by it, and stdout is JSON or empty.

Each in a process of its own, whose stdout or stderr is full, gone, or of few letters.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from flask_dualmigrate import init
from tests.integration.bad_input.test_running import APP
from tests.integration.bad_input.test_tree import both
from tests.support.bad_input import NO_MONGO, NO_POSTGRES, SECRET, Bench, offline_bench
from tests.support.bad_servers import OWNER, Live
from tests.support.nursery import Nursery

FULL = Path("/dev/full")
EMOJI = "größer 🚀"
NOISE = "print('from the app')"
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def flask(
    nursery: Nursery,
    folder: Path,
    command: str,
    urls: Mapping[str, str] | None = None,
    **more: str,
) -> SimpleNamespace:
    """Run a line of a shell, in which `flask db-migrate` is `$F`.

    It is `$COLD` where Python itself is to look at its environment as it starts.
    """
    (folder / "app.py").write_text(APP)
    urls = urls or {"DATABASE_URL": NO_POSTGRES, "MONGO_URI": NO_MONGO}
    python = shlex.join(nursery.python())
    env = {
        **os.environ,
        **urls,
        "F": f"{python} -m flask db-migrate",
        "COLD": f"{sys.executable} -m flask db-migrate",
        **more,
    }
    line = ["bash", "-c", f"set -o pipefail; {command}"]
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, timeout=60)
    stdout, stderr = done.stdout.decode("latin-1"), done.stderr.decode()
    assert SECRET not in stdout + stderr
    assert "Traceback" not in stdout + stderr
    return SimpleNamespace(exit_code=done.returncode, stdout=stdout, stderr=stderr)


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Three revisions, the last with a message that few encodings hold."""
    with offline_bench(tmp_path, caplog) as bench:
        both('"""c3c3"""', f'"""{EMOJI}"""')(bench)
        init()
        yield bench


def urls_of(live: Live) -> dict[str, str]:
    url = live.postgres.set(username=OWNER)
    return {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "MONGO_URI": live.mongo.url(live.name),
    }


ROWS = {
    "stdout-full": ("$F history >/dev/full", 1, "written to stdout: No space left"),
    "stdout-full-json": ("$F history --json >/dev/full", 1, "No space left"),
    "stdout-full-error": ("$F show zzzz --json >/dev/full", 2, "branch 'zzzz'"),
    "stdout-read-no-more": ("$F history | true", 1, ""),
    "stderr-full": ("$F show zzzz 2>/dev/full", 2, ""),
    "stderr-full-buffered": ("PYTHONUNBUFFERED= $COLD show zzzz 2>/dev/full", 2, ""),
    "locale-c": (
        "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $COLD revision -m größer",
        2,
        "set LC_ALL=C.UTF-8 if it is a letter",
    ),
    "stdout-closed": ("$F history >&-", 0, ""),
    "stdout-closed-error": ("$F show zzzz >&-", 2, "branch 'zzzz'"),
    "stderr-closed-error": ("$F show zzzz 2>&-", 2, ""),
    "folder-gone": (
        "mkdir gone; cd gone; rmdir ../gone; FLASK_APP=$OLDPWD/app.py $F history",
        2,
        "The migrations directory is invalid",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_output_that_goes_nowhere_ends_in_one_line(
    row: tuple[str, int, str], bench: Bench, nursery: Nursery
) -> None:
    command, code, says = row
    done = flask(nursery, bench.root.parent, command)
    assert done.exit_code == code, done
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == bool(says), done
    assert says in "".join(errors)


LIVE = {
    "stderr-full": ("$F upgrade --yes 2>/dev/full", 0),
    "stderr-closed": ("$F upgrade --yes 2>&-", 0),
    "stderr-read-no-more": ("$F upgrade --log-format json 2>&1 >/dev/null | true", 0),
    "stdout-full": ("$F upgrade --yes >/dev/full", 1),
}


@pytest.mark.parametrize("row", LIVE.values(), ids=LIVE)
def test_a_run_that_nobody_hears_goes_on(
    row: tuple[str, int], live: Live, nursery: Nursery
) -> None:
    command, code = row
    done = flask(nursery, live.root, command, urls_of(live))
    assert done.exit_code == code, done
    assert live.bench.cli("repair").exit_code == 0
    assert live.bench.cli("current").stdout.count("c3c3 (head)") == 2


@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "ascii", "utf-16"])
@pytest.mark.parametrize("way", ["text", "json"])
def test_a_message_that_an_encoding_has_not_is_written_in_escapes(
    encoding: str, way: str, bench: Bench, nursery: Nursery
) -> None:
    option = "--json" if way == "json" else ""
    done = flask(
        nursery, bench.root.parent, f"$F history {option}", PYTHONIOENCODING=encoding
    )
    assert done.exit_code == 0, done
    if way == "json" and encoding != "utf-16":
        raw = done.stdout.encode("latin-1")
        told = json.loads(raw.decode("utf-8" if encoding == "ascii" else encoding))
        assert told["revisions"][0]["message"] == EMOJI


@pytest.mark.parametrize(
    "words",
    ["history", "show zzzz", "upgrade --yes", "lint", "check", "init", "heads"],
)
def test_stdout_is_json_whatever_the_app_and_the_scripts_print(
    words: str, bench: Bench, nursery: Nursery
) -> None:
    for name in ("upgrade(", "downgrade("):
        both(f"def {name}", f"print('from a script')\ndef {name}")(bench)
    done = flask(nursery, bench.root.parent, f"$F {words} --json", MODELS=NOISE)
    assert isinstance(json.loads(done.stdout), dict), done
    assert "from the app" in done.stderr
