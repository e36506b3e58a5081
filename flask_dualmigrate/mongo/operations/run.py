"""Calling functions of a script."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, PyMongoError

from ...errors import DualMigrateError, OperationError
from ...ops import Kind, Run
from ...runtime.crashpoints import around
from ...runtime.user_code import FAILURES, why_undone
from ..batches.step_under_way import Work
from ..forecast.look import Look, Told
from ..forecast.names import ANY
from ..journal.resume import in_doubt
from ..journal.step_record import StepRecord, StepStatus
from ..mongosh.statements import Part
from ..server.clients import options_of
from .handler import Handler
from .shared.async_run import call_async, is_async, refuse_models


class RunHandler(Handler[Run]):
    """Calls a function; if transactional, it commits together with its marker."""

    def apply(self, operation: Run, work: Work) -> None:
        if operation.kind is Kind.TRANSACTIONAL:
            if not work.record.checkpoint.get("ran"):
                _call_in_transaction(work, operation, operation.fn, {"ran": True})
            return
        _call(work, operation, operation.fn)

    def why_not(self, operation: Run, record: StepRecord) -> str | None:
        if operation.kind is Kind.TRANSACTIONAL and not record.checkpoint.get("ran"):
            return None
        if in_doubt(record):
            return (
                f"run({operation.label}) was interrupted, and is in doubt: decide "
                f"with `flask db-migrate repair {record.revision} --step "
                f"{record.step}` whether it is --done or to --retry"
            )
        if operation.undo is None:
            return f"run({operation.label}) has no undo="
        interrupted = record.status is StepStatus.UNDOING and record.error is None
        if operation.kind is Kind.UNSAFE and interrupted:
            return f"the undo function of run({operation.label}) was interrupted"
        return None

    def undo(self, operation: Run, work: Work) -> None:
        if operation.kind is Kind.TRANSACTIONAL:
            if operation.undo is not None and work.record.checkpoint.get("ran"):
                _call_in_transaction(work, operation, operation.undo, {})
        elif operation.undo is not None:
            _call(work, operation, operation.undo)

    def forecast(self, look: Look[Run]) -> Told:
        return Told(
            notes=[
                "what a function of the script does cannot be predicted; its "
                "effects outside this database are in no backup"
            ]
        )

    def refuse(self, operation: Run, app_db: Database[Any]) -> None:
        """Raise OperationError for an async function that cannot be called here.

        Raises UsageError if what it needs from Beanie is missing.
        """
        functions = [fn for fn in (operation.fn, operation.undo) if fn is not None]
        if not any(map(is_async, functions)):
            return
        if operation.transactional:
            raise OperationError(
                f"run({operation.label}) is async, which transactional=True does not "
                "support",
                hint="Write the function with the pymongo database, without async.",
            )
        options_of(app_db.client)
        if operation.models:
            refuse_models(operation.models)

    def reads(self, operation: Run) -> frozenset[str]:
        return ANY

    def writes(self, operation: Run) -> frozenset[str]:
        return frozenset()

    def reaches(self, operation: Run) -> str | None:
        return f"{operation.label}() may do anything"

    def actions(self, operation: Run) -> tuple[str, ...]:
        return ()

    def why_not_standalone(self, operation: Run) -> str | None:
        if operation.kind is Kind.TRANSACTIONAL:
            return "it requires a transaction"
        return None

    def statements(self, operation: Run, part: Part) -> list[str]:
        raise OperationError("it is a Python function")


@around("mongo.run")
def _call_in_transaction(
    work: Work, operation: Run, fn: Callable[..., Any], place: dict[str, Any]
) -> None:
    def attempt(session: ClientSession) -> None:
        try:
            _refuse_undone(operation, fn(work.bench.app_db, session))
        except (PyMongoError, DualMigrateError):
            raise  # the transaction may be retried
        except FAILURES as error:
            raise _raised(operation, error) from error
        work.checkpoint(session, place, documents=0)

    work.transact(attempt)


@around("mongo.run")
def _call(work: Work, operation: Run, fn: Callable[..., Any]) -> None:
    """Call a function outside of a transaction; note in the record if it raised.

    Without that note the step is in doubt: a crash cannot write it.
    """
    try:
        with work.bench.binding():
            if is_async(fn):
                call_async(fn, work.bench.app_db, models=operation.models)
            else:
                _refuse_undone(operation, fn(work.bench.app_db))
    except ConnectionFailure:
        raise  # what the function had done by then is unknown
    except FAILURES as error:
        told = _raised(operation, error)
        work.save(error=told.what)
        if isinstance(error, PyMongoError | DualMigrateError):
            raise
        raise told from error


def _refuse_undone(operation: Run, result: Any) -> None:
    """Raise OperationError for a coroutine, or a generator: nothing was done."""
    if inspect.isawaitable(result):
        said = "returned a coroutine, which did not run"
        hint = "Write the function as `async def fn(db)`, and await it in there."
    else:
        said, hint = "has a yield, and did not run", "Write it without a yield."
    if why_undone(result) is not None:
        raise OperationError(f"run({operation.label}) {said}", hint=hint)


def _raised(operation: Run, error: BaseException) -> OperationError:
    reason = f"{type(error).__name__}: {error}"
    return OperationError(f"run({operation.label}) raised {reason}")
