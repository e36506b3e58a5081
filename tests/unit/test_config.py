"""The settings: DUALMIGRATE_* keys, their kinds, and which sides are in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flask_dualmigrate.config import DEFAULTS, Active, Config
from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.revisions import BackendName

from .trees import BOTH, MONGO, POSTGRES

HERE = Path("migrations")


def _config(**keys: Any) -> Config:
    named = {f"DUALMIGRATE_{key}": value for key, value in keys.items()}
    return Config.from_mapping({"SECRET_KEY": "x", **named}, directory=HERE)


def test_without_keys_the_defaults_hold() -> None:
    assert _config() == Config(HERE)


def test_the_documented_defaults_are_those_of_the_config() -> None:
    for key, value in DEFAULTS.items():
        name = key.removeprefix("DUALMIGRATE_").lower()
        assert getattr(Config(HERE), name) == value


def test_keys_are_read() -> None:
    config = _config(
        LOCK_TIMEOUT_S="12.5",
        LOCK_LEASE_S=10,
        POSTGRES_URI="postgresql://db/x",
        POSTGRES_LOCK_TIMEOUT_S=0,
        VALIDATORS="warn",
    )

    assert config.lock_timeout_s == 12.5
    assert config.lock_lease_s == 10.0
    assert config.postgres_uri == "postgresql://db/x"
    assert config.postgres_lock_timeout_s == 0.0
    assert config.validators == "warn"


LIMITS = ("POSTGRES_LOCK_TIMEOUT_S", "POSTGRES_STATEMENT_TIMEOUT_S", "MONGO_MAX_TIME_S")
REFUSED: list[tuple[str, Any, str]] = [
    ("LOCK_TIMEOUT", 3, r"LOCK_TIMEOUT is not a setting.*LOCK_TIMEOUT_S"),
    *(
        ("LOCK_TIMEOUT_S", value, r"LOCK_TIMEOUT_S .* of seconds, 0 or more")
        for value in ("soon", None, -1, float("inf"), float("nan"), True, [3])
    ),
    *(
        (key, value, rf"{key} must be a number.*2147483 at most, not {shown}")
        for key in LIMITS
        for value, shown in ((2_147_484, "2147484"), (1e20, r"1e\+20"))
    ),
    *(
        ("POSTGRES_LOCK_RETRIES", value, "LOCK_RETRIES must be a number of times")
        for value in (None, -1, 1.5, True, "many")
    ),
    ("LOCK_LEASE_S", 0.5, r"LEASE_S .* seconds, 1 or more, not 0\.5"),
    ("VALIDATORS", True, "'off', 'warn', 'error', not True"),
]


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_what_a_setting_cannot_be_is_refused(
    key: str, value: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        _config(**{key: value})


@pytest.mark.parametrize("key", LIMITS)
def test_the_longest_limit_that_a_server_can_count_is_taken(key: str) -> None:
    _config(**{key: 2_147_483})


def test_a_statement_timeout_may_be_left_to_the_server() -> None:
    assert _config().limits.statement_timeout_s is None
    assert _config(POSTGRES_STATEMENT_TIMEOUT_S="0").limits.statement_timeout_s == 0.0


def test_the_limits_of_the_app_are_read() -> None:
    limits = _config(
        POSTGRES_LOCK_TIMEOUT_S=2,
        POSTGRES_LOCK_RETRIES="7",
        POSTGRES_STATEMENT_TIMEOUT_S=30,
        MONGO_MAX_TIME_S=60,
    ).limits
    assert (limits.lock_timeout_s, limits.lock_retries) == (2.0, 7)
    assert (limits.statement_timeout_s, limits.max_time_s) == (30.0, 60.0)


@pytest.mark.parametrize(
    ("active", "available", "expected"),
    [
        ("both", BOTH, BOTH),
        ("both", (POSTGRES,), (POSTGRES,)),
        ("mongo", BOTH, (MONGO,)),
        ("postgres", BOTH, (POSTGRES,)),
        (BackendName.MONGO, BOTH, (MONGO,)),
        (lambda: "postgres", BOTH, (POSTGRES,)),
        (lambda: "both", BOTH, BOTH),
    ],
    ids=[
        *("both", "both-of-one", "mongo", "postgres", "enum", "callable"),
        "callable-both",
    ],
)
def test_active_says_which_sides_are_in_use(
    active: Active,
    available: tuple[BackendName, ...],
    expected: tuple[BackendName, ...],
) -> None:
    assert Config(HERE, active=active).active_backends(available) == expected


@pytest.mark.parametrize("active", ["Postgres", "sqlite", None, lambda: "none"])
def test_active_that_names_no_side_is_refused(active: Any) -> None:
    with pytest.raises(UsageError, match=r"this app has 'mongo', 'postgres'"):
        Config(HERE, active=active).active_backends(BOTH)


def test_active_may_not_name_a_side_that_the_app_has_not() -> None:
    with pytest.raises(UsageError, match=r"says 'mongo', and this app has 'postgres'"):
        Config(HERE, active="mongo").active_backends((POSTGRES,))
