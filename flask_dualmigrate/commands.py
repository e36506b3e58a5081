"""What `flask` finds through its entry point at each start, used or not.

It imports nothing that takes time: see `cli`.
"""

from __future__ import annotations

from typing import Any

from .cli import COMMAND, LoadingGroup, make_group


def _environment_of(**arguments: Any) -> Any:
    from .extension import environment_of  # a command runs now

    return environment_of(**arguments)


flask_command = make_group(COMMAND, _environment_of, LoadingGroup)
"""`flask db-migrate`, before there is an app."""
