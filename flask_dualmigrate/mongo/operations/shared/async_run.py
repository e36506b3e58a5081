"""Calling a script's async functions: a separate client, and Beanie's documents.

The client has the servers and the options of the app's, and lives as long as the call:
an async client belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database

from ....errors import UsageError
from ...server.beanie import load_document
from ...server.clients import options_of

INSTALL = 'pip install "Flask-DualMigrate[beanie]"'

AsyncFunction = Callable[[AsyncDatabase[Any]], Coroutine[Any, Any, Any]]


def is_async(function: Callable[..., Any]) -> bool:
    """True if calling it gives a coroutine, also through partials and objects."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - which kind, not whether
    )


def call_async(
    function: AsyncFunction, app_db: Database[Any], *, models: Sequence[Any] = ()
) -> None:
    """Call an async function with the app's database, and wait for it.

    models: Beanie documents to initialize first.
    """

    async def call() -> None:
        client: AsyncMongoClient[Any] = AsyncMongoClient(**options_of(app_db.client))
        async with client:
            db = client.get_database(
                app_db.name,
                codec_options=app_db.codec_options,
                read_preference=app_db.read_preference,
                write_concern=app_db.write_concern,
                read_concern=app_db.read_concern,
            )
            if models:
                await _init_models(db, models)
            await function(db)

    _run(call)


def _run(call: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine to its end, in another thread if a loop runs in this one.

    The thread sees the caller's context variables, such as the current app.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(call())
        return
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1, thread_name_prefix="dualmigrate-async") as pool:
        pool.submit(context.run, lambda: asyncio.run(call())).result()


async def _init_models(db: AsyncDatabase[Any], models: Sequence[Any]) -> None:
    """Bind Beanie's documents to a database; no index is created or dropped."""
    beanie = _beanie()
    await beanie.init_beanie(
        database=db, document_models=list(models), skip_indexes=True
    )


def refuse_models(models: Sequence[Any]) -> None:
    """Raise UsageError if Beanie is missing or too old, or for a non-Beanie model.

    models: classes, or their dotted paths.
    """
    beanie = _beanie()
    kinds = (beanie.Document, beanie.View, beanie.UnionDoc)
    for model in models:
        found = model
        if isinstance(model, str):
            found = load_document(model, "op.beanie()")
        if not (isinstance(found, type) and issubclass(found, kinds)):
            raise UsageError(f"op.beanie() takes Beanie documents, not {model!r}")


def _beanie() -> Any:
    try:
        beanie = importlib.import_module("beanie")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"op.beanie() needs a package that is not installed: {error.name}",
            hint=f"Install it with: {INSTALL}",
        ) from error
    if int(beanie.__version__.partition(".")[0]) < 2:
        raise UsageError(
            f"op.beanie() needs Beanie 2 or newer, not {beanie.__version__}: older "
            "ones do not use pymongo's own async client",
            hint=f"Install it with: {INSTALL}",
        )
    return beanie
