"""Ready tests of an app's migrations. In a test module of the app's suite:

from pytest_dualmigrate.tests import *

They work on the app that the fixture `dualmigrate_app` gives, and prove on scratch
databases beside its own.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_dualmigrate import lint, prove
from flask_dualmigrate.cli.views import as_text
from flask_dualmigrate.environment import Environment
from flask_dualmigrate.errors import TreeError
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.proving import models_at_head, several_heads, tree_problems

__all__ = [
    "test_lint",
    "test_models_match_head",
    "test_paired",
    "test_single_head",
    "test_up_down_up",
]


def test_single_head(dualmigrate_context: Flask) -> None:
    """The tree has one head, or each of its branches has a label."""
    _require(several_heads(_loaded()))


def test_paired(dualmigrate_context: Flask) -> None:
    """Each revision has both scripts, they say the same, and revisions.lock agrees."""
    try:
        _require(tree_problems(environment_of()))
    except TreeError as error:
        pytest.fail(str(error), pytrace=False)


def test_up_down_up(
    dualmigrate_context: Flask, dualmigrate_options: dict[str, Any]
) -> None:
    """Each revision goes up, down and up, and both databases are what they were."""
    _paired()
    options = dict(dualmigrate_options)
    if not {"revisions", "since", "sample"} & options.keys():
        options.setdefault("all_", True)
    result = prove(**options)
    bad = result.bad
    if bad:
        told = "\n".join(as_text(proof) for proof in bad)
        pytest.fail(
            f"{len(bad)} of {len(result.proofs)} revisions:\n{told}", pytrace=False
        )


def test_models_match_head(dualmigrate_context: Flask) -> None:
    """Autogenerate finds nothing to do on a database at head."""
    env = _paired()
    if not env.compares_models:
        pytest.skip("PostgreSQL is not in use here: the models are not compared")
    _require(models_at_head(env))


def test_lint(dualmigrate_context: Flask) -> None:
    """No script does what is dangerous, unless a comment allows it."""
    _loaded()
    result = lint()
    if not result.ok:
        pytest.fail(as_text(result), pytrace=False)


def _loaded() -> Environment:
    """Return the app's parts, where its tree can be loaded at all."""
    env = environment_of()
    try:
        env.directory  # noqa: B018  (loaded here)
    except TreeError as error:
        pytest.skip(f"The tree cannot be loaded: {error.what}; see test_paired")
    return env


def _paired() -> Environment:
    env = _loaded()
    problems = tree_problems(env)
    if problems:
        pytest.skip(f"{problems[0]}; see test_paired")
    return env


def _require(problems: tuple[str, ...]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
