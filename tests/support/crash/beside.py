"""Killing commands beside an app that writes, and going on with one side of the two."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.support.crash.account import Stands, faults, mongo_stands, postgres_stands
from tests.support.crash.app import App
from tests.support.crash.runs import Groups, Runs
from tests.support.crash.world import World
from tests.support.nursery import KILLED, Nursery

Words = tuple[str, ...]

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "base", "--yes")
AUTO: Words = ()
"""An app that upgrades by itself when it is created."""

REFUSED = 3
_BURST = 6


@dataclasses.dataclass(frozen=True)
class Go:
    """A command that goes on after a kill. active: the sides in use."""

    words: Words
    active: str = "both"

    def __str__(self) -> str:
        return f"{' '.join(self.words) or 'auto_upgrade'} ({self.active})"


ENDS = (Go(UP), Go(DOWN), Go(AUTO))
"""What goes on with both sides in the end."""

BETWEEN = (
    *(Go((*words, "--backend", side)) for words in (UP, DOWN) for side in ("mongo",)),
    *(Go((*words, "--backend", "postgres")) for words in (UP, DOWN)),
    *(Go(AUTO, side) for side in ("mongo", "postgres")),
    Go(("repair", "r1", "--undo", "--yes")),
    *ENDS,
)
"""What may go on with one side alone before that, or with both."""


@dataclasses.dataclass(frozen=True)
class Start:
    """What is killed. before: commands that go before it, the last one killed at
    `killed_at`; fails: its PostgreSQL half does."""

    words: Words
    before: tuple[Words, ...] = ()
    killed_at: str = ""
    fails: bool = False
    active: str = "both"


@dataclasses.dataclass
class Figures:
    """What a sweep did. written: by the app, and found again."""

    visits: int = 0
    kills: int = 0
    written: int = 0
    codes: Counter[str] = dataclasses.field(default_factory=Counter)

    def __str__(self) -> str:
        codes = ", ".join(f"{n} x {code}" for code, n in sorted(self.codes.items()))
        return (
            f"{self.visits} ways on, {self.kills} kills, exit codes of what went on "
            f"with a part: {codes}; {self.written} writes of the app's; "
            "lost 0, doubled 0"
        )


class SweepBeside:
    """One command, killed beside an app, and what goes on after that by chance."""

    def __init__(
        self, nursery: Nursery, world: World, root: Path, start: Start
    ) -> None:
        self.figures = Figures()
        self._world, self._start, self._fail = world, start, root / "fail"
        self._runs = Runs(nursery, world, root)
        for words in start.before:
            killed_at = start.killed_at if words == start.before[-1] else ""
            code = self._runs.run(words, crash_at=killed_at)
            assert code == (KILLED if killed_at else 0), self._runs.said()
        world.keep()
        self._make_fail()
        code = self._runs.run(start.words, active=start.active, log=True)
        assert code == (1 if start.fails else 0), self._runs.said()
        self.groups: Groups = self._runs.visited()

    def visit(self, point: str, seed: int) -> None:
        """Kill the command at a point, and go on as chance has it, with both at last.

        The app writes before, beside and between all that.
        """
        chance = random.Random(f"{point} {seed}")
        told = [f"seed {seed}", f"{' '.join(self._start.words)} killed at {point}"]
        self._prepare()
        app = App(self._world, chance)
        app.write(_BURST)
        goes = [chance.choice(BETWEEN) for _ in range(chance.choice((1, 1, 2)))]
        is_undone = not any("downgrade" in " ".join(go.words) for go in goes)
        is_undone = is_undone and not any(map(_goes_down, self._commands()))
        kill = Go(self._start.words, self._start.active)
        for number, go in enumerate((kill, *goes)):
            crash_at = point if number == 0 else self._second(chance)
            mended = number > 0 and chance.random() < 0.5
            self._run(app, go, crash_at=crash_at, mended=mended, told=told)
            self._hold(app, told, undone=is_undone)
        self._end(app, chance.choice(ENDS), told, is_undone)
        self.figures.visits += 1
        self.figures.written += app.account.written

    def _commands(self) -> Sequence[Words]:
        return (*self._start.before, self._start.words)

    def _prepare(self) -> None:
        self._world.put_back()
        self._make_fail()

    def _make_fail(self) -> None:
        if self._start.fails:
            self._fail.touch()

    def _second(self, chance: random.Random) -> str:
        """Choose whether to kill what goes on too, and where."""
        if chance.random() < 0.5:
            return ""
        return chance.choice(chance.choice(self.groups))

    def _run(
        self, app: App, go: Go, *, crash_at: str, mended: bool, told: list[str]
    ) -> None:
        if mended:
            self._fail.unlink(missing_ok=True)
        with app.writing():
            code = self._runs.run(go.words, active=go.active, crash_at=crash_at)
        told.append(f"{go}{' killed at ' + crash_at if crash_at else ''}: {code}")
        allowed = {0, KILLED, REFUSED, *([1] if self._fail.exists() else [])}
        assert code in allowed, self._story(told)
        self.figures.kills += code == KILLED
        if not crash_at:
            self.figures.codes[f"{code}"] += 1
        app.write(_BURST)

    def _end(self, app: App, go: Go, told: list[str], is_undone: bool) -> None:
        """Go on with both sides, without a kill: that has to succeed."""
        self._fail.unlink(missing_ok=True)
        with app.writing():
            code = self._runs.run(go.words)
        told.append(f"{go}: {code}")
        assert code == 0, self._story(told)
        wanted = Stands.DOWN if _goes_down(go.words) else Stands.UP
        stand = mongo_stands(self._world), postgres_stands(self._world)
        assert stand == (wanted, wanted), f"{stand} {self._story(told)}"
        self._hold(app, told, undone=is_undone and not _goes_down(go.words))

    def _hold(self, app: App, told: list[str], *, undone: bool) -> None:
        found = faults(self._world, app.account, undone=undone)
        assert not found, "\n".join([*found, self._story(told)])

    def _story(self, told: list[str]) -> str:
        return "\n".join([*told, self._runs.said()])


def _goes_down(words: Words) -> bool:
    return words[:1] == ("downgrade",)
