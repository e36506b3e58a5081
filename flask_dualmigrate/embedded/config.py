"""The two URIs of an app: from the environment, or those of embedded servers."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .servers import EmbeddedServers

if TYPE_CHECKING:
    from flask import Flask

_SIDES = ("postgres", "mongo", "both")
_DRIVER = "postgresql+psycopg://"


def configure(app: Flask, *, active: str = "both", database: str = "app") -> None:
    """Set ``SQLALCHEMY_DATABASE_URI`` and ``MONGO_URI`` of an app.

    active: "postgres", "mongo" or "both"; the other side is neither configured
        nor started.
    database: the name of the database on an embedded server; created if missing.

    The environment variables ``DATABASE_URL`` and ``MONGO_URI`` win. A side without
    its variable gets an embedded server under ``app.instance_path``, which this
    process then shares until it exits.
    Raises UsageError for any other `active`, EmbeddedServerError if a server does
    not start.
    """
    if active not in _SIDES:
        raise UsageError(
            f"active is {active!r}", hint='Use "postgres", "mongo" or "both".'
        )
    if active != "mongo":
        url = os.environ.get("DATABASE_URL")
        app.config["SQLALCHEMY_DATABASE_URI"] = (
            with_driver(url) if url else _servers_of(app).postgres_uri(database)
        )
    if active != "postgres":
        app.config["MONGO_URI"] = os.environ.get("MONGO_URI") or _servers_of(
            app
        ).mongo_uri(database)


def with_driver(url: str) -> str:
    """Add psycopg 3 to a PostgreSQL URL that names no driver; return others unchanged.

    Hosting platforms provide ``postgres://``, which SQLAlchemy rejects, and
    ``postgresql://``, for which it uses psycopg2.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in ("postgres", "postgresql"):
        return _DRIVER + rest
    return url


def _servers_of(app: Flask) -> EmbeddedServers:
    return _servers_in(Path(app.instance_path).resolve())


@cache
def _servers_in(folder: Path) -> EmbeddedServers:
    """Return one object per folder, so that an app created many times is one user."""
    return EmbeddedServers(folder)
