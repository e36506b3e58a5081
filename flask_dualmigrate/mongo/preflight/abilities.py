"""Trying what migrations need from a server, before the first write.

Servers that speak MongoDB's protocol, such as Amazon DocumentDB and Azure Cosmos DB,
lack some features, depending on the version. A run that finds out half-way has an undo
log that the same server may refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from ...errors import DatabaseUnavailable
from ...ops import Operation
from ..journal.journal import COLLECTION as JOURNAL
from ..journal.steps import STEPS
from ..operations.indexes import PLAIN
from ..operations.registry import handled
from ..server.errors import NOT_ALLOWED, driver_errors, first_line
from ..server.transactions import transact
from ..server.views import command, drop, exact_view, native

PROBE = "_migrations_probe"
"""A collection for trying indexes, dropped at once."""

_NOBODY = {"_id": "nobody"}
_EXPRESSION = {"$expr": {"$gt": ["$_id", {"$literal": 0}]}}
_WRONG = frozenset({2, 9, 14, 67, 72, 85, 86, 197})
"""Codes of a definition that no server takes: BadValue, CannotCreateIndex and so on.
The operation itself reports them better."""

Document = dict[str, Any]


def require_abilities(db: Database[Any], *, transactions: bool) -> None:
    """Raise DatabaseUnavailable for the first thing that the server lacks.

    The commands tried match no documents, and change none. transactions: False on a
    standalone server.
    """
    view = exact_view(db)
    update: list[Document] = [{"$set": {"at": "$$NOW"}}, {"$replaceWith": "$$ROOT"}]
    with driver_errors("tell what it can do"):
        with _needed("filters by $expr, read with majority"):
            view[JOURNAL].find_one({**_NOBODY, **_EXPRESSION})
        with _needed("updates by a pipeline ($$NOW, $replaceWith)"):
            # Native: pymongo cannot read an error of this command as raw bytes.
            native(view, JOURNAL).find_one_and_update(
                {**_NOBODY, **_EXPRESSION}, update
            )
        if transactions:
            with _needed("transactions of several collections"):
                _try_transaction(view)


def require_indexes(db: Database[Any], operations: Iterable[Operation]) -> None:
    """Raise DatabaseUnavailable for the first index that the server cannot build."""
    view = exact_view(db)
    with driver_errors("tell what it can do"):
        for operation, handler in handled(operations):
            spec = handler.to_try(operation)
            if spec is not None:
                _try_index(view, spec, getattr(operation, "collection", ""))


def _try_transaction(view: Database[Any]) -> None:
    def attempt(session: Any) -> None:
        for name in (JOURNAL, STEPS):
            view[name].update_one(_NOBODY, {"$set": {"at": 0}}, session=session)

    with view.client.start_session(causal_consistency=False) as session:
        transact(session, attempt, supported=True)


def _try_index(view: Database[Any], spec: Mapping[str, Any], collection: str) -> None:
    """Build an index on an empty scratch collection. collection: the intended one."""
    special = spec.keys() - PLAIN - {"key", "name"}
    what = ", ".join(sorted(special)) or "these keys"
    with _needed(f"indexes with {what}, as {spec['name']} of {collection}"):
        try:
            command(view, {"createIndexes": PROBE, "indexes": [spec]})
        finally:
            drop(view, PROBE)


@contextmanager
def _needed(what: str) -> Iterator[None]:
    """Turn a refusal of the commands inside into DatabaseUnavailable."""
    try:
        yield
    except OperationFailure as error:
        passes = error.has_error_label("TransientTransactionError")
        if passes or error.code in NOT_ALLOWED | _WRONG:
            return  # privileges are checked elsewhere
        raise DatabaseUnavailable(
            f"This server lacks what migrations need, {what}: {first_line(error)}",
            hint="Nothing was changed. Use MongoDB 4.4 or later: some versions "
            "of Amazon DocumentDB and Azure Cosmos DB lack some of its features.",
        ) from error
