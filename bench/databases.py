"""The servers of a run, and fresh databases on them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import sqlalchemy as sa
from pymongo import MongoClient
from sqlalchemy import make_url

from flask_dualmigrate.embedded import EmbeddedServers
from flask_dualmigrate.embedded.config import with_driver


class Databases:
    """Makes databases on the two servers, and drops them.

    folder: empty, for migrations directories; it goes with the run.
    """

    def __init__(self, postgres_url: str, mongo_uri: str, folder: Path) -> None:
        self._postgres_url = make_url(postgres_url)
        self._mongo_uri = mongo_uri
        self.folder = folder

    @contextmanager
    def postgres(self) -> Iterator[str]:
        """Make an empty PostgreSQL database; yields its SQLAlchemy URL."""
        name = f"bench_{uuid4().hex}"
        self._on_postgres(f"CREATE DATABASE {name}")
        try:
            url = self._postgres_url.set(database=name)
            yield url.render_as_string(hide_password=False)
        finally:
            self._on_postgres(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def mongo(self) -> Iterator[str]:
        """Name an empty MongoDB database; yields its URI."""
        name = f"bench_{uuid4().hex}"
        try:
            yield urlsplit(self._mongo_uri)._replace(path=f"/{name}").geturl()
        finally:
            with MongoClient[dict[str, Any]](self._mongo_uri) as client:
                client.drop_database(name)

    def new_folder(self) -> Path:
        """Make an empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def versions(self) -> dict[str, str]:
        """Return the versions of both servers."""
        with MongoClient[dict[str, Any]](self._mongo_uri) as client:
            mongo = str(client.server_info()["version"])
        return {
            "PostgreSQL": self._on_postgres("SHOW server_version"),
            "MongoDB": mongo,
        }

    def _on_postgres(self, statement: str) -> str:
        """Send a statement outside of a transaction; returns its one value, if any."""
        engine = sa.create_engine(
            self._postgres_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return str(result.scalar_one()) if result.returns_rows else ""


@contextmanager
def databases() -> Iterator[Databases]:
    """Use the servers of DATABASE_URL and MONGO_URI; those not named are embedded ones.

    They are started in a temporary folder, and end with it.
    """
    folder = Path(tempfile.mkdtemp(prefix="dualmigrate-bench-"))
    try:
        with EmbeddedServers(folder / "servers") as servers:
            url, uri = os.environ.get("DATABASE_URL"), os.environ.get("MONGO_URI")
            trees = folder / "trees"
            trees.mkdir()
            yield Databases(
                with_driver(url) if url else servers.postgres_uri("postgres"),
                uri or servers.mongo_uri("bench"),
                trees,
            )
    finally:
        shutil.rmtree(folder)
