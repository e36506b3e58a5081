"""The environment of one call: the current app's, narrowed."""

from __future__ import annotations

from collections.abc import Sequence

from ..environment import Environment
from ..extension import environment_of


def parts(
    directory: str | None,
    x_arg: Sequence[str] | str | None = None,
    backend: str | None = None,
) -> Environment:
    words = [x_arg] if isinstance(x_arg, str) else list(x_arg or ())
    return environment_of(directory=directory, x_arg=words, backend=backend)
