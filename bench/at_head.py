"""An app that starts with auto_upgrade=True, and has nothing to upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from flask_dualmigrate import init, stamp

from .apps import Parts, Urls, a_migrated_app, add_dualmigrate, an_app
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns
from .peers import flask_migrate_tree, flask_migrate_upgrade
from .trees import write_pairs


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare at three sizes of the tree, on both databases and on PostgreSQL alone."""
    for count in (1, 50) if quick else (1, 50, 300):
        with databases.postgres() as postgres_url, databases.mongo() as mongo_uri:
            root = databases.new_folder()
            urls = Urls(postgres_url, mongo_uri)
            bring_to_head(root, count, urls)
            yield from _compare(root, count, urls, rounds=4 if quick else 25)


def bring_to_head(root: Path, count: int, urls: Urls) -> None:
    """Make a tree of so many revisions for us and one for Flask-Migrate, and stamp."""
    with a_migrated_app(root / "ours", urls) as parts:
        init()
        write_pairs(root / "ours", count)
        init()
        stamp()
        scripts = root / "ours" / "postgres" / "versions"
        flask_migrate_tree(parts, root / "peer", scripts)


def _compare(
    root: Path, count: int, urls: Urls, *, rounds: int
) -> Iterator[Comparison]:
    noun = "revision" if count == 1 else "revisions"
    alone = Urls(urls.postgres)
    for sides, used in (("both databases", urls), ("PostgreSQL alone", alone)):
        contenders = [
            Contender(
                "DualMigrate, auto_upgrade=True",
                partial(_auto_upgrade, root / "ours", used),
                ours=True,
            ),
            Contender("the bare statements", partial(_bare_statements, used)),
        ]
        if used is alone:
            upgrade = partial(_flask_migrate, root / "peer", used)
            contenders.append(Contender("Flask-Migrate, upgrade()", upgrade))
        timings = take_turns(contenders, rounds=rounds)
        yield Comparison("at_head", f"{count} {noun}, {sides}", timings)


@contextmanager
def _auto_upgrade(root: Path, urls: Urls) -> Iterator[Act]:
    with an_app(urls) as parts:
        settings = {"active": urls.active, "auto_upgrade": True}
        yield partial(add_dualmigrate, parts, root, **settings)


@contextmanager
def _flask_migrate(root: Path, urls: Urls) -> Iterator[Act]:
    with an_app(urls) as parts:
        yield partial(flask_migrate_upgrade, parts, root)


@contextmanager
def _bare_statements(urls: Urls) -> Iterator[Act]:
    with an_app(urls) as parts:
        yield partial(_ask, parts, with_mongo=urls.mongo is not None)


def _ask(parts: Parts, *, with_mongo: bool) -> None:
    """Read version and journal, on connections that are made for it."""
    with parts.db.engine.connect() as connection:
        for table in ("alembic_version", "dualmigrate_journal"):
            connection.execute(sa.text(f"SELECT * FROM {table}")).all()
    parts.db.engine.dispose()
    if with_mongo:
        list(parts.mongo_db["_migrations"].find({}, {"history": False}))
