"""The command group, run as from a terminal, with functions in place of the verbs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.cli import ScriptInfo

from flask_dualmigrate.cli import make_group
from flask_dualmigrate.verbs import check, run_scripts, write_scripts
from flask_dualmigrate.verbs import inspect as inspect_verbs

Asked = list[dict[str, Any]]
PutVerb = Callable[[str, object], Asked]


class Terminal:
    """Runs the command group; keeps what the environment was given, and the output."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.environment: dict[str, Any] = {}
        self.out = self.err = ""

    def __call__(self, *args: str) -> int:
        group = make_group("db-migrate", self._make_environment)
        info = ScriptInfo(create_app=lambda: Flask("terminal"))
        with pytest.raises(SystemExit) as exited:
            group.main(list(args), prog_name="flask db-migrate", obj=info)
        self.out, self.err = self._capsys.readouterr()
        return int(exited.value.code or 0)

    def _make_environment(self, **arguments: Any) -> Any:
        self.environment = arguments
        return arguments


_VERBS = (check, inspect_verbs, run_scripts, write_scripts)


def put_verb(patch: pytest.MonkeyPatch, name: str, answer: object) -> Asked:
    """Put a function in the place of a verb; return what it is called with.

    answer: what it returns, or raises, or a function of the arguments that says so.
    """
    asked: Asked = []
    module = next(verb for verb in _VERBS if hasattr(verb, name))
    real = getattr(module, name)

    def fake(*args: Any, **kwargs: Any) -> Any:
        arguments = inspect.signature(real).bind(*args, **kwargs).arguments
        asked.append(arguments)
        if isinstance(answer, BaseException):
            raise answer
        return answer(arguments) if callable(answer) else answer

    patch.setattr(module, name, fake)
    return asked
