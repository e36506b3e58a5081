"""Checking what the user of a MongoDB URI may do, before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pymongo.database import Database

from ...errors import DatabaseUnavailable
from ...ops import Operation
from ..journal.journal import COLLECTION
from ..journal.meta import COLLECTION as META
from ..journal.steps import STEPS
from ..journal.written_documents import TOUCHED
from ..lock.lock import COLLECTION as LOCK
from ..operations.handler import DOCUMENT_ACTIONS
from ..operations.registry import handled
from ..server.best_effort import ask
from ..server.errors import driver_errors

_JOURNAL = ("find", "insert", "update", "remove", "createIndex", "dropCollection")
"""The privileges that the journal and the asides need."""

_BESIDE: Mapping[str, tuple[str, ...]] = {
    LOCK: ("find", "insert", "update"),
    META: ("find", "insert", "update"),
    STEPS: ("find", "insert", "update", "remove"),
    TOUCHED: ("find", "insert", "update", "remove"),
}
"""What a run needs on our other collections: an account may have rights by
collection."""


def require_privileges(db: Database[Any], operations: Iterable[Operation]) -> None:
    """Raise DatabaseUnavailable if the user may not do what operations need."""
    with driver_errors("tell what its user may do"):
        asked = {"connectionStatus": 1, "showPrivileges": True}
        found = (ask(db.client.admin, asked) or {}).get("authInfo", {})
        users = found.get("authenticatedUsers")
        granted = found.get("authenticatedUserPrivileges")
        if not users or granted is None:
            return  # it read the journal without a user, or sees no privileges
        missing = [
            (action, collection)
            for action, collection in _needed(operations, _validated(db))
            if not _may(granted, action, db.name, collection)
        ]
        if not missing or not _is_enforced(db):
            return
    action, collection = missing[0]
    raise DatabaseUnavailable(
        f"The MongoDB user {users[0]['user']} has no right to {action}; nothing was "
        "changed",
        where=f"{db.name}.{collection}",
        hint=f"Grant it readWrite and dbAdmin on {db.name}.",
    )


def _validated(db: Database[Any]) -> frozenset[str]:
    """Return the collections that have a validator."""
    query = {"options.validator": {"$exists": True}}
    return frozenset(db.list_collection_names(filter=query))


def _needed(
    operations: Iterable[Operation], validated: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Yield (action, collection).

    validated: collections whose documents an undo puts back past their validator.
    """
    yield from ((action, COLLECTION) for action in _JOURNAL)
    for name, actions in _BESIDE.items():
        yield from ((action, name) for action in actions)
    for operation, handler in handled(operations):
        collection = getattr(operation, "collection", None)
        if isinstance(collection, str):
            actions = handler.actions(operation)
            if actions == DOCUMENT_ACTIONS and collection in validated:
                actions += ("bypassDocumentValidation",)
            yield from ((action, collection) for action in actions)


def _may(
    granted: Sequence[Mapping[str, Any]], action: str, db: str, collection: str
) -> bool:
    return any(
        action in privilege["actions"]
        and _covers(privilege["resource"], db, collection)
        for privilege in granted
    )


def _covers(resource: Mapping[str, Any], db: str, collection: str) -> bool:
    if resource.get("anyResource"):
        return True
    return resource.get("db") in ("", db) and resource.get("collection") in (
        "",
        collection,
    )


def _is_enforced(db: Database[Any]) -> bool:
    """Return whether the server enforces its users' roles: not all do."""
    answer = ask(db.client.admin, {"getCmdLineOpts": 1})
    if answer is None:
        return True
    security = answer["parsed"].get("security", {})
    return security.get("authorization") == "enabled" or "keyFile" in security
