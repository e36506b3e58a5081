"""What the code of a user may end with, where a script's function is called.

sys.exit() does not end the command as if all were well. And what a function only
promised was not done: a coroutine that no one awaits, a generator that no one walks.
"""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from typing import Any

FAILURES = (Exception, SystemExit, CancelledError)
"""Failures of the code that raised them; a KeyboardInterrupt comes from a signal."""

_ASYNC = (inspect.iscoroutinefunction, inspect.isawaitable)
_YIELDING = (
    *(inspect.isgeneratorfunction, inspect.isasyncgenfunction),
    *(inspect.isgenerator, inspect.isasyncgen),
)


def why_undone(called: Any) -> str | None:
    """Return why calling something does nothing, as the end of a sentence; else None.

    called: a function, or what it returned, which is closed.
    """
    if any(is_one(called) for is_one in _ASYNC):
        why = "is async, and nothing awaits it: it would do nothing"
    elif any(is_one(called) for is_one in _YIELDING):
        why = "has a yield, and nothing resumes it: it would do nothing"
    else:
        return None
    if inspect.iscoroutine(called) or inspect.isgenerator(called):
        called.close()  # or Python warns that it was never awaited
    return why
