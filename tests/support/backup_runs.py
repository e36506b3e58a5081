"""Runs that back up, and what is read out of a backup again."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from typing import Any

import bson
from bson import json_util

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.backups import BackupStore, Manifest, layout
from flask_dualmigrate.embedded.wheels import postgres_programs
from flask_dualmigrate.results import RunResult


def run(action: Callable[..., Any] = upgrade, **options: Any) -> RunResult:
    init()
    result = action(**options)
    assert isinstance(result, RunResult)
    return result


def manifest_of(backups: BackupStore, name: str | None) -> Manifest:
    assert name is not None
    with backups.find(name) as (folder, manifest):
        folder.require_whole(manifest)
        return manifest


def documents(backups: BackupStore, name: str, db: str, coll: str) -> list[Any]:
    data = (backups.root / name / layout.mongo_data(db, coll)).read_bytes()
    return bson.decode_all(gzip.decompress(data))


def metadata(backups: BackupStore, name: str, db: str, coll: str) -> Any:
    data = (backups.root / name / layout.mongo_metadata(db, coll)).read_bytes()
    return json_util.loads(gzip.decompress(data))


def rows_of(backups: BackupStore, name: str, *more: str) -> str:
    """Return what pg_restore makes of the dump, as a script."""
    ran = subprocess.run(
        [
            str(postgres_programs() / "pg_restore"),
            "--file=-",
            *more,
            str(backups.root / name / layout.POSTGRES_DUMP),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout
