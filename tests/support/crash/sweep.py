"""Visiting crash points: kill there, run again, compare with a run without a crash."""

from __future__ import annotations

import dataclasses
import random
import re
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from tests.support.crash.runs import Groups, Runs
from tests.support.crash.world import World, first_difference
from tests.support.nursery import KILLED, Nursery

RECOVERY_CAP_S = 60.0
_IN_DOUBT = re.compile(r"Step (\d+) of revision (\w+) is in doubt")


@dataclasses.dataclass
class Figures:
    """What a sweep did.

    stood_for: the pairs of points that leave the same behind as those it visited, and
    those. slowest_s: the longest run after a crash, in seconds.
    """

    points: int = 0
    pairs: int = 0
    stood_for: int = 0
    decided: int = 0
    slowest_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.points} crash points, {self.pairs} ordered pairs that stand for "
            f"{self.stood_for}, {self.decided} steps in doubt decided, "
            f"slowest recovery {self.slowest_s:.2f} s; "
            "lost 0, doubled 0"
        )


class Sweep:
    """One command that is killed, again and again, on databases put back each time.

    words: the command; first, after: those to run before it, the last one killed at
    `killed_at` where that is given; then: the one to run after it, which shows what it
    left.
    fails_first: its script fails, as long as the file `fail` is there; the sweep kills
    it on that way, then lets it succeed. done: what the command says where an earlier
    one has done its work. active: the sides in use; of `after`: active_before. edit:
    the scripts to be edited before the command is run, and what is added to them.
    config: more of the app's. own: the names of points that are to be killed here.
    """

    def __init__(
        self,
        nursery: Nursery,
        world: World,
        root: Path,
        words: Sequence[str],
        *,
        first: Sequence[str] = (),
        after: Sequence[str] = (),
        killed_at: str = "",
        then: Sequence[str] = (),
        fails_first: bool = False,
        done: str = "",
        active: str = "both",
        active_before: str = "",
        edit: tuple[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        own: Set[str] = frozenset(),
    ) -> None:
        self.figures, self.own = Figures(), own
        self._world, self._words = world, tuple(words)
        self._root, self._fails_first = root, fails_first
        self._then, self._done = tuple(then), done
        before = active_before or active
        self._runs = Runs(nursery, world, root, active=before, config=config)
        if first:
            assert self._runs.run(first) == 0, self._runs.said()
        if after:
            code = self._runs.run(after, crash_at=killed_at)
            assert code == (KILLED if killed_at else 0), self._runs.said()
        self._runs.active = active
        if edit is not None:
            pattern, more = edit
            for path in root.glob(pattern):
                with path.open("a", encoding="utf-8") as file:
                    file.write(more)
        world.keep()
        self.groups = self._undisturbed()
        self.points = [point for group in self.groups for point in group]

    def _undisturbed(self) -> Groups:
        """Run without a crash; remember the results, return its points, see `alike`.

        The databases are as they were kept.
        """
        self._make_fail()
        groups = self._logged()
        self._finish()
        self._results = [self._world.holds()]
        if self._fails_first:
            self._let_succeed()
            self._results.append(self._world.holds())
        return groups

    def visit_pairs(
        self, firsts: Groups, *, every: int = 1, some: random.Random | None = None
    ) -> None:
        """Crash once for each group of points, and again for groups of the recovery.

        every: of those of the recovery, every so many, and each time others; some:
        two of them, by chance, or as many as there are.
        """
        for number, first in enumerate(firsts):
            recovery = self.visit(first[-1], log=True)
            seconds = recovery[number % every :: every]
            if some:
                seconds = some.sample(seconds, min(2, len(seconds)))
            for second in seconds:
                self.visit(first[-1], second[-1])
                self.figures.stood_for += len(first) * len(second)
            print(f"{number + 1} of {len(firsts)}: {self.figures}", flush=True)

    def visit(
        self, first: str, second: str | None = None, *, log: bool = False
    ) -> Groups:
        """Crash at a point, at another one while recovering from that, and recover.

        Returns the points of the recovery, if they are to be logged.
        """
        self._prepare()
        self._crash(first)
        if second is not None:
            self._crash(second)
        began = time.monotonic()
        groups = self._recover(log=log)
        took_s = time.monotonic() - began
        assert took_s < RECOVERY_CAP_S, f"{first}, {second}: {took_s} s"
        self.figures.slowest_s = max(self.figures.slowest_s, took_s)
        self._finish()
        self._compare(0, first, second)
        if self._fails_first and second is None:
            self._let_succeed()
            self._compare(1, first, second)
        if second is None:
            self.figures.points += 1
        else:
            self.figures.pairs += 1
        return groups

    def _prepare(self) -> None:
        self._world.put_back()
        self._make_fail()

    def _make_fail(self) -> None:
        if self._fails_first:
            (self._root / "fail").touch()

    def _finish(self) -> None:
        if self._then:
            assert self._runs.run(self._then) == 0, self._runs.said()

    def _let_succeed(self) -> None:
        (self._root / "fail").unlink()
        code = self._runs.run(self._words)
        assert code == 0, self._runs.said()

    def _crash(self, point: str) -> None:
        code = self._runs.run(self._words, crash_at=point)
        # Where an earlier crash left a step in doubt, it ends before that point.
        reached = code in (KILLED, 3) or self._was_done()
        assert reached, f"{point} was not reached: {code} {self._runs.said()}"

    def _was_done(self) -> bool:
        """Return whether a command found that another one had done its work."""
        return bool(self._done) and self._done in self._runs.said()

    def _recover(self, *, log: bool) -> Groups:
        """Run until it is done; decide what a crash left in doubt as a person would."""
        groups: Groups = []
        wanted = 1 if self._fails_first else 0
        for _ in range(3):
            code = self._runs.run(self._words, log=log)
            groups += self._runs.visited()
            if code == wanted or self._was_done():
                return groups
            assert code == 3, self._runs.said()
            self._decide()
        raise AssertionError(self._runs.said())

    def _decide(self) -> None:
        """Look whether the function of the step in doubt did its work, and say so."""
        found = _IN_DOUBT.search(self._runs.said())
        assert found, self._runs.said()
        step, revision = found.groups()
        answer = "--done" if self._world.has_changed("calls", "unsafe") else "--retry"
        code = self._runs.run(("repair", revision, "--step", step, answer))
        assert code == 0, self._runs.said()
        self.figures.decided += 1

    def _compare(self, phase: int, first: str, second: str | None) -> None:
        found = first_difference(self._world.holds(), self._results[phase])
        assert found is None, f"After {first}, {second}: {found}\n{self._runs.said()}"

    def _logged(self) -> Groups:
        wanted = 1 if self._fails_first else 0
        assert self._runs.run(self._words, log=True) == wanted, self._runs.said()
        return self._runs.visited()
