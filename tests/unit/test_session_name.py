"""The name of the session that holds the lock: what goes in comes out."""

from __future__ import annotations

import os

import pytest

from flask_dualmigrate.backend.holder import mark_of
from flask_dualmigrate.backend.journal import Actor
from flask_dualmigrate.postgres.lock.sessions import (
    SessionName,
    read_name,
    session_name,
)


@pytest.mark.parametrize(
    ("user", "host", "read"),
    [
        ("ann", "web1", ("ann", "web1")),
        ("ann", "", ("ann", "")),
        ("a@b", "c@d", ("a?b", "c@d")),
        ("zoë", "büro", ("zo?", "b?ro")),
        ("a:b", "[::1]", ("a:b", "[::1]")),
        ("u" * 40, "web1", ("u" * 16, "web1")),
    ],
    ids=["plain", "no host", "at signs", "not ASCII", "colons", "long user"],
)
def test_a_name_is_read_as_it_was_made(
    user: str, host: str, read: tuple[str, str]
) -> None:
    pid = os.getpid()
    name = session_name(Actor(user, host, pid))
    assert len(name.encode("ascii")) <= 63
    assert read_name(name) == SessionName(*read, pid, mark_of(pid))


def test_a_host_that_is_too_long_is_cut_and_marked_so() -> None:
    name = session_name(Actor("deploy", "migrate-job-" + "x" * 80, 4194304))
    assert len(name) == 63
    assert str(read_name(name).host).endswith("~")


@pytest.mark.parametrize("name", ["", "psql", "dualmigrate:x:y:z@w", "dualmigrate"])
def test_the_name_of_any_other_session_says_nothing(name: str) -> None:
    assert read_name(name) == SessionName()
