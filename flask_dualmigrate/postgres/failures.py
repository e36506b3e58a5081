"""What a script raised, as the error that is told of it."""

from __future__ import annotations

from alembic.script.base import Script
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..errors import DualMigrateError, ScriptError
from ..limits import Limits
from .errors import first_line, unavailable
from .limits import limit_error


def script_failure(
    script: Script, error: BaseException, limits: Limits
) -> DualMigrateError:
    """Return the error for what a script raised. limits: those it was run with."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return unavailable("finish a script", error)
    told = limit_error(error, limits, script)
    if told is not None:
        return told
    if isinstance(error, SQLAlchemyError):
        said = first_line(error)
    else:
        said = f"{type(error).__name__}: {error}"
    return ScriptError(
        f"The PostgreSQL script of revision {script.revision} failed: {said}",
        where=script.path,
    )
