"""The progress of a run on stderr."""

from __future__ import annotations

import dataclasses

import pytest

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.backend.progress import how_far
from flask_dualmigrate.cli import progress as module
from flask_dualmigrate.cli.progress import Display
from flask_dualmigrate.revisions import BackendName, Direction, Revision, Step

AT = Progress("ab12", 0, "update", "item", done=0, total=10_000, rate=250.0)
STEP = Step(
    Revision("ab12", message="count"),
    Direction.UPGRADE,
    (BackendName.MONGO, BackendName.POSTGRES),
)


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def tell(display: Display, clock: Clock, *, seconds: int, ended: bool = True) -> None:
    """Work at an operation for so long, a batch of 250 documents a second."""
    for second in range(seconds):
        display.progress(dataclasses.replace(AT, done=250 * second))
        clock.now_s += 1
    if ended:
        display.progress(dataclasses.replace(AT, done=250 * seconds, ended=True))


def test_a_short_operation_is_not_spoken_of(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display() as display:
        tell(display, clock, seconds=1)
    assert capsys.readouterr().err == ""


def test_a_long_one_is_a_line_every_five_seconds_and_one_at_its_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display() as display:
        tell(display, clock, seconds=12)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "  update item: 250 of 10,000 documents (2 %), 250/s, 39 s left",
        "  update item: 1,500 of 10,000 documents (15 %), 250/s, 34 s left",
        "  update item: 2,750 of 10,000 documents (27 %), 250/s, 29 s left",
        "  update item: 3,000 of 10,000 documents (30 %), 250/s",
    ]


def test_quiet_says_nothing_but_whom_it_waits_for(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Display(quiet=True) as display:
        display.wait("ann@web1")
        display.step(STEP)
        tell(display, clock, seconds=12)
    assert capsys.readouterr().err == "Waiting for another migration: ann@web1\n"


def test_on_a_terminal_it_is_a_bar_that_ends_before_the_next_line(
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Display() as display:
        tell(display, clock, seconds=5, ended=False)
        display.step(STEP)
    *bars, step = capsys.readouterr().err.splitlines()
    assert "1,000 of 10,000, 250/s, 36 s left" in bars[-1]
    assert step == "Upgrading ab12 (count) on PostgreSQL and MongoDB"


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (AT, "0 of 10,000 documents (0 %), 250/s, 40 s left"),
        (dataclasses.replace(AT, rate=None), "0 of 10,000 documents (0 %)"),
        (dataclasses.replace(AT, total=None, done=7), "7 documents, 250/s"),
        (dataclasses.replace(AT, total=None, rate=None), "begun"),
        (
            dataclasses.replace(AT, total=10**6),
            "0 of 1,000,000 documents (0 %), 250/s, 67 min left",
        ),
        (
            dataclasses.replace(AT, total=10**7),
            "0 of 10,000,000 documents (0 %), 250/s, 11 h 7 min left",
        ),
        (
            dataclasses.replace(AT, done=10_500),
            "10,500 of 10,000 documents (100 %), 250/s",
        ),
    ],
    ids=[
        "known",
        "no rate",
        "no total",
        "nothing counted",
        "minutes",
        "hours",
        "more than expected",
    ],
)
def test_the_numbers_of_an_operation(progress: Progress, text: str) -> None:
    assert how_far(progress) == text
