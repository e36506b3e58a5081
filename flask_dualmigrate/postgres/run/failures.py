"""The error to report for what a script raised."""

from __future__ import annotations

from collections.abc import Sequence

from alembic.script.base import Script
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import DualMigrateError, ScriptError
from ...runtime.time_limits import Limits
from ..server.errors import server_field, server_words, unavailable
from .attempt import limit_error


def script_failure(
    script: Script, error: BaseException, limits: Limits, blockers: Sequence[str] = ()
) -> DualMigrateError:
    """Return the error for what a script raised.

    limits: those it was run with. blockers: the sessions whose lock it waited for.
    """
    told = limit_error(error, limits, script, blockers)
    if told is not None:
        return told
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return unavailable("finish a script", error)
    hint = None
    if isinstance(error, SQLAlchemyError):
        said, hint = server_words(error), server_field(error, "message_hint")
    else:
        said = f"{type(error).__name__}: {error}"
    return ScriptError(
        # The caller's report says that the revision failed.
        f"PostgreSQL script: {said}",
        where=script.path,
        hint=f"PostgreSQL's hint: {hint}." if hint else None,
    )
