"""The settings of one app: arguments of DualMigrate, over DUALMIGRATE_* keys.

Every key has its default and its unit in DEFAULTS; docs/configuration.md says the same.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import UsageError
from .revisions import BackendName
from .runtime.time_limits import LONGEST_S, Limits

Active = str | Callable[[], str]
CollectionMap = Mapping[str, str | None] | Callable[[str], str | None]
FieldMap = Mapping[str, str] | Callable[[str], str]
Documents = Sequence[type[Any] | str] | Callable[[], Sequence[type[Any] | str]]

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "DUALMIGRATE_LOCK_TIMEOUT_S": 600.0,  # seconds to wait for another migration
        "DUALMIGRATE_LOCK_LEASE_S": 30.0,  # seconds the MongoDB lock lives unrenewed
        "DUALMIGRATE_POSTGRES_URI": None,  # a direct URL, past a pooling proxy
        "DUALMIGRATE_POSTGRES_LOCK_TIMEOUT_S": 5.0,  # seconds; 0: wait for ever
        "DUALMIGRATE_POSTGRES_LOCK_RETRIES": 5,  # tries after the first one
        "DUALMIGRATE_POSTGRES_STATEMENT_TIMEOUT_S": None,  # None: the server's setting
        "DUALMIGRATE_MONGO_MAX_TIME_S": 0.0,  # seconds; 0: no limit
        "DUALMIGRATE_BATCH_SECONDS": 0.5,  # a batch's time; 0: its size stays
        "DUALMIGRATE_REPLICATION_LAG_S": 10.0,  # seconds; 0: do not wait for it
        "DUALMIGRATE_ALLOW_DESTRUCTIVE": False,  # True: without a question
        "DUALMIGRATE_ALLOW_WORLD_WRITABLE": False,  # True: others may write scripts
        "DUALMIGRATE_LINT_IGNORE": (),  # codes of rules, such as "DM124"
        "DUALMIGRATE_VALIDATORS": "off",  # "off" | "warn" | "error"
        "DUALMIGRATE_BACKUP": "touched",  # "touched" | "all" | "never"
        "DUALMIGRATE_BACKUP_DIR": None,  # a path; None: in the instance folder
        "DUALMIGRATE_BACKUP_MAX_BYTES": 1024**3,  # bytes; a larger one is refused
        "DUALMIGRATE_PG_DUMP": None,  # a path; None: beside the server's version
    }
)

_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off", ""), False),
}

VALIDATORS = ("off", "warn", "error")
BACKUPS = ("touched", "all", "never")


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run.

    directory: the migrations directory, absolute.
    active: which sides this deployment uses, as given; `active_backends` resolves it.
    collections, fields: how tables and columns are named in MongoDB.
    documents: Beanie's document classes or dotted paths, or a callable that returns
        them.
    alembic_options: keyword arguments for Alembic's EnvironmentContext.configure().
    x_arg: what -x gave, as `context.get_x_argument()` returns it.
    """

    directory: Path
    active: Active = "both"
    collections: CollectionMap | None = None
    fields: FieldMap | None = None
    documents: Documents = ()
    lock_timeout_s: float = 600.0
    lock_lease_s: float = 30.0
    postgres_uri: str | None = None
    postgres_lock_timeout_s: float = 5.0
    postgres_lock_retries: int = 5
    postgres_statement_timeout_s: float | None = None
    mongo_max_time_s: float = 0.0
    batch_seconds: float = 0.5
    replication_lag_s: float = 10.0
    allow_destructive: bool = False
    allow_world_writable: bool = False
    validators: str = "off"
    backup: str = "touched"
    backup_dir: str | None = None
    backup_max_bytes: int = 1024**3
    pg_dump: str | None = None
    lint_ignore: tuple[str, ...] = ()
    alembic_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    x_arg: tuple[str, ...] = ()

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], *, directory: Path, **given: Any
    ) -> Config:
        """Read the DUALMIGRATE_* keys of a Flask config.

        Raises UsageError for an unknown key or a value of the wrong type.
        """
        values = dict(DEFAULTS)
        for key, value in mapping.items():
            if key.startswith("DUALMIGRATE_"):
                if key not in DEFAULTS:
                    raise UsageError(_unknown(key), hint="Fix its name, or remove it.")
                values[key] = value
        return cls(
            directory=directory,
            lock_timeout_s=_seconds(values, "DUALMIGRATE_LOCK_TIMEOUT_S"),
            lock_lease_s=_seconds(values, "DUALMIGRATE_LOCK_LEASE_S", minimum=1.0),
            postgres_uri=values["DUALMIGRATE_POSTGRES_URI"],
            postgres_lock_timeout_s=_seconds(
                values, "DUALMIGRATE_POSTGRES_LOCK_TIMEOUT_S", maximum=LONGEST_S
            ),
            postgres_lock_retries=_times(values, "DUALMIGRATE_POSTGRES_LOCK_RETRIES"),
            postgres_statement_timeout_s=_limit_or_none(
                values, "DUALMIGRATE_POSTGRES_STATEMENT_TIMEOUT_S"
            ),
            mongo_max_time_s=_seconds(
                values, "DUALMIGRATE_MONGO_MAX_TIME_S", maximum=LONGEST_S
            ),
            batch_seconds=_seconds(values, "DUALMIGRATE_BATCH_SECONDS"),
            replication_lag_s=_seconds(values, "DUALMIGRATE_REPLICATION_LAG_S"),
            validators=_one_of(values, "DUALMIGRATE_VALIDATORS", VALIDATORS),
            backup=_one_of(values, "DUALMIGRATE_BACKUP", BACKUPS),
            backup_dir=_path_or_none(values, "DUALMIGRATE_BACKUP_DIR"),
            backup_max_bytes=_bytes(values, "DUALMIGRATE_BACKUP_MAX_BYTES"),
            pg_dump=_path_or_none(values, "DUALMIGRATE_PG_DUMP"),
            allow_destructive=_yes_or_no(values, "DUALMIGRATE_ALLOW_DESTRUCTIVE"),
            allow_world_writable=_yes_or_no(values, "DUALMIGRATE_ALLOW_WORLD_WRITABLE"),
            lint_ignore=_codes(values["DUALMIGRATE_LINT_IGNORE"]),
            **given,
        )

    def active_backends(
        self, available: tuple[BackendName, ...]
    ) -> tuple[BackendName, ...]:
        """Return the sides in use, of those the app has, MongoDB first."""
        active = self.active() if callable(self.active) else self.active
        active = str(active)
        if active == "both":
            return available
        if active not in available:
            words = ", ".join(repr(str(name)) for name in available)
            raise UsageError(
                f"active= says {active!r}, and this app has {words}",
                hint="Use 'postgres', 'mongo' or 'both', or a callable that returns "
                "one of them.",
            )
        return (BackendName(active),)

    @property
    def limits(self) -> Limits:
        """The time limits of the app."""
        return Limits(
            lock_timeout_s=self.postgres_lock_timeout_s,
            lock_retries=self.postgres_lock_retries,
            statement_timeout_s=self.postgres_statement_timeout_s,
            max_time_s=self.mongo_max_time_s,
        )

    def document_classes(self) -> tuple[type[Any] | str, ...]:
        """Return the classes, or their paths, whose indexes count as declared."""
        documents = self.documents
        return tuple(documents() if callable(documents) else documents)


