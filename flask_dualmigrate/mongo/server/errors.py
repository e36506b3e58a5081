"""pymongo's errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from ...errors import DatabaseUnavailable, LockLost

NOT_ALLOWED = frozenset({13, 18, 8000})
"""Codes of refused rights: Unauthorized, AuthenticationFailed, AtlasError."""


@contextmanager
def driver_errors(doing: str) -> Iterator[None]:
    """Turn what the driver raises into DatabaseUnavailable; `doing` completes
    "MongoDB could not …"."""
    try:
        yield
    except ConnectionFailure as error:
        raise unreachable(error) from error
    except (OperationFailure, ConfigurationError) as error:
        raise DatabaseUnavailable(
            f"MongoDB could not {doing}: {first_line(error)}",
            hint="Check the user and its roles in MONGO_URI.",
        ) from error
    except PyMongoError as error:
        raise DatabaseUnavailable(
            f"MongoDB could not {doing}: {first_line(error)}"
        ) from error


def unreachable(error: PyMongoError) -> DatabaseUnavailable:
    """Return the error for a server that does not answer."""
    said = first_line(error)
    hint = "Check MONGO_URI, and that the server is running."
    if "uthentication failed" in said:
        hint = (
            "Check the user, the password and the authSource in MONGO_URI; write "
            "characters such as @ and % as %40 and %25 there."
        )
    return DatabaseUnavailable(f"MongoDB cannot be reached: {said}", hint=hint)


def first_line(error: PyMongoError) -> str:
    """Return what an error says, without the topology that pymongo appends."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    for tail in (", full error:", " (configured timeouts:", ", Timeout:"):
        text = text.split(tail)[0]
    return text.strip().rstrip(".")


def lock_lost(token: int) -> LockLost:
    """Return the error for a write that a later holder of the lock has shut out."""
    return LockLost(
        "Another run has taken over the migration of MongoDB",
        where=f"fencing token {token}",
        hint="Nothing was written after that; see flask db-migrate status.",
    )
