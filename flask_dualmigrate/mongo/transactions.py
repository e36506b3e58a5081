"""Transactions: whether a server has them, and ending those of a dead client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pymongo.client_session import ClientSession
from pymongo.database import Database

from ..crashpoints import around, reached

Result = TypeVar("Result")


def supports_transactions(db: Database[Any]) -> bool:
    """Return True for a replica set or a sharded cluster, False for a standalone."""
    hello = db.client.admin.command("hello")
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

    supported: False on a standalone server, where its writes stand one by one.
    options: as with_transaction takes them.
    """
    if not supported:
        return attempt(session)

    def to_commit(inner: ClientSession) -> Result:
        result = attempt(inner)
        reached("mongo.transaction.commit")
        return result

    return session.with_transaction(to_commit, **options)


def kill_sessions(db: Database[Any], session_ids: Sequence[Mapping[str, Any]]) -> None:
    """End what sessions still do on the server, their open transactions included.

    A client that was killed leaves its transaction open for up to 60 seconds; whoever
    writes the same documents meanwhile meets a write conflict.
    Source: MongoDB manual, killSessions.
    """
    db.client.admin.command("killSessions", list(map(dict, session_ids)))
