"""SQLAlchemy's errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...errors import DatabaseUnavailable


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
    said = first_line(error)
    return DatabaseUnavailable(
        f"PostgreSQL could not {doing}: {said}",
        hint=next((hint for words, hint in _HINTS if words.search(said)), _CHECK),
    )


_URLS = "DATABASE_URL (SQLALCHEMY_DATABASE_URI, DUALMIGRATE_POSTGRES_URI)"
_CHECK = f"Check {_URLS}, and that the server is running."
_HINTS = tuple(
    (re.compile(words), hint)
    for words, hint in (
        # A refused login has no SQLSTATE in psycopg: it is recognized by its text.
        (
            r'authentication failed|no password supplied|role ".*" does not exist'
            r"|Access denied for user",
            f"Check the user and the password in {_URLS}; write characters such "
            "as @ and % as %40 and %25 there.",
        ),
        (
            r'database ".*" does not exist|Unknown database',
            f"Create it, or name another one in {_URLS}.",
        ),
        (
            r"(?i)too many (connections|clients)|remaining connection slots",
            "A migration needs two connections: raise the limit of the role, of the "
            "database or of the server, or end other sessions.",
        ),
        (r"permission denied", f"Grant it, or name another role in {_URLS}."),
        (
            r"failed to resolve host",
            f"Check the host in {_URLS}; in a password, write characters "
            "such as @ and % as %40 and %25.",
        ),
    )
)


def first_line(error: Exception) -> str:
    """Return what the server said, without the statement and SQLAlchemy's links."""
    origin = getattr(error, "orig", None) or error
    is_numbered = error_number(error) is not None and len(origin.args) > 1
    text = str(origin.args[1] if is_numbered else origin).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def error_number(error: Exception) -> int | None:
    """Return the error number of MySQL or MariaDB; None for another server."""
    arguments = getattr(getattr(error, "orig", None), "args", ())
    first = arguments[0] if arguments else None
    return first if isinstance(first, int) else None


def server_words(error: Exception) -> str:
    """Return what the server said, with its DETAIL, such as the key or the view."""
    detail = server_field(error, "message_detail")
    return f"{first_line(error)} ({detail})" if detail else first_line(error)


def server_field(error: Exception, name: str) -> str | None:
    """Return a field of PostgreSQL's answer in one line; None if it has none.

    name: as in psycopg's Diagnostic, such as message_detail or message_hint.
    """
    diagnostic = getattr(getattr(error, "orig", None), "diag", None)
    text = getattr(diagnostic, name, None) or ""
    return (
        "; ".join(filter(None, map(str.strip, text.splitlines()))).rstrip(".") or None
    )


def connection_lost(error: BaseException) -> bool:
    """Return whether the connection was lost: what it was doing is then unknown."""
    return isinstance(error, DBAPIError) and error.connection_invalidated
