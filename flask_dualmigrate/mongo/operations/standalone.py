"""What may run on a server that has no transactions: what can be done twice.

There a batch and its checkpoint are two writes. A crash between them lets the next run
do that batch again, so an operation must either give the same result twice, or not
meet a document again that it has written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops import CopyField, Kind, Operation, Run, Transform, Update
from ..expressions.exclusion import excludes_itself

_TWICE_LIKE_ONCE = frozenset(
    {
        *("$set", "$unset", "$min", "$max", "$addToSet"),
        *("$pull", "$pullAll", "$setOnInsert"),
    }
)
"""Operators that change nothing if repeated."""


def why_not_standalone(operation: Operation) -> str | None:
    """Return why an operation needs transactions, None if it does without.

    Adding, dropping, renaming and converting a field, and deleting, do not meet a
    document again.
    """
    match operation:
        case Update():
            return _why_not_update(operation)
        case Transform():
            return "a function must not get a document twice"
        case CopyField() if operation.overwrite:
            return "what overwrite=True keeps aside would be overwritten"
        case Run() if operation.kind is Kind.TRANSACTIONAL:
            return "it requires a transaction"
        case _:
            return None


def _why_not_update(operation: Update) -> str | None:
    if operation.keep:
        return "keep=True would keep values that are already changed"
    if operation.undo is not None and not _is_idempotent(operation.undo):
        return "its undo= does more if it runs twice"
    if excludes_itself(operation.filter, operation.update):
        return None
    if not _is_idempotent(operation.update):
        return "it does more if it runs twice"
    return None


def _is_idempotent(update: Any) -> bool:
    return isinstance(update, Mapping) and _TWICE_LIKE_ONCE.issuperset(update)
