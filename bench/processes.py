"""Small revisions on both databases, from nothing to head, as whole processes.

Each revision makes a table and adds a column to it; builds an index, and updates a
hundred documents. The peers are the two tools that do a half each, one after the other;
and a script of the bare statements that commits and records each revision in lock-step.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from pymongo import MongoClient
from sqlalchemy import make_url

from tests.support.round_trips import counted

from .apps import Urls
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns
from .start import EXTENSIONS, environment

_OURS = """
from flask_dualmigrate import DualMigrate
app.config["DUALMIGRATE_BACKUP"] = "never"
DualMigrate(app, db, mongo, "ours")
"""
_PEER = """
import flask_migrate
flask_migrate.Migrate(app, db, "peer")
"""
_ALEMBIC = '''"""{rev}

Revision ID: {rev}
Revises: {parent}
"""

import sqlalchemy as sa
from alembic import op

revision = {rev!r}
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True))
    op.add_column("{table}", sa.Column("name", sa.String(50)))


def downgrade() -> None:
    op.drop_table("{table}")
'''
_MONGO = '''"""{rev}

Revision ID: {rev}
Revises: {parent}
"""

revision = {rev!r}
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade(op):
    op.create_index("{items}", [("{table}", 1)], name="ix_{table}")
    op.update("{items}", {{}}, {{"$set": {{"{table}": 1}}}})


def downgrade(op):
    op.drop_index("{items}", "ix_{table}")
'''
_PYMONGO_MIGRATE = """
name = {rev!r}
dependencies = {parents!r}


def upgrade(db):
    db["{items}"].create_index([("{table}", 1)], name="ix_{table}")
    db["{items}"].update_many({{}}, {{"$set": {{"{table}": 1}}}})


def downgrade(db):
    db["{items}"].drop_index("ix_{table}")
"""
_BARE = """
import os, sys
import psycopg
from pymongo import MongoClient

client = MongoClient(os.environ["BENCH_MONGO"])
db = client.get_default_database()
with psycopg.connect(os.environ["BENCH_LIBPQ"], autocommit=True) as connection:
    connection.execute("CREATE TABLE version (revision text)")
    for number in range(int(sys.argv[1])):
        items, table = db[f"items_{number // 40}"], f"t{number}"
        items.create_index([(table, 1)], name=f"ix_{table}")
        items.update_many({}, {"$set": {table: 1}})
        db.version.update_one({"_id": table}, {"$set": {"done": True}}, upsert=True)
        with connection.transaction():
            connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY)")
            connection.execute(f"ALTER TABLE {table} ADD COLUMN name varchar(50)")
            connection.execute("INSERT INTO version VALUES (%s)", [table])
client.close()
"""
_DOCUMENTS = 100
_INDEXES = 40
"""Revisions on one collection: it may have 64 indexes."""


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare with the two peers, and with the bare script on a slower network."""
    for count in (2, 4) if quick else (10, 100, 500):
        place = _Place(databases, count)
        contenders = [
            Contender("DualMigrate", partial(place.contest, place.ours), ours=True),
            Contender(
                "Flask-Migrate, then pymongo-migrate",
                partial(place.contest, place.peers),
            ),
            Contender("the bare script", partial(place.contest, place.bare)),
        ]
        rounds = 1 if quick else 5 if count <= 100 else 3
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("processes", f"upgrade of {count} small revisions", timings)
    place = _Place(databases, 4 if quick else 100)
    contenders = [
        Contender(name, partial(place.contest, act, delay_s=0.001), ours=name != "bare")
        for name, act in (("DualMigrate", place.ours), ("bare", place.bare))
    ]
    timings = take_turns(contenders, rounds=1 if quick else 3)
    job = f"upgrade of {place.count} small revisions, each answer 1 ms later"
    yield Comparison("processes", job, timings)


