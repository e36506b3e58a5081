"""Stop: what a signal cuts short, and what it does not; the command told."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import click
import pytest
from flask.cli import FlaskGroup

from flask_dualmigrate.cli.interrupted import carry_on, words_of
from flask_dualmigrate.runtime.stopping import NEVER, Interrupted, Stop


@pytest.fixture
def told() -> list[tuple[str, bool]]:
    return []


@pytest.fixture
def stop(told: list[tuple[str, bool]]) -> Iterator[Stop]:
    # One that is ignored, as in a job in the background of a script, stays so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = Stop(lambda stopped, second: told.append((stopped.signal.name, second)))
    with stop.listening():
        yield stop
    signal.signal(signal.SIGINT, before)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143)],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_interrupts_with_the_exit_code_of_a_shell(
    stop: Stop, number: signal.Signals, code: int
) -> None:
    with pytest.raises(Interrupted) as caught:
        send(number)
    assert (caught.value.exit_code, stop.asked) == (code, number)


def test_inside_patiently_a_signal_waits_until_it_is_asked_for(
    stop: Stop, told: list[tuple[str, bool]]
) -> None:
    stop.target = "r2"
    with stop.patiently():
        send(signal.SIGTERM)
        with pytest.raises(Interrupted) as caught:
            stop.require()
    assert caught.value.target == "r2"
    assert told == [("SIGTERM", False)]


def test_inside_at_once_a_signal_interrupts_again(stop: Stop) -> None:
    with stop.patiently(), pytest.raises(Interrupted), stop.at_once():
        send(signal.SIGTERM)


def test_what_may_be_cut_short_is_not_begun_after_a_signal(stop: Stop) -> None:
    begun = False
    with stop.patiently():
        send(signal.SIGTERM)
        with pytest.raises(Interrupted), stop.at_once():
            begun = True
    assert not begun


def test_another_thread_is_stopped_by_asking(stop: Stop) -> None:
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            stop.require()
        except Interrupted as error:
            caught.append(error)

    with stop.patiently():
        send(signal.SIGTERM)
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop().listening():
        assert signal.getsignal(signal.SIGTERM) not in before
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Stop().listening():
            send(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_of_the_main_thread_no_handler_is_touched() -> None:
    seen = []

    def listen() -> None:
        with Stop().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_run_that_nobody_listens_for_is_never_stopped() -> None:
    NEVER.require()
    with NEVER.patiently(), NEVER.at_once():
        NEVER.require()


def _context(*words: str) -> click.Context:
    """Return the context of `flask db-migrate upgrade …`, parsed."""
    upgrade = click.Command(
        "upgrade",
        params=[
            click.Argument(["target"], default="head"),
            click.Option(["-d", "--directory"]),
            click.Option(["-x", "--x-arg"], multiple=True),
            click.Option(["--yes", "-y"], is_flag=True),
            click.Option(["--wait"], type=float),
            click.Option(["--counts/--no-counts"], default=True),
        ],
    )
    flask = click.Context(click.Group("flask"), info_name="flask")
    group = click.Context(click.Group("db-migrate"), flask, "db-migrate")
    return upgrade.make_context("upgrade", list(words), parent=group)


@pytest.mark.parametrize(
    ("words", "target", "expected"),
    [
        ((), None, "upgrade"),
        ((), "head", "upgrade head"),
        (("+2", "-y"), "r2", "upgrade r2 --yes"),
        (("+2",), None, "upgrade +2"),
        (("-d", "my tree"), "r2", "upgrade r2 --directory 'my tree'"),
        (("-x", "a=1", "-x", "b"), "r2", "upgrade r2 --x-arg a=1 --x-arg b"),
        (("--wait", "60"), "r2", "upgrade r2 --wait 60"),
        (("--wait", "0.5"), "r2", "upgrade r2 --wait 0.5"),
        (("--no-counts",), None, "upgrade --no-counts"),
        (("--counts",), None, "upgrade --counts"),
    ],
    ids=[
        *("plain", "default", "relative", "unplanned", "quoted", "several"),
        *("whole-seconds", "half-a-second", "off", "on"),
    ],
)
def test_the_command_that_carries_on_is_the_one_given_with_a_fixed_target(
    words: tuple[str, ...], target: str | None, expected: str
) -> None:
    with _context(*words):
        assert carry_on(target) == f"flask db-migrate {expected}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--app", "my shop"], "flask --app 'my shop' db-migrate upgrade r2"),
        ([], "flask db-migrate upgrade r2"),
    ],
    ids=["given", "from-the-environment"],
)
def test_the_app_that_flask_was_given_is_in_the_command_that_carries_on(
    words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FlaskGroup, "get_command", lambda *_: _context().command)
    monkeypatch.setenv("FLASK_APP", "other")
    root = FlaskGroup(name="flask").make_context("flask", [*words, "db-migrate"])
    group = click.Context(click.Group("db-migrate"), root, "db-migrate")
    with _context().command.make_context("upgrade", [], parent=group):
        assert carry_on("r2") == expected


def test_between_two_revisions_none_is_said_to_be_half_done() -> None:
    stopped = Interrupted(signal.SIGTERM, "head")
    stopped.done = ["r1", "r2"]
    with _context():
        assert words_of(stopped) == (
            "Stopped by SIGTERM: none is half done. Done: r1, r2. "
            "Carry on with: flask db-migrate upgrade head"
        )


def test_a_password_among_the_options_is_not_told() -> None:
    with _context("-x", "url=postgresql://me:secret@db/x"):
        assert "secret" not in words_of(Interrupted(signal.SIGINT, "head"))
