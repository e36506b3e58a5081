"""The database that the models are compared with, and what app hooks find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, Dialect, Engine

from ...alembic_scripts.hooks import command_options
from ...tree.directory import ScriptDirectory
from .alembic_env import unconfigured
from .errors import driver_errors


class ComparedDatabase:
    """Connects, and holds what hooks find; creates engine and tree on demand.

    x_arg: what hooks get from context.get_x_argument().
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        directory: Callable[[], ScriptDirectory],
        *,
        x_arg: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._x_arg = x_arg

    @property
    def dialect(self) -> Dialect:
        return self._engine().dialect

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection; driver errors are reported as a comparison's."""
        with (
            driver_errors("be compared with the models"),
            self._engine().connect() as link,
        ):
            yield link

    def hooks(self, **given: object) -> AbstractContextManager[EnvironmentContext]:
        """Hold what the app's hooks find as `context` while the models are compared.

        given: of context.config.cmd_opts.
        """
        options = command_options(self._x_arg, **given)
        return unconfigured(self._directory(), options)
