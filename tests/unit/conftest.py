"""Fixtures that need no server."""

from __future__ import annotations

import functools

import pytest

from .terminal import PutVerb, Terminal, put_verb


@pytest.fixture
def flask(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """`flask db-migrate`: called with words, it returns the exit code."""
    return Terminal(capsys)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> PutVerb:
    """Puts a function in the place of a verb."""
    return functools.partial(put_verb, monkeypatch)