class _Place:
    """A folder with an app for each tool, and a tree of so many revisions for each."""

    def __init__(self, databases: Databases, count: int) -> None:
        self.count = count
        self._databases = databases
        self._root = root = databases.new_folder()
        for name, more in {"ours": _OURS, "peer": _PEER}.items():
            source = EXTENSIONS + more
            (root / f"app_{name}.py").write_text(source, encoding="utf-8")
        (root / "pymongo").mkdir()
        with databases.postgres() as postgres, databases.mongo() as mongo:
            urls = Urls(postgres, mongo)
            self._call(urls, "flask", "--app", "app_ours", "db-migrate", "init")
            self._call(urls, "flask", "--app", "app_peer", "db", "init")
            ini = root / "peer" / "alembic.ini"
            ini.write_text(ini.read_text().replace("level = INFO", "level = WARN"))
            for number in range(count):
                self._write(number)
            self._call(urls, "flask", "--app", "app_ours", "db-migrate", "init")

    def _write(self, number: int) -> None:
        """Write the scripts of one revision, for all tools."""
        rev, parent = f"r{number:04}", f"r{number - 1:04}" if number else None
        names = {
            "rev": rev,
            "parent": parent,
            "parents": [parent] if parent else [],
            "table": f"t{number}",
            "items": f"items_{number // _INDEXES}",
        }
        for place, source in {
            f"ours/postgres/versions/{rev}_small.py": _ALEMBIC,
            f"ours/mongo/versions/{rev}_small.py": _MONGO,
            f"peer/versions/{rev}_small.py": _ALEMBIC,
            f"pymongo/{rev}.py": _PYMONGO_MIGRATE,
        }.items():
            text = source.format(**names)
            (self._root / place).write_text(text, encoding="utf-8")

    @contextmanager
    def contest(
        self, act: Callable[[Urls], None], *, delay_s: float = 0.0
    ) -> Iterator[Act]:
        """Make databases for an act, and check afterwards that it has done all."""
        databases = self._databases
        with (
            databases.postgres() as postgres,
            databases.mongo() as mongo,
            MongoClient[dict[str, Any]](mongo) as client,
            ExitStack() as stack,
        ):
            db = client.get_default_database()
            for number in range(0, self.count, _INDEXES):
                documents = [{"_id": each} for each in range(_DOCUMENTS)]
                db[f"items_{number // _INDEXES}"].insert_many(documents)
            urls = Urls(postgres, mongo)
            if delay_s:
                way = counted(postgres, mongo, round_trip_s=delay_s)
                trips = stack.enter_context(way)
                urls = Urls(trips.postgres.url, trips.mongo.url)
            yield partial(act, urls)
            last = self.count - 1
            items = db[f"items_{last // _INDEXES}"]
            assert items.count_documents({f"t{last}": 1}) == _DOCUMENTS

    def ours(self, urls: Urls) -> None:
        words = ("flask", "--app", "app_ours", "db-migrate", "upgrade", "--yes")
        self._call(urls, *words)

    def peers(self, urls: Urls) -> None:
        self._call(urls, "flask", "--app", "app_peer", "db", "upgrade", "-d", "peer")
        folder = str(self._root / "pymongo")
        source = "from pymongo_migrate.cli import cli; cli()"
        words = ["-c", source, "migrate", "-u", str(urls.mongo), "-m", folder]
        self._run(urls, words)

    def bare(self, urls: Urls) -> None:
        self._run(urls, ["-c", _BARE, str(self.count)])

    def _call(self, urls: Urls, module: str, *words: str) -> None:
        self._run(urls, ["-m", module, *words])

    def _run(self, urls: Urls, words: Sequence[str]) -> None:
        libpq = make_url(str(urls.postgres)).set(drivername="postgresql")
        own = {"BENCH_LIBPQ": libpq.render_as_string(hide_password=False)}
        said = subprocess.run(
            [sys.executable, *words],
            cwd=self._root,
            env=environment(urls) | own,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stdout + said.stderr
