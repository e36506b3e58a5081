"""The hooks that an app passes to Alembic in its options, and what is passed to them.

They get the same arguments, at the same points, as from Alembic. If one fails, the
error gives its name and location.
"""

from __future__ import annotations

import functools
import sysconfig
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Index, Table, UniqueConstraint

from ..errors import DualMigrateError, ScriptError, UsageError

_IN_A_RUN = "on_version_apply"
_HOOKS = (
    *("process_revision_directives", "include_object", "include_name"),
    *("render_item", "compare_type", "compare_server_default", _IN_A_RUN),
)
_INSTALLED = tuple(
    str(Path(sysconfig.get_path(name))) for name in ("stdlib", "purelib", "platlib")
)
_KINDS: Mapping[type, str] = {
    Table: "table",
    Index: "index",
    UniqueConstraint: "unique_constraint",
}

Hook = Callable[..., Any]
Included = Callable[[Any], bool]


def with_hook_errors(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return Alembic's options with each hook wrapped, so that a failure names it.

    A failing hook raises UsageError, or ScriptError if a running script called it.
    """
    found = dict(options)
    for name in _HOOKS:
        hook = found.get(name)
        if callable(hook):
            found[name] = _naming(name, hook)
        elif name == _IN_A_RUN and hook:
            found[name] = tuple(_naming(name, each) for each in hook)
    return found


def _naming(name: str, hook: Hook) -> Hook:
    @functools.wraps(hook)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except DualMigrateError:
            raise
        except Exception as error:
            kind = ScriptError if name == _IN_A_RUN else UsageError
            said = str(error).strip().partition("\n")[0] or "no message"
            raise kind(
                f"The app's hook {name} failed: {type(error).__name__}: {said}",
                where=_place(error),
                hint="Fix the hook; --debug shows the traceback.",
            ) from error

    return call


def _place(error: Exception) -> str:
    """Return the file and line of the innermost frame in the app's own code."""
    frames = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(
        error.__traceback__
    )
    own = [each for each in frames if not each.filename.startswith(_INSTALLED)]
    last = (own or frames)[-1]
    return f"{last.filename}:{last.lineno}"


def callbacks(*given: Any) -> tuple[Hook, ...]:
    """Return the callbacks in several on_version_apply options as one tuple.

    given: for each option, one callable or several.
    """
    found: list[Hook] = []
    for each in given:
        found += [each] if callable(each) else each or ()
    return tuple(found)


def includes(options: Mapping[str, Any]) -> Included:
    """Return a function that says whether the app compares a table or index.

    It calls the app's include_object as autogenerate does for what the models have.
    """
    include: Hook | None = options.get("include_object")

    def included(item: Any) -> bool:
        return include is None or bool(
            include(item, item.name, _KINDS[type(item)], False, None)
        )

    return included


def command_options(x_arg: Sequence[str] = (), **given: Any) -> Namespace:
    """Return what hooks and scripts see as `context.config.cmd_opts`.

    x_arg: what context.get_x_argument() reads. given: the running command's options.
    """
    default = {"autogenerate": False, "sql": False, "tag": None}
    return Namespace(x=list(x_arg), **{**default, **given})
