"""Recording a Mongo script's operations, without a database."""

from __future__ import annotations

from typing import Any

from alembic.script.base import Script

from ...errors import DualMigrateError, Irreversible, ScriptError
from ...ops import MongoOperations, Operation
from ...revisions import Direction
from ...runtime.user_code import FAILURES, why_undone

_MEND = "Fix the script; nothing of this revision was done."


def record(
    script: Script, direction: Direction, recorder: MongoOperations | None = None
) -> tuple[Operation, ...]:
    """Return the operations of a Mongo script's upgrade(op) or downgrade(op).

    recorder: the `op` that it is given; None: a new one. Raises Irreversible if it has
    no such function, or if its downgrade raises NotImplementedError; ScriptError if it
    raises something else.
    """
    function = getattr(script.module, direction, None)
    if function is None:
        raise _irreversible(script, f"has no {direction}() function")
    recorder = recorder or MongoOperations()
    try:
        _refuse_undone(direction, function(recorder))
    except DualMigrateError as error:
        raise ScriptError(
            f"{direction}(op) of revision {script.revision} is wrong: {error.what}",
            where=script.path,
            hint=error.hint or _MEND,
        ) from error
    except FAILURES as error:
        if isinstance(error, NotImplementedError) and direction is Direction.DOWNGRADE:
            said = f" ({error})" if str(error) else ""
            raise _irreversible(script, f"refuses its downgrade{said}") from error
        raise ScriptError(
            f"{direction}(op) of revision {script.revision} failed: "
            f"{type(error).__name__}: {error}",
            where=script.path,
            hint=_MEND,
        ) from error
    return recorder.operations


def _refuse_undone(direction: Direction, result: Any) -> None:
    why = why_undone(result)
    if why is not None:
        raise ScriptError(f"{direction}() {why}")


def _irreversible(script: Script, what: str) -> Irreversible:
    return Irreversible(
        f"Revision {script.revision} {what}, so it cannot be undone",
        where=script.path,
        hint="Write one, or choose a target above it.",
    )
