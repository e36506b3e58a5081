"""Whether an app's databases are plainly at head: the answer at each start of an app.

It takes revisions.lock, one statement in PostgreSQL and two commands in MongoDB, and
imports nothing that a migration needs. Where it is not plain, `Look` looks closer.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from .config import Config, sides_of
from .mongo.journal.glance import pair_if_applied
from .mongo.server.clients import close_at_once, own_database
from .postgres.journal.glance import heads_and_pair
from .postgres.server.engines import close_pool, engine_of
from .revisions import BackendName
from .tree.lockfile import LockLine, are_ordered, implied_by, read_lock_file


def is_plainly_at_head(
    db: SQLAlchemy | None, mongo: PyMongo | None, config: Config, *, apart: bool
) -> bool:
    """Return whether, without a doubt, nothing is pending, ahead or half done.

    apart: leave no connection behind that a fork would share: MongoDB is asked by a
    client that is closed at the end, and the pool of the engine is closed.
    Raises what reading the databases raises, and TreeError for an invalid lock file.
    """
    lines = read_lock_file(config.directory)
    if not lines or not are_ordered(lines):
        return False
    pairs: set[str] = set()
    for side in config.active_backends(sides_of(db, mongo)):
        if side is BackendName.MONGO:
            found = _mongo_pair(mongo, lines, apart=apart)
        else:
            found = _postgres_pair(db, config, lines, apart=apart)
        if found is None:
            return False
        pairs |= found
    return len(pairs) < 2


def _mongo_pair(
    mongo: PyMongo | None, lines: Sequence[LockLine], *, apart: bool
) -> set[str] | None:
    """Return the pair's id as a set of at most one; None if not plainly at head."""
    if mongo is None or mongo.db is None:
        return None
    ids = {line.id for line in lines}
    if not apart:
        return pair_if_applied(mongo.db, ids)
    own = own_database(mongo.db)
    try:
        return pair_if_applied(own, ids)
    finally:
        close_at_once(own.client)


def _postgres_pair(
    db: SQLAlchemy | None, config: Config, lines: Sequence[LockLine], *, apart: bool
) -> set[str] | None:
    """Return the same of the SQL side."""
    engine = engine_of(db, config.postgres_uri)
    options = config.alembic_options
    try:
        found = heads_and_pair(
            engine,
            version_table=options.get("version_table", "alembic_version"),
            schema=options.get("version_table_schema"),
        )
    finally:
        if apart:
            close_pool(engine)
    if found is None:
        return None
    heads, pair = found
    ids = {line.id for line in lines}
    return pair if heads <= ids and implied_by(lines, heads) == ids else None
