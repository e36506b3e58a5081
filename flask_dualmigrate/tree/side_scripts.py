"""The scripts of one side of a tree, and what each says about itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from ..errors import ScriptError
from ..revisions import BackendName, Revision, Step
from ..runtime.time_limits import Limits
from ..runtime.user_code import FAILURES, why_undone
from .directory import ScriptDirectory
from .script_file import LoadedScript


class SideScripts:
    """Finds the scripts of one side.

    load: returns the tree. limits: those of the app and of the run; each script may set
    its own.
    """

    name: BackendName

    def __init__(self, load: Callable[[], ScriptDirectory], limits: Limits) -> None:
        self._load = load
        self._limits = limits

    @property
    def directory(self) -> ScriptDirectory:
        return self._load()

    def of(self, revision: Revision) -> LoadedScript:
        return self.directory.script(self.name, revision.id)

    def checksum(self, revision: Revision) -> str:
        return self.directory.checksum(self.name, revision.id)

    def limits_of(self, step: Step) -> Limits:
        script = self.of(step.revision)
        return self._limits.for_script(script.module, script.path, self.name)


def call_verify(
    script: LoadedScript,
    database: object,
    *,
    argument: str,
    reason_of: Callable[[BaseException], str],
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bool:
    """Call a script's verify function; return whether it has one.

    database: passed to it. argument: the name of that parameter, for the error.
    reason_of: describes what it raised. guard: held around the call.
    Raises ScriptError for what it raises, and if it returns False.
    """
    verify = getattr(script.module, "verify", None)
    if verify is None:
        return False
    try:
        with guard():
            result = verify(database)
    except FAILURES as error:
        name = "" if isinstance(error, Exception) else f"{type(error).__name__}: "
        raise ScriptError(
            f"verify({argument}): {name}{reason_of(error)}",
            where=script.path,
        ) from error
    why = "returned False" if result is False else why_undone(result)
    if why is not None:
        raise ScriptError(f"verify({argument}) {why}", where=script.path)
    return True
