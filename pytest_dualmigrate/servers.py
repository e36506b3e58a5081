"""The servers of a test session, and databases of a test's own on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa
from flask import Flask
from pymongo import MongoClient

from flask_dualmigrate.embedded import EmbeddedServers
from flask_dualmigrate.embedded.config import with_driver
from flask_dualmigrate.extension import EXTENSION
from flask_dualmigrate.proving import MongoPlace, PostgresPlace


class Servers:
    """Where a session's databases are made. folder: of embedded servers."""

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedServers(folder)

    def stop(self) -> bool:
        """Let go of embedded servers; returns whether they have ended."""
        return self._embedded.stop()

    @contextmanager
    def postgres_database(self) -> Iterator[str]:
        """Yield the SQLAlchemy URL of an empty database; drop it in the end."""
        given = os.environ.get("DATABASE_URL")
        server = with_driver(given) if given else self._embedded.postgres_uri("app")
        url = sa.make_url(server)
        place = PostgresPlace(url, {})
        place.sweep()
        name = place.make()
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            place.drop(name)

    @contextmanager
    def mongo_database(self) -> Iterator[str]:
        """Yield the URI of an empty database; drop it in the end."""
        server = os.environ.get("MONGO_URI") or self._embedded.mongo_uri("app")
        with MongoClient[dict[str, Any]](server) as client:
            place = MongoPlace(client.get_default_database("app"))
            place.sweep()
            name = place.make()
            try:
                yield with_database(server, name)
            finally:
                place.drop(name)


def with_database(uri: str, name: str) -> str:
    """Return a URI of MongoDB for another database.

    The account stays where it is known: that is the database of the URI, unless it
    says otherwise. Source: "authSource" in the manual of MongoDB.
    """
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    if "@" in parts.netloc and "authSource" not in options:
        options["authSource"] = parts.path.strip("/") or "admin"
    return parts._replace(path=f"/{name}", query=urlencode(options)).geturl()


def disconnect(app: Flask) -> None:
    """Close the connections of an app's `db` and `mongo`, as far as it has them."""
    registered = app.extensions.get(EXTENSION)
    if registered is None:
        return
    if "sqlalchemy" in app.extensions:
        registered.db.session.remove()
        for engine in registered.db.engines.values():
            engine.dispose()
    if registered.mongo is not None and registered.mongo.cx is not None:
        registered.mongo.cx.close()
