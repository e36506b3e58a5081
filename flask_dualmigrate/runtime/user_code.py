"""How a user's code may end when a script's function is called.

sys.exit() must not end the command as if all were well. And what a function only
promised was not done: a coroutine that is never awaited, a generator never iterated.
"""

from __future__ import annotations

import inspect
import sys
from asyncio import CancelledError
from types import FrameType, FunctionType
from typing import Any

FAILURES = (Exception, SystemExit, CancelledError)
"""Exceptions that are the code's own failures; KeyboardInterrupt is from a signal."""

_UNFINISHED = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
"""Flags of the code of functions whose call only promises."""

_ASYNC = (inspect.iscoroutinefunction, inspect.isawaitable)
_YIELDING = (
    *(inspect.isgeneratorfunction, inspect.isasyncgenfunction),
    *(inspect.isgenerator, inspect.isasyncgen),
)


def line_running_in(path: str) -> int | None:
    """Return the line of a file that is running now; None if none of it is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != path:
        frame = frame.f_back
    return None if frame is None else frame.f_lineno


def why_undone(called: Any) -> str | None:
    """Return why a call does nothing, as the end of a sentence; None if it works.

    called: a function, or what it returned, which is then closed.
    """
    if called is None or _is_plain(called):
        return None  # as nearly all are, by the thousand
    if any(is_one(called) for is_one in _ASYNC):
        why = "is async, and nothing awaits it: it would do nothing"
    elif any(is_one(called) for is_one in _YIELDING):
        why = "has a yield, and nothing resumes it: it would do nothing"
    else:
        return None
    if inspect.iscoroutine(called) or inspect.isgenerator(called):
        called.close()  # otherwise Python warns that it was never awaited
    return why


def _is_plain(called: Any) -> bool:
    """Return whether it is a function of Python that works when it is called."""
    if type(called) is not FunctionType or called.__code__.co_flags & _UNFINISHED:
        return False
    return not inspect.iscoroutinefunction(called)  # it may be marked as one
