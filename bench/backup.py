"""A whole database backed up, beside pg_dump alone and a bare dump of raw batches."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from flask_dualmigrate import backup_create, init
from flask_dualmigrate.postgres.backup.libpq import libpq_of
from flask_dualmigrate.postgres.backup.programs import find_program

from .apps import Urls, a_migrated_app, an_app
from .backfill import COLLECTION, a_document
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns

_FILL = 1_000
SERVER_MAJOR = 18


@dataclass(frozen=True)
class Place:
    """What is backed up, and a folder for what is written."""

    urls: Urls
    folder: Path
    count: int


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare the time that each takes to have all on the disk."""
    count, rounds = (10_000, 2) if quick else (200_000, 5)
    with databases.postgres() as url:
        place = Place(Urls(postgres=url), databases.new_folder(), count)
        fill_postgres(place)
        dumps = {
            "pg_dump alone, as we call it": ("--compress=1",),
            "pg_dump alone, as it comes": (),
        }
        contenders = [
            Contender("DualMigrate", partial(_backup, place), ours=True),
            *(
                Contender(name, partial(_pg_dump, place, arguments))
                for name, arguments in dumps.items()
            ),
        ]
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("backup", f"{count:,} rows of PostgreSQL", timings, count)
    with databases.mongo() as uri:
        place = Place(Urls(mongo=uri), databases.new_folder(), count)
        fill_mongo(place)
        contenders = [
            Contender("DualMigrate", partial(_backup, place), ours=True),
            Contender("raw batches into gzip -1", partial(_raw, place, pack=True)),
            Contender("raw batches into a file", partial(_raw, place, pack=False)),
        ]
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("backup", f"{count:,} documents of MongoDB", timings, count)


def fill_postgres(place: Place) -> None:
    with an_app(place.urls) as parts, parts.db.engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE item AS SELECT n AS id, 'item ' || n AS name, "
                "md5(n::text) AS word, 12.5 AS price, repeat('x', 154) AS text "
                f"FROM generate_series(1, {place.count}) n"
            )
        )


def fill_mongo(place: Place) -> None:
    with an_app(place.urls) as parts:
        for first in range(0, place.count, _FILL):
            numbers = range(first, first + _FILL)
            parts.mongo_db[COLLECTION].insert_many(map(a_document, numbers))


@contextmanager
def _backup(place: Place) -> Iterator[Act]:
    folder = place.folder / "backups"
    with a_migrated_app(place.folder / "migrations", place.urls) as parts:
        parts.app.config["DUALMIGRATE_BACKUP_DIR"] = str(folder)
        init()
        yield backup_create
    shutil.rmtree(folder)


@contextmanager
def _pg_dump(place: Place, arguments: Sequence[str]) -> Iterator[Act]:
    program = find_program("pg_dump", SERVER_MAJOR)
    with an_app(place.urls) as parts:
        with parts.db.engine.connect() as connection:
            link = libpq_of(connection)
        path = place.folder / "dump"
        words = [program.path, link.argument(), "--format=custom", *arguments]

        def dump() -> None:
            subprocess.run(
                [*words, f"--file={path}"], env=link.environment(), check=True
            )

        yield dump
    path.unlink()


@contextmanager
def _raw(place: Place, *, pack: bool) -> Iterator[Act]:
    with an_app(place.urls) as parts:
        path = place.folder / "dump"

        def dump() -> None:
            batch: Any  # bytes: PyMongo types it as a document
            with gzip.open(path, "wb", 1) if pack else path.open("wb") as file:
                for batch in parts.mongo_db[COLLECTION].find_raw_batches():
                    file.write(batch)

        yield dump
    path.unlink()
