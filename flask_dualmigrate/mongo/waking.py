"""Checking whether a MongoDB server is up, within a short time."""

from __future__ import annotations

from typing import Any

import pymongo
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, ExecutionTimeout

from .server.errors import driver_errors, first_line


def why_absent(db: Database[Any], timeout_s: float) -> str | None:
    """Return why there is no primary to talk to yet; None if there is one.

    timeout_s: seconds, whatever serverSelectionTimeoutMS says: it is 30 s by default.
    Raises DatabaseUnavailable if waiting does not help: wrong credentials.
    """
    with driver_errors("be reached"):
        try:
            with pymongo.timeout(timeout_s):
                hello = db.client.admin.command("hello")
        except (ConnectionFailure, ExecutionTimeout) as error:
            return first_line(error)
    if hello.get("isWritablePrimary"):
        return None
    return str(hello.get("info") or "the server is not a primary")
