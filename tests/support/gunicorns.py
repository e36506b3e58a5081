"""Real gunicorns, for the tests: started, asked, and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

_LISTENS = re.compile(r"Listening at: (http://\S+)")


class Gunicorn:
    """One gunicorn, on a port of its own; what it says goes to a file.

    words: its arguments after the address.
    """

    def __init__(self, log: Path, *words: str, env: Mapping[str, str]) -> None:
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", *words],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def address(self, *, within_s: float = 60.0) -> str:
        """Wait until it listens; return where."""
        give_up = time.monotonic() + within_s
        while not (found := _LISTENS.search(self.said)):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < give_up, self.said
            time.sleep(0.05)
        return found[1]

    def get(self, path: str = "/") -> dict[str, Any]:
        """Ask, and wait for as long as the workers take to start."""
        with urlopen(f"{self.address()}{path}", timeout=60) as answer:
            return dict(json.load(answer))

    def ask_all(self, workers: int) -> list[dict[str, Any]]:
        """Ask until each worker has answered; return one answer of each."""
        answers: dict[int, dict[str, Any]] = {}
        give_up = time.monotonic() + 60
        with ThreadPoolExecutor(workers) as pool:
            while len(answers) < workers:
                assert time.monotonic() < give_up, (sorted(answers), self.said)
                for answer in pool.map(self.get, ["/"] * workers):
                    answers[answer["pid"]] = answer
        return list(answers.values())

    def answers_nobody(self) -> bool:
        """Return whether nobody listens where it did, if it ever did."""
        found = _LISTENS.search(self.said)
        try:
            if found:
                urlopen(found[1], timeout=5).close()
        except URLError:
            return True
        return found is None

    def end(self) -> int:
        """Wait for it to end by itself; return its exit code."""
        return self.process.wait(timeout=60)

    def stop(self) -> None:
        """Kill it, workers and orphans and all: a graceful end takes seconds."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
