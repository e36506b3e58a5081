"""The repositories on MongoDB, through the app's own `mongo`."""

from __future__ import annotations

from flask_pymongo import PyMongo

from ..base import Repositories
from .catalog import MongoCatalog
from .items import MongoItems
from .links import MongoLinks
from .logs import MongoLogs
from .store import Store


def make_repositories(mongo: PyMongo) -> Repositories:
    """Make all of them on one store.

    Raises RuntimeError when MONGO_URI names no database.
    """
    if mongo.db is None:
        raise RuntimeError(
            "MONGO_URI names no database. Add one: mongodb://127.0.0.1:27017/inventory"
        )
    store = Store(mongo.db)
    return Repositories(
        catalog=MongoCatalog(store),
        items=MongoItems(store),
        links=MongoLinks(store),
        logs=MongoLogs(store),
    )
