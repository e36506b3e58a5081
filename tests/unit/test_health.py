"""The question behind a probe: asked once at a time, and not waited for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_dualmigrate import health
from flask_dualmigrate.health import Probe
from flask_dualmigrate.run.readiness import Readiness

READY = Readiness((), ())


class Database:
    """Answers when it is let go; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()

    def read(self) -> Readiness:
        self.asked += 1
        self.go.wait(10)
        return READY


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.go.set()


def test_each_probe_asks_anew(database: Database) -> None:
    database.go.set()
    probe = Probe(database.read)
    assert [probe.ask(), probe.ask()] == [READY, READY]
    assert database.asked == 2


def test_probes_that_come_meanwhile_wait_for_the_same_answer(
    database: Database,
) -> None:
    probe = Probe(database.read)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(probe.ask) for _ in range(4)]
        threading.Timer(0.2, database.go.set).start()
        assert [each.result() for each in answers] == [READY] * 4
    assert database.asked == 1


def test_a_question_that_hangs_is_not_waited_for_and_not_asked_twice(
    database: Database,
) -> None:
    probe = Probe(database.read, timeout_s=0.05)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            probe.ask()
    assert database.asked == 1


def test_a_question_that_hangs_for_long_is_asked_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_HUNG_S", 0.01)
    probe = Probe(database.read, timeout_s=0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            probe.ask()
    assert database.asked == 2


def test_what_the_question_raises_comes_out_of_the_probe() -> None:
    def read() -> Readiness:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        Probe(read).ask()
