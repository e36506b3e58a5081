"""maxTimeMS, for the commands of one batch, or of an operation without batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import ExecutionTimeout, NetworkTimeout

from ..errors import OperationError
from ..limits import how_to_raise


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Give the commands inside so many seconds, all together; 0: no limit.

    pymongo sends with each command, as maxTimeMS, what is left of them.
    Raises OperationError when they are over.
    """
    if not seconds:
        yield
        return
    began = time.monotonic()
    try:
        with pymongo.timeout(seconds):
            yield
    except (ExecutionTimeout, NetworkTimeout) as error:
        # The server and the driver count the same time: either may be the first.
        # Before that it was another limit: of a function of the script, of the client.
        if time.monotonic() - began < seconds * 0.9:
            raise
        raise OperationError(
            f"It took longer than max_time_s, {seconds:g} s",
            hint=how_to_raise("max_time_s", "DUALMIGRATE_MONGO_MAX_TIME_S"),
        ) from error
