"""A backup brought back, beside pg_restore alone and a bare insert of raw batches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa
from bson.raw_bson import RawBSONDocument

from flask_dualmigrate import backup_create, init, restore
from flask_dualmigrate.backups import BackupFolder, layout
from flask_dualmigrate.mongo.restore.stored import StoredCollections
from flask_dualmigrate.postgres.backup.libpq import libpq_of
from flask_dualmigrate.postgres.backup.programs import find_program

from .apps import Parts, Urls, a_migrated_app, an_app
from .backfill import COLLECTION
from .backup import SERVER_MAJOR, Place, fill_mongo, fill_postgres
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns

_BARE = "bare"


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare the time that each takes to have all in the database again."""
    count, rounds = (10_000, 2) if quick else (200_000, 5)
    with databases.postgres() as url:
        place = Place(Urls(postgres=url), databases.new_folder(), count)
        fill_postgres(place)
        _back_up(place)
        contenders = [
            Contender("DualMigrate", partial(_restore, place), ours=True),
            Contender("pg_restore alone", partial(_pg_restore, place)),
        ]
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("restore", f"{count:,} rows of PostgreSQL", timings, count)
    with databases.mongo() as uri:
        place = Place(Urls(mongo=uri), databases.new_folder(), count)
        fill_mongo(place)
        _back_up(place)
        contenders = [
            Contender("DualMigrate", partial(_restore, place), ours=True),
            Contender("the same batches inserted", partial(_insert, place)),
        ]
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("restore", f"{count:,} documents of MongoDB", timings, count)


def _back_up(place: Place) -> None:
    with a_migrated_app(place.folder / "migrations", place.urls) as parts:
        parts.app.config["DUALMIGRATE_BACKUP_DIR"] = str(place.folder / "backups")
        init()
        backup_create()


@contextmanager
def _restore(place: Place) -> Iterator[Act]:
    with a_migrated_app(place.folder / "migrations", place.urls) as parts:
        parts.app.config["DUALMIGRATE_BACKUP_DIR"] = str(place.folder / "backups")
        yield partial(restore, "latest")
        _require_all(place, parts)


@contextmanager
def _pg_restore(place: Place) -> Iterator[Act]:
    """As one would call it by hand: all or nothing, over what is there."""
    program = find_program("pg_restore", SERVER_MAJOR)
    (path,) = (place.folder / "backups").glob(f"*/{layout.POSTGRES_DUMP}")
    with an_app(place.urls) as parts, parts.db.engine.connect() as connection:
        link = libpq_of(connection)
    words = [program.path, "--clean", "--if-exists", "--single-transaction"]
    words += [link.argument(), str(path)]
    yield lambda: subprocess.run(words, env=link.environment(), check=True)
    with an_app(place.urls) as parts:
        _require_all(place, parts)


@contextmanager
def _insert(place: Place) -> Iterator[Act]:
    """Read the file of the backup and insert it, with the driver's own batches."""
    (path,) = (place.folder / "backups").glob(f"*/mongo/*/{COLLECTION}.bson.gz")
    with an_app(place.urls) as parts:
        parts.mongo_db.drop_collection(_BARE)
        with BackupFolder.open(path.parents[2]) as folder:
            manifest = folder.manifest()
            assert manifest is not None
            stored = StoredCollections(folder, manifest)

            def insert() -> None:
                bare = parts.mongo_db[_BARE]
                for batch in stored.batches(stored.all[COLLECTION]):
                    bare.insert_many(map(RawBSONDocument, batch))

            yield insert
        assert parts.mongo_db[_BARE].count_documents({}) == place.count
        parts.mongo_db.drop_collection(_BARE)


def _require_all(place: Place, parts: Parts) -> None:
    """See that all is there again, once."""
    if place.urls.postgres is None:
        there = parts.mongo_db[COLLECTION].count_documents({})
    else:
        with parts.db.engine.connect() as connection:
            query = sa.text("SELECT count(*) FROM item")
            there = connection.execute(query).scalar_one()
    assert there == place.count
