"""The contents of a backup, as listed in its manifest.json.

The manifest is written last: a folder without one is not a backup.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Self, TypeVar

from ..errors import IntegrityError
from ..revisions import BackendName, Direction

Backed = TypeVar("Backed", "BackedTable", "BackedCollection")

FORMAT = 1
"""The version of this layout; later versions are refused."""


class Scope(StrEnum):
    """How much of the databases is backed up."""

    TOUCHED = "touched"
    ALL = "all"


@dataclasses.dataclass(frozen=True)
class BackupFile:
    """One file of a backup. path: relative to its folder, with slashes."""

    path: str
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class BackedTable:
    """A table that the plan touches.

    rows: the server's estimate; 0: none. existed: False if the plan creates the table:
    a restore removes it.
    """

    schema: str
    name: str
    rows: int
    existed: bool = True


@dataclasses.dataclass(frozen=True)
class BackedCollection:
    """A collection that the plan touches. documents: how many are in the backup."""

    name: str
    documents: int
    existed: bool = True


@dataclasses.dataclass(frozen=True)
class PostgresPart:
    """The PostgreSQL part. tables: None: the whole database.

    applied: ids of the revisions applied to it.
    """

    database: str
    applied: tuple[str, ...]
    tables: tuple[BackedTable, ...] | None = None


@dataclasses.dataclass(frozen=True)
class MongoPart:
    """The MongoDB part. collections: None: the whole database.

    applied: ids of the revisions applied to it. cluster_time: seconds and increment of
    the snapshot; None: there was none, as on a standalone server.
    """

    database: str
    applied: tuple[str, ...]
    collections: tuple[BackedCollection, ...] | None = None
    cluster_time: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One backup.

    plan: ids of the revisions that the run was about to run, in order. pair_id: the
    random id stored on both sides; None: before the first run. versions: name ->
    version, of this package, of pg_dump, and of the servers.
    postgres, mongo: None if that side was not in use.
    """

    name: str
    created_at: datetime
    direction: Direction
    plan: tuple[str, ...]
    scope: Scope
    pair_id: str | None
    versions: Mapping[str, str]
    files: tuple[BackupFile, ...]
    postgres: PostgresPart | None = None
    mongo: MongoPart | None = None

    @property
    def size_bytes(self) -> int:
        """Total size of its files, without the manifest itself."""
        return sum(file.size_bytes for file in self.files)

    def as_json(self) -> str:
        """Return the text of manifest.json."""
        facts = {
            "format": FORMAT,
            "name": self.name,
            "created_at": self.created_at.isoformat(),
            "direction": str(self.direction),
            "plan": list(self.plan),
            "scope": str(self.scope),
            "pair_id": self.pair_id,
            "versions": dict(self.versions),
            "sides": {
                str(name): dataclasses.asdict(part)
                for name, part in (
                    (BackendName.POSTGRES, self.postgres),
                    (BackendName.MONGO, self.mongo),
                )
                if part is not None
            },
            "files": [dataclasses.asdict(file) for file in self.files],
        }
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str, *, name: str) -> Self:
        """Parse the text of a manifest. name: of its folder, which it must name.

        Raises IntegrityError if it is broken, or of a later version.
        """
        try:
            facts = json.loads(text)
            if facts["format"] != FORMAT:
                raise IntegrityError(
                    f"Backup {name} was made by another version: its format is "
                    f"{facts['format']!r}, and this version reads {FORMAT}",
                    hint="Use the version of Flask-DualMigrate that made it, "
                    f"{_maker(facts)}.",
                )
            return cls._of(facts, name)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"The manifest of backup {name} is invalid "
                f"({type(error).__name__}: {error})",
                hint="Use another backup; see: flask db-migrate backup list",
            ) from error

    @classmethod
    def _of(cls, facts: Mapping[str, Any], name: str) -> Self:
        if facts["name"] != name:
            raise ValueError(f"it is about {facts['name']!r}")
        created_at = datetime.fromisoformat(facts["created_at"])
        if created_at.tzinfo is None:
            raise ValueError("created_at has no time zone")
        sides = facts["sides"]
        return cls(
            name=name,
            created_at=created_at,
            direction=Direction(facts["direction"]),
            plan=tuple(map(str, facts["plan"])),
            scope=Scope(facts["scope"]),
            pair_id=_text_or_none(facts["pair_id"]),
            versions={str(key): str(v) for key, v in facts["versions"].items()},
            files=tuple(_file(each) for each in facts["files"]),
            postgres=_postgres(sides["postgres"]) if "postgres" in sides else None,
            mongo=_mongo(sides["mongo"]) if "mongo" in sides else None,
        )


def _maker(facts: Mapping[str, Any]) -> str:
    versions = facts.get("versions")
    known = versions.get("flask_dualmigrate") if isinstance(versions, dict) else None
    return str(known or "which it does not name")


def _file(facts: Mapping[str, Any]) -> BackupFile:
    path, size_bytes, sha256 = facts["path"], facts["size_bytes"], facts["sha256"]
    require_inside(path)
    if not isinstance(size_bytes, int) or len(sha256) != 64:
        raise ValueError(f"the size or the checksum of {path} is none")
    return BackupFile(path, size_bytes, sha256)


def require_inside(path: str) -> None:
    """Raise ValueError for a path that is not a plain path below its folder."""
    pure = PurePosixPath(path)
    plain = str(pure) == path and path not in ("", ".")
    if not plain or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise ValueError(f"{path!r} is not a path inside a backup")


def _postgres(facts: Mapping[str, Any]) -> PostgresPart:
    tables = facts["tables"]
    return PostgresPart(
        database=str(facts["database"]),
        applied=tuple(map(str, facts["applied"])),
        tables=None if tables is None else tuple(map(_table, tables)),
    )


def _mongo(facts: Mapping[str, Any]) -> MongoPart:
    found: Sequence[Mapping[str, Any]] | None = facts["collections"]
    time = facts.get("cluster_time")
    return MongoPart(
        database=str(facts["database"]),
        applied=tuple(map(str, facts["applied"])),
        collections=(None if found is None else tuple(map(_collection, found))),
        cluster_time=None if time is None else (int(time[0]), int(time[1])),
    )


def _table(facts: Mapping[str, Any]) -> BackedTable:
    return _typed(BackedTable(**facts))


def _collection(facts: Mapping[str, Any]) -> BackedCollection:
    return _typed(BackedCollection(**facts))


def _text_or_none(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not a string")


def _typed(item: Backed) -> Backed:
    """Return an entry once it is checked; raise ValueError if its form is wrong.

    Names are text, numbers are 0 or more, and whether it existed is true or false.
    """
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if type(value).__name__ != field.type or (type(value) is int and value < 0):
            raise ValueError(f"{field.name} cannot be {value!r}")
    return item
