"""Clients like the app's, but of another kind or not shared with it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pymongo import MongoClient, periodic_executor
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


def close_at_once(client: MongoClient[Any]) -> None:
    """Close a client whose threads the end of the process need not wait for."""
    client.close()
    _forget_stopped_threads()


def leave_at_once() -> None:
    """Stop the threads of all clients; the end of the process does not wait for them.

    They look every half second whether they are to stop, and pymongo joins them at the
    end, one second at most. They are daemons and do nothing more: there is nothing to
    wait for. Source: pymongo.periodic_executor.
    """
    with suppress(AttributeError):
        for reference in periodic_executor._EXECUTORS.copy():
            executor = reference()
            if executor is not None:
                executor.close()
    _forget_stopped_threads()


def _forget_stopped_threads() -> None:
    with suppress(AttributeError):
        known = periodic_executor._EXECUTORS
        found = {reference: reference() for reference in known.copy()}
        stopped = [each for each in found if getattr(found[each], "_stopped", False)]
        known.difference_update(stopped)
        # Each must outlive its reference, which calls back into `known` otherwise.
        executors = [*found.values()]
        found.clear()
        stopped.clear()
        del executors
