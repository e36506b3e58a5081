"""Scratch databases on a MongoDB server."""

from __future__ import annotations

import re
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from ...errors import DatabaseUnavailable
from ...revisions import BackendName
from .names import Mark, is_scratch_name, scratch_name

MARKS = "_dualmigrate_scratch"
"""The collection that marks a database as a scratch database and names its owner."""


class MongoPlace:
    """Creates databases beside another one, with the same client, and drops them."""

    backend = BackendName.MONGO

    def __init__(self, beside: Database[Any]) -> None:
        self._beside = beside

    @property
    def client(self) -> MongoClient[Any]:
        return self._beside.client

    @property
    def server(self) -> str:
        nodes = sorted(self.client.nodes) or [("MongoDB", None)]
        return ", ".join(f"{host}:{port}" if port else host for host, port in nodes)

    def make(self) -> str:
        """Create a database that contains only its mark; return its name.

        Raises DatabaseUnavailable if the server or the account does not allow it.
        """
        name = scratch_name(self._beside.name)
        try:
            self.mark(name, Mark.own())
            # The account may write there but not, say, create an index: the first
            # script finds that out. What must be sure is that it can be dropped again.
        except PyMongoError as error:
            reason = re.split(
                r", full error| \(configured timeouts|, Timeout", str(error)
            )
            raise DatabaseUnavailable(
                f"A scratch database cannot be created on MongoDB: {reason[0]}"
            ) from error
        return name

    def mark(self, name: str, mark: Mark) -> None:
        document = {"text": mark.text()}
        marks = self.client[name][MARKS]
        marks.replace_one({"_id": "mark"}, document, upsert=True)

    def drop(self, name: str) -> None:
        assert is_scratch_name(name), name
        self.client.drop_database(name)

    def sweep(self) -> list[str]:
        """Drop the databases that killed runs left behind; return their names."""
        gone = []
        for name in self._scratches():
            found = self.client[name][MARKS].find_one({"_id": "mark"})
            mark = Mark.of(found.get("text")) if found else None
            if mark is not None and mark.is_dead():
                self.drop(name)
                gone.append(name)
        return gone

    def _scratches(self) -> list[str]:
        try:
            names = self.client.list_database_names()
        except OperationFailure:
            return []  # an account that may not list them did not create them
        return [name for name in names if is_scratch_name(name)]

    def open(self, name: str) -> Database[Any]:
        """Return a scratch database, configured like the app's own."""
        app_db = self._beside
        return type(app_db)(
            self.client,
            name,
            codec_options=app_db.codec_options,
            read_preference=app_db.read_preference,
            write_concern=app_db.write_concern,
            read_concern=app_db.read_concern,
        )
