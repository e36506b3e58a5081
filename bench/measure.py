"""Contenders for one job, timed in turn: rounds, medians, ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

Act = Callable[[], object]
Arrange = Callable[[], AbstractContextManager[Act]]


@dataclass(frozen=True)
class Contender:
    """One way to do a job.

    arrange: makes all ready, yields what is timed, tidies up; only the middle counts.
    What is timed may measure itself, such as the processor time of a child: it then
    returns the seconds as a float.
    ours: measured against the others, which are its peers.
    share: the part of the job that it does; its times are scaled up to the whole.
    """

    name: str
    arrange: Arrange
    ours: bool = False
    share: float = 1.0


@dataclass(frozen=True)
class Footprint:
    """What a job needed at most.

    growth_bytes: by how much the resident memory grew; what making ready for the job
    loads does not count. peak_bytes: the resident memory, all in all.
    longest_transaction_s: seconds from the first command of a transaction of MongoDB to
    its end; None if there was none.
    """

    growth_bytes: int
    peak_bytes: int
    longest_transaction_s: float | None = None


@dataclass(frozen=True)
class Timing:
    """What one contender took, a time a round, in the order of rounds.

    times_s: seconds, for the whole job. footprint: what it needed in a process of its
    own.
    """

    name: str
    times_s: tuple[float, ...]
    ours: bool = False
    share: float = 1.0
    footprint: Footprint | None = None

    @property
    def median_s(self) -> float:
        return statistics.median(self.times_s)

    @property
    def fastest_s(self) -> float:
        return min(self.times_s)

    @property
    def slowest_s(self) -> float:
        return max(self.times_s)


@dataclass(frozen=True)
class Comparison:
    """All contenders for one job.

    benchmark: the name on the command line. job: what was done, in words.
    documents: how many the job has, where its speed is told in documents a second.
    """

    benchmark: str
    job: str
    timings: tuple[Timing, ...]
    documents: int | None = None

    @property
    def rounds(self) -> int:
        return len(self.timings[0].times_s)

    @property
    def ours(self) -> tuple[Timing, ...]:
        return tuple(timing for timing in self.timings if timing.ours)

    def speed(self, timing: Timing) -> float | None:
        """Return documents a second."""
        return None if self.documents is None else self.documents / timing.median_s


def ratio(timing: Timing, peer: Timing) -> float:
    """Return how many times as long as its peer one took.

    The median of the rounds' own ratios: what slowed a round slowed both in it.
    """
    pairs = zip(timing.times_s, peer.times_s, strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def take_turns(contenders: Sequence[Contender], *, rounds: int) -> tuple[Timing, ...]:
    """Time each contender once a round, after a round that does not count.

    Each round begins with another one, so that none always follows the same.
    """
    times_s: list[list[float]] = [[] for _ in contenders]
    for number in range(-1, rounds):
        for place in range(len(contenders)):
            index = (place + number) % len(contenders)
            elapsed_s = _time(contenders[index])
            if number >= 0:
                times_s[index].append(elapsed_s)
    return tuple(
        Timing(contender.name, tuple(times), contender.ours, contender.share)
        for contender, times in zip(contenders, times_s, strict=True)
    )


def _time(contender: Contender) -> float:
    """Return the seconds for the whole job."""
    with contender.arrange() as act:
        # Garbage of whoever came before is not to be collected at our expense.
        gc.collect()
        started = time.perf_counter()
        measured = act()
        elapsed_s = time.perf_counter() - started
        own = measured if isinstance(measured, float) else elapsed_s
        return own / contender.share
