"""The path of each file of a backup, relative to its folder.

The MongoDB files have the layout of `mongodump --gzip --out=mongo`, so that
`mongorestore --gzip mongo` can read them.
Source: mongodb/mongo-tools, mongodump/prepare.go (outputPath) and
mongorestore/filepath.go: with --gzip the metadata must be compressed too.
"""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote_plus

MANIFEST = "manifest.json"
POSTGRES_DUMP = "postgres/dump.pgc"
POSTGRES_SCHEMA = "postgres/schema.sql"
SQLITE_FILE = "postgres/database.sqlite"
"""Replaces both if the SQL side is an SQLite file."""

BUCKETS = "system.buckets."
"""Prefix of the collection that stores the documents of a time series."""

_LONGEST = 238
_KEPT = 208
"""Maximum bytes of an escaped name, so that it fits into 255 with its suffix."""


def mongo_data(database: str, collection: str) -> str:
    """Return the path of a collection's documents: a sequence of BSON documents."""
    return f"mongo/{database}/{_escaped(collection)}.bson.gz"


def mongo_metadata(database: str, collection: str) -> str:
    """Return the path of its options and indexes, as Extended JSON."""
    return f"mongo/{database}/{_escaped(collection)}.metadata.json.gz"


def _escaped(collection: str) -> str:
    """Return a collection's name as mongodump writes it in file names.

    A long name is cut and made unique by a hash; the full name is in the metadata.
    """
    escaped = quote_plus(collection, safe="")
    if len(escaped) <= _LONGEST:
        return escaped
    digest = hashlib.sha1(collection.encode(), usedforsecurity=False).digest()
    words = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return f"{escaped[:_KEPT]}%24{words}"
