"""Errors say what, where and what next; and no password."""

from __future__ import annotations

import pytest

from flask_dualmigrate import errors
from flask_dualmigrate.errors import (
    DatabaseUnavailable,
    DualMigrateError,
    IntegrityError,
    LockTimeout,
    OperationError,
    PartialFailure,
    ScriptError,
    UsageError,
    redact,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://app:s3cret@db/x", "postgresql://app:***@db/x"),
        (
            "postgresql+psycopg://app:s3cret@/x?host=/run",
            "postgresql+psycopg://app:***@/x?host=/run",
        ),
        ("mongodb+srv://app:s3cret@h.example/x", "mongodb+srv://app:***@h.example/x"),
        (
            "mongodb://app:s3cret@h1,h2/?replicaSet=rs0",
            "mongodb://app:***@h1,h2/?replicaSet=rs0",
        ),
        ("postgresql://app:p@ss@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app:p%40s%2Fs@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app:p/s?s#s@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app:p:s@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app@server:s3cret@db/x", "postgresql://app@server:***@db/x"),
        ("redis://:s3cret@h", "redis://:***@h"),
        (
            "a postgresql://a:s3cret@h, then mongodb://b:s3cret@h!",
            "a postgresql://a:***@h, then mongodb://b:***@h!",
        ),
        ("host=db password=s3cret user=app", "host=db password=*** user=app"),
        ("host=db password='s3 cret' user=app", "host=db password=*** user=app"),
        (r"password='it\'s s3cret' user=app", "password=*** user=app"),
        (
            "postgresql://db/x?user=a&password=s3%40cret&sslmode=x",
            "postgresql://db/x?user=a&password=***&sslmode=x",
        ),
        ("PGPASSWORD=s3cret psql", "PGPASSWORD=*** psql"),
        ("sslpassword = s3cret;", "sslpassword = ***;"),
        (
            "{'user': 'a', 'password': 's3cret', 'port': 1}",
            "{'user': 'a', 'password': ***, 'port': 1}",
        ),
        ('{"pwd": "s3 cret"}', '{"pwd": ***}'),
    ],
    ids=[
        *("url", "url-with-driver", "srv", "several-hosts", "at", "percent", "slash"),
        *("colon", "at-in-the-user", "no-user", "two-urls", "dsn", "dsn-quoted"),
        *("dsn-escaped", "query", "environment", "prefixed", "dict", "json"),
    ],
)
def test_a_password_is_taken_out(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert "cret" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db:5432/x",
        "http://localhost:5000/items",
        "mongodb://localhost:27017/?replicaSet=rs0",
        "postgresql://app@db/x",
        "12:30 at home@example",
        "the column passwords has no default",
        "no password supplied",
    ],
)
def test_a_text_without_a_password_stays(text: str) -> None:
    assert redact(text) == text


def test_an_error_says_what_where_and_what_next() -> None:
    error = DualMigrateError("It broke", where="here.py:3", hint="Mend it.")

    assert str(error) == "It broke (here.py:3). Mend it."
    assert (error.what, error.where, error.hint) == (
        "It broke",
        "here.py:3",
        "Mend it.",
    )


def test_an_error_without_a_place_and_a_hint_is_one_sentence() -> None:
    assert str(UsageError("It broke")) == "It broke."


def test_no_part_of_an_error_holds_a_password() -> None:
    url = "postgresql://app:s3cret@db/x"

    error = DualMigrateError(f"No {url}", where=url, hint=f"Try {url}")

    assert "s3cret" not in f"{error} {error.args} {vars(error)}"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ScriptError("x"), 1),
        (OperationError("x", step=3), 1),
        (PartialFailure("x", applied=[], failed="a", untouched=[], error=OSError()), 1),
        (UsageError("x"), 2),
        (errors.TreeError("x"), 2),
        (errors.ModelsError("x"), 2),
        (errors.AppError("x"), 2),
        (errors.Unconfirmed("x", losses=["y"], hint="z"), 2),
        (IntegrityError("x"), 3),
        (DatabaseUnavailable("x"), 4),
        (errors.StepInDoubt("x"), 3),
        (errors.OutcomeUnknown("x"), 4),
        (errors.EmbeddedServerError("x"), 4),
        (LockTimeout("x"), 5),
        (errors.LockLost("x"), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_exit_code(error: DualMigrateError, exit_code: int) -> None:
    assert error.exit_code == exit_code


def test_every_error_class_stands_in_the_tree_of_the_docstring() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DualMigrateError)
    }

    assert {name for name in classes if name not in (errors.__doc__ or "")} == set()


def test_errors_keep_their_data() -> None:
    cause = OSError("disk")
    partial = PartialFailure(
        "x", applied=["a"], failed="b", untouched=["c", "d"], error=cause
    )

    assert partial.applied == ("a",)
    assert partial.untouched == ("c", "d")
    assert partial.error is cause
    assert OperationError("x", step=3).step == 3
    assert IntegrityError("x", findings=["one"]).findings == ("one",)
    assert LockTimeout("x", holder="app@web1").holder == "app@web1"
