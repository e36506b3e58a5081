"""What the environment says: which database this process uses, and where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, cast, get_args

DbType = Literal["postgres", "mongo", "both"]

MIGRATIONS = Path(__file__).parent / "migrations"

# The documents existed before the tables, so their collections kept their names.
# A table that is not listed has a collection of its own name.
COLLECTIONS = {
    "users": "user",
    "item_types": "type",
    "items": "item",
    "locations": "location",
    "logs": "activity_logs",
}
FIELDS = {"logs.timestamp": "created_at"}

_AUTO_UPGRADE: dict[str, bool | Literal["check"]] = {
    "true": True,
    "check": "check",
    "false": False,
}


def get_db_type() -> DbType:
    """Say which database this process uses: `DB_TYPE`, read afresh each time.

    With "both", migrations run on both sides and the repositories use PostgreSQL.
    Raises ValueError naming the value that is none of the three.
    """
    value = os.environ.get("DB_TYPE", "postgres")
    if value not in get_args(DbType):
        raise ValueError(
            f"DB_TYPE is {value!r}. Set it to one of: {', '.join(get_args(DbType))}."
        )
    return cast(DbType, value)


def get_auto_upgrade() -> bool | Literal["check"]:
    """Say what this process does as it starts: `AUTO_UPGRADE`, "true" unless set.

    "true" upgrades, "check" refuses to start when revisions are pending, "false" does
    neither. Raises ValueError naming another value.
    """
    value = os.environ.get("AUTO_UPGRADE", "true")
    if value not in _AUTO_UPGRADE:
        raise ValueError(
            f"AUTO_UPGRADE is {value!r}. Set it to one of: {', '.join(_AUTO_UPGRADE)}."
        )
    return _AUTO_UPGRADE[value]


def instance_path() -> str | None:
    """Say where embedded servers keep their data; None: Flask's own instance folder."""
    folder = os.environ.get("SAMPLE_APP_INSTANCE")
    return str(Path(folder).resolve()) if folder else None
