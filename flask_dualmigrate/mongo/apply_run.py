"""Calling functions of a script."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, PyMongoError

from ..errors import DualMigrateError, OperationError
from ..ops import Kind, Run
from .handler import Handler
from .steps import StepRecord, StepStatus
from .work import Bench, Work


class RunHandler(Handler[Run]):
    """Transactional: the function and its marker commit together."""

    def apply(self, operation: Run, work: Work) -> None:
        if operation.kind is Kind.TRANSACTIONAL:
            if not work.record.checkpoint.get("ran"):
                _call_in_transaction(work, operation, operation.fn, {"ran": True})
            return
        _call(work, operation, operation.fn)

    def why_not(self, operation: Run, record: StepRecord) -> str | None:
        if operation.kind is Kind.TRANSACTIONAL and not record.checkpoint.get("ran"):
            return None
        if operation.undo is None:
            return f"run({operation.label}) declares no undo="
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


def refuse_uncallable(operation: Run, bench: Bench) -> None:
    """Raise OperationError for an async function that cannot be called here."""
    functions = [fn for fn in (operation.fn, operation.undo) if fn is not None]
    if not any(map(inspect.iscoroutinefunction, functions)):
        return
    if operation.transactional:
        raise OperationError(
            f"run({operation.label}) is async, which transactional=True does not take",
            hint="Write the function with the pymongo database, without async.",
        )
    if bench.uri is None:
        raise OperationError(
            f"run({operation.label}) is async, and the URI of MongoDB is not known",
            hint="Set MONGO_URI, or write the function without async.",
        )


def _call_in_transaction(
    work: Work, operation: Run, fn: Callable[..., Any], place: dict[str, Any]
) -> None:
    def attempt(session: ClientSession) -> None:
        try:
            fn(work.bench.app_db, session)
        except (PyMongoError, DualMigrateError):
            raise  # the transaction may be tried again
        except Exception as error:
            raise _raised(operation, error) from error
        work.checkpoint(session, place, documents=0)

    work.transact(attempt)


def _call(work: Work, operation: Run, fn: Callable[..., Any]) -> None:
    """Call a function outside of a transaction; note in the record that it raised.

    Without that note the step is in doubt: a crash cannot write it.
    """
    try:
        if inspect.iscoroutinefunction(fn):
            options = work.bench.app_db.codec_options
            asyncio.run(_call_async(fn, work.bench.uri, work.db.name, options))
        else:
            fn(work.bench.app_db)
    except ConnectionFailure:
        raise  # what the function had done by then is not known
    except Exception as error:
        told = _raised(operation, error)
        work.save(error=told.what)
        if isinstance(error, PyMongoError | DualMigrateError):
            raise
        raise told from error


async def _call_async(
    fn: Callable[..., Any], uri: str | None, name: str, options: CodecOptions[Any]
) -> None:
    client: AsyncMongoClient[Any] = AsyncMongoClient(uri)
    async with client:
        await fn(client.get_database(name, codec_options=options))


def _raised(operation: Run, error: Exception) -> OperationError:
    reason = f"{type(error).__name__}: {error}"
    return OperationError(f"run({operation.label}) raised {reason}")