def sides_of(db: object | None, mongo: object | None) -> tuple[BackendName, ...]:
    """Return the sides that an app has, in the order they are worked on."""
    given = {BackendName.MONGO: mongo, BackendName.POSTGRES: db}
    return tuple(name for name in BackendName if given[name] is not None)


def urls_of(values: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the URLs of databases in an app's config."""
    for key in ("SQLALCHEMY_DATABASE_URI", "MONGO_URI", "DUALMIGRATE_POSTGRES_URI"):
        yield values.get(key)
    for bind in dict(values.get("SQLALCHEMY_BINDS") or {}).values():
        yield bind.get("url") if isinstance(bind, Mapping) else bind


def _seconds(
    values: Mapping[str, Any],
    key: str,
    *,
    minimum: float = 0.0,
    maximum: int | None = None,
) -> float:
    value = values[key]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    is_long = maximum is not None and number > maximum
    if isinstance(value, bool) or not minimum <= number < float("inf") or is_long:
        bounds = f"{maximum} at most" if is_long else f"{minimum:g} or more"
        raise UsageError(
            f"{key} must be a number of seconds, {bounds}, not {value!r}",
            hint="Fix it in the app's config.",
        )
    return number


def _one_of(values: Mapping[str, Any], key: str, words: Sequence[str]) -> str:
    value = values[key]
    if value not in words:
        raise UsageError(
            f"{key} must be one of {', '.join(map(repr, words))}, not {value!r}",
            hint="Fix it in the app's config.",
        )
    return str(value)


def _path_or_none(values: Mapping[str, Any], key: str) -> str | None:
    value = values[key]
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise UsageError(
            f"{key} must be a path, not {value!r}", hint="Fix it in the app's config."
        )
    return os.fspath(value)


def _bytes(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if isinstance(value, bool) or not str(value).isdecimal():
        raise UsageError(
            f"{key} must be a number of bytes, not {value!r}",
            hint="Fix it in the app's config.",
        )
    return int(value)


def _limit_or_none(values: Mapping[str, Any], key: str) -> float | None:
    return None if values[key] is None else _seconds(values, key, maximum=LONGEST_S)


def _yes_or_no(values: Mapping[str, Any], key: str) -> bool:
    """Read a switch, which is a string in an environment variable."""
    value = values[key]
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise UsageError(
            f"{key} must be True or False, not {value!r}",
            hint="Fix it in the app's config or in the environment.",
        )
    return _WORDS[word]


def _times(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if isinstance(value, bool) or not str(value).isdecimal():
        raise UsageError(
            f"{key} must be a number of times, not {value!r}",
            hint="Fix it in the app's config.",
        )
    return int(value)


def _codes(value: Any) -> tuple[str, ...]:
    found = value.replace(",", " ").split() if isinstance(value, str) else value
    fits = isinstance(found, list | tuple | set | frozenset)
    if not fits or not all(re.fullmatch(r"DM\d{3}", str(code)) for code in found):
        raise UsageError(
            "DUALMIGRATE_LINT_IGNORE must be a list of codes such as DM124, not "
            f"{value!r}",
            hint="Fix it in the app's config.",
        )
    return tuple(sorted(map(str, found)))


def _unknown(key: str) -> str:
    known = ", ".join(sorted(DEFAULTS))
    return f"{key} is not a setting of this version; the settings are {known}"
