"""SQLAlchemy's errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import DatabaseUnavailable


@contextmanager
def driver_errors(doing: str) -> Iterator[None]:
    """Turn what the driver raises into DatabaseUnavailable; `doing` completes
    "PostgreSQL could not …"."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(
            "The engine has no connection left: a migration needs two",
            hint="Raise pool_size in SQLALCHEMY_ENGINE_OPTIONS to 2 or more.",
        ) from error
    except DBAPIError as error:
        raise unavailable(doing, error) from error
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(
            f"PostgreSQL could not {doing}: {first_line(error)}"
        ) from error


def unavailable(doing: str, error: DBAPIError) -> DatabaseUnavailable:
    """Return the error for a server that does not answer, or refuses."""
    return DatabaseUnavailable(
        f"PostgreSQL could not {doing}: {first_line(error)}",
        hint="Check DATABASE_URL (SQLALCHEMY_DATABASE_URI), and that the server runs.",
    )


def first_line(error: Exception) -> str:
    """Return what the server said, without the statement and SQLAlchemy's links."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def connection_lost(error: BaseException) -> bool:
    """Return whether the connection went away: what it was doing is unknown."""
    return isinstance(error, DBAPIError) and error.connection_invalidated
