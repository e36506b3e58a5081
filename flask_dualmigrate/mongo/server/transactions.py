"""Transactions: whether a server has them, how long they may live, and ending those of
a dead client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from ...errors import OperationError
from ...runtime.crashpoints import around, reached
from .best_effort import ask

Result = TypeVar("Result")

_ENDED = (251, 290)
"""NoSuchTransaction and TransactionExceededLifetimeLimitSeconds."""

_LIFETIME = "transactionLifetimeLimitSeconds"
_LIFETIME_S = 60.0
"""Its default, for a server that does not report it."""

_SHORTEST_S = 1.0
"""Its minimum: a shorter transaction was ended for another reason."""


class TransactionTooLong(OperationError):
    """The server ended a transaction for its age, as it would the next one.

    share: the part of the work that it would have had time for.
    """

    def __init__(self, took_s: float, limit_s: float) -> None:
        super().__init__(
            f"It took {took_s:.0f} s in one transaction, and the server ends each one "
            f"after {limit_s:g} s ({_LIFETIME})",
            hint="Make it do less at a time: a smaller batch_size, "
            "op.update or op.transform instead of a function that does everything at "
            f"once, or op.run without transactional=True. Or raise {_LIFETIME} on the "
            "server.",
        )
        self.share = limit_s / took_s


def supports_transactions(
    db: Database[Any], hello: Mapping[str, Any] | None = None
) -> bool:
    """Return True for a replica set or a sharded cluster, False for a standalone.

    hello: the answer to that command, if it is known.
    """
    hello = db.client.admin.command("hello") if hello is None else hello
    return "setName" in hello or hello.get("msg") == "isdbgrid"


@around("mongo.transaction")
def transact(
    session: ClientSession,
    attempt: Callable[[ClientSession], Result],
    *,
    supported: bool,
    **options: Any,
) -> Result:
    """Commit what `attempt` does, once; it may be called several times.

    supported: False on a standalone server, where each write stands alone.
    options: as with_transaction takes them.
    Raises TransactionTooLong if the server ended it for its age: it would end the next
    attempt too.
    """
    if not supported:
        return attempt(session)
    took_s = 0.0

    def to_commit(inner: ClientSession) -> Result:
        nonlocal took_s
        _refuse_outlived(session, took_s)  # at the COMMIT of the attempt before
        began = time.monotonic()
        try:
            result = attempt(inner)
        except OperationFailure as error:
            if error.code in _ENDED:
                _refuse_outlived(session, time.monotonic() - began)
            raise
        took_s = time.monotonic() - began
        reached("mongo.transaction.commit")
        return result

    try:
        return session.with_transaction(to_commit, **options)
    except PyMongoError as error:
        raise _reason(error) from error


def _refuse_outlived(session: ClientSession, took_s: float) -> None:
    """Raise TransactionTooLong if an attempt took longer than the server allows."""
    if took_s < _SHORTEST_S:
        return
    question = {"getParameter": 1, _LIFETIME: 1}
    told = ask(session.client.admin, question) or {}
    limit_s = float(told.get(_LIFETIME, _LIFETIME_S))
    if took_s >= limit_s:
        raise TransactionTooLong(took_s, limit_s)


def _reason(error: PyMongoError) -> PyMongoError:
    """Return why the attempts failed whose time pymongo reports as over.

    Source: MongoDB specifications, transactions-convenient-api, "timeouts".
    """
    reason = error.__cause__
    return reason if error.timeout and isinstance(reason, PyMongoError) else error


def kill_sessions(db: Database[Any], session_ids: Sequence[Mapping[str, Any]]) -> None:
    """End what sessions are still doing on the server, with their open transactions.

    A client that was killed leaves its transaction open for up to 60 seconds; anyone
    who writes the same documents meanwhile meets a write conflict, and retries for two
    minutes. So a server that refuses this costs time.
    Source: MongoDB manual, killSessions.
    """
    ask(db.client.admin, {"killSessions": list(map(dict, session_ids))})
