"""Runs of Run.migrate() on two fakes whose stores survive each process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flask import Flask

from flask_dualmigrate.backend import Backend, State
from flask_dualmigrate.config import Config
from flask_dualmigrate.environment import Environment
from flask_dualmigrate.revisions import BackendName, Direction, Step
from flask_dualmigrate.run.executor import StepResult

from .fakes import OPERATIONS, Calls, FakeMongo, FakePostgres, Killed, Store
from .trees import BOTH, MONGO, POSTGRES, line_of


class Rehearsal:
    """A tree of revisions in line, and the two stores that they are applied to."""

    def __init__(self, root: Path, ids: Sequence[str]) -> None:
        self.directory = line_of(root, *ids).load()
        self.stores = {name: Store() for name in BOTH}

    def run(
        self,
        target: str,
        direction: Direction,
        calls: Calls | None = None,
        *,
        sides: Sequence[BackendName] = BOTH,
        on_step: Callable[[Step], None] | None = None,
        cannot_undo: str | None = None,
        unknown_after_commit: bool = False,
        noted: tuple[str, ...] = (),
    ) -> tuple[StepResult, ...]:
        """Migrate, as one process would."""
        calls = calls or Calls()
        mongo = FakeMongo(self.stores[MONGO], calls)
        mongo.cannot_undo = cannot_undo
        mongo.noted = noted
        postgres = FakePostgres(self.stores[POSTGRES], calls)
        postgres.unknown_after_commit = unknown_after_commit
        made: dict[BackendName, Backend] = {MONGO: mongo, POSTGRES: postgres}
        env = self._environment({name: made[name] for name in sides}, on_step)
        return env.run.migrate(target, direction)

    def _environment(
        self,
        backends: dict[BackendName, Backend],
        on_step: Callable[[Step], None] | None,
    ) -> Environment:
        unused: Any = None
        env = Environment(
            Flask("rehearsal"),
            unused,
            unused,
            Config(self.directory.root),
            on_step=on_step,
        )
        env.__dict__.update(
            directory=self.directory, backends=backends, in_scope=tuple(backends)
        )
        return env

    def kill(self, target: str, direction: Direction, *, at: str) -> None:
        """Migrate, and die just before a call that is named."""
        rehearsed = copy.deepcopy(self.stores)
        counting = _Counting(at)
        try:
            self.run(target, direction, counting)
        except Killed:
            return
        self.stores = rehearsed
        raise AssertionError(f"{at} is not called")

    def states(self) -> dict[BackendName, State]:
        return {
            MONGO: FakeMongo(self.stores[MONGO], Calls()).read(),
            POSTGRES: FakePostgres(self.stores[POSTGRES], Calls()).read(),
        }

    def stands(self) -> dict[BackendName, set[str]]:
        """Return the revisions that each side has."""
        return {name: set(state.applied) for name, state in self.states().items()}

    def open(self) -> list[str]:
        """Return the attempts that are open, and operations that no attempt owns."""
        entries = [
            f"{name} {entry.revision}"
            for name, state in self.states().items()
            for entry in state.open_entries()
        ]
        marked = {key for key, done in self.stores[MONGO].done.items() if done}
        return entries + sorted(marked - {entry.split()[1] for entry in entries})

    def snapshot(self) -> dict[BackendName, tuple[set[str], list[str]]]:
        """Return each side's revisions and its data."""
        return {
            name: (ids, sorted(self.stores[name].data))
            for name, ids in self.stands().items()
        }

    def expected(self, *ids: str) -> dict[BackendName, tuple[set[str], list[str]]]:
        """Return the snapshot of a run to these revisions in which nothing happened."""
        operations = [f"{key}.{number}" for key in ids for number in range(OPERATIONS)]
        return {
            MONGO: (set(ids), sorted(operations)),
            POSTGRES: (set(ids), sorted(ids)),
        }


class _Counting(Calls):
    """Dies just before the call of a name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def change(self, name: str, change: Callable[[], object]) -> None:
        if name == self._name:
            raise Killed
        super().change(name, change)
