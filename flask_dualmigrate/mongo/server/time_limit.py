"""maxTimeMS: what a script sets, for the commands of one batch, or of an operation
without batches; and work that the limits of the app's client are not meant for.

`socketTimeoutMS` and `timeoutMS` bound the app's own short queries. The build of an
index, or the count of a large collection, takes longer than any of them, and the server
continues with it after its client has hung up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import pymongo
from pymongo import MongoClient
from pymongo.errors import ExecutionTimeout, NetworkTimeout

from ...errors import OperationError
from ...runtime.time_limits import LONGEST_S, how_to_raise

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


@contextmanager
def limit(client: MongoClient[Any], seconds: float) -> Iterator[None]:
    """Give the commands inside this many seconds in total; 0: no limit.

    With each command pymongo sends what is left of them as maxTimeMS. Raises
    OperationError when they have run out.
    """
    if not seconds:
        with unhurried(client):
            yield
        return
    began = time.monotonic()
    try:
        with pymongo.timeout(seconds):
            yield
    except (ExecutionTimeout, NetworkTimeout) as error:
        # The server and the driver count the same time: either may be first. Before
        # that it was another limit: of a function of the script, of the client.
        if time.monotonic() - began < seconds * 0.9:
            raise
        raise OperationError(
            f"It took longer than max_time_s, {seconds:g} s",
            hint=how_to_raise("max_time_s", "DUALMIGRATE_MONGO_MAX_TIME_S"),
        ) from error


@contextmanager
def unhurried(client: MongoClient[Any]) -> Iterator[None]:
    """Let the commands inside take their time, whatever the app's client limits.

    A shorter limit around it, or inside, still applies. Source: PyMongo,
    `pymongo.timeout`, which replaces timeoutMS and socketTimeoutMS.
    """
    options = client.options
    if options.timeout is None and options.pool_options.socket_timeout is None:
        yield
        return
    with pymongo.timeout(LONGEST_S):
        yield


def takes_its_time(
    method: Callable[Concatenate[Any, Arguments], Result],
) -> Callable[Concatenate[Any, Arguments], Result]:
    """Let all commands of a method take their time, on the database that it has as _db.

    See `unhurried`.
    """

    def patient(side: Any, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
        with unhurried(side._db.client):
            return method(side, *args, **kwargs)

    return update_wrapper(patient, method)
