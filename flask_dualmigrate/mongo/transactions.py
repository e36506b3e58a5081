"""Transactions: whether a server has them, and ending those of a dead client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.database import Database


def supports_transactions(db: Database[Any]) -> bool:
    """Return True for a replica set or a sharded cluster, False for a standalone."""
    hello = db.client.admin.command("hello")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def kill_sessions(db: Database[Any], session_ids: Sequence[Mapping[str, Any]]) -> None:
    """End what sessions still do on the server, their open transactions included.

    A client that was killed leaves its transaction open for up to 60 seconds; whoever
    writes the same documents meanwhile meets a write conflict.
    Source: MongoDB manual, killSessions.
    """
    db.client.admin.command("killSessions", list(map(dict, session_ids)))
