"""Clients like the app's, but of another kind or not shared with it."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from ...errors import OperationError


def options_of(client: MongoClient[Any]) -> dict[str, Any]:
    """Return the arguments that a client was created with, for another one like it.

    The URI may not have been MONGO_URI, and options and credentials may have been
    passed separately: pymongo keeps them all, for its own copies. Raises OperationError
    if it does not. Source: MongoClient._duplicate.
    """
    try:
        options: dict[str, Any] = client._init_kwargs
    except AttributeError as error:
        raise OperationError(
            "This version of pymongo does not reveal the client's options, so "
            "no similar client can be created",
            hint="Install another version of pymongo.",
        ) from error
    return options


def own_database(app_db: Database[Any]) -> Database[Any]:
    """Return the same database through a client that only the caller uses.

    The caller closes that client. The app's own stays unopened: a client that was used
    before a fork warns in each of the children, and a closed one is useless. Source:
    "Is PyMongo fork-safe?" in the FAQ of PyMongo.
    """
    client = type(app_db.client)(**options_of(app_db.client))
    return type(app_db)(
        client,
        app_db.name,
        codec_options=app_db.codec_options,
        read_preference=app_db.read_preference,
        write_concern=app_db.write_concern,
        read_concern=app_db.read_concern,
    )
