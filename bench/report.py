"""A run as a table for a person, or as JSON for a program."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from .measure import Comparison, Footprint, Timing, ratio

_PACKAGES = ("alembic", "sqlalchemy", "psycopg", "pymongo", "flask-dualmigrate")


def machine(servers: Mapping[str, str]) -> dict[str, str]:
    """Return what the figures depend on. servers: name -> version."""
    return {
        "CPUs": str(os.cpu_count()),
        "Python": platform.python_version(),
        **servers,
        **{name: version(name) for name in _PACKAGES},
    }


def as_json(comparisons: Sequence[Comparison], about: Mapping[str, str]) -> str:
    """Return the whole run as one JSON object; times are in seconds."""
    found = {"machine": about, "comparisons": list(map(_plain, comparisons))}
    return json.dumps(found, indent=2)


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        "benchmark": comparison.benchmark,
        "job": comparison.job,
        "rounds": comparison.rounds,
        "documents": comparison.documents,
        "contenders": [
            {
                "name": timing.name,
                "ours": timing.ours,
                "share": timing.share,
                "median_s": timing.median_s,
                "min_s": timing.fastest_s,
                "max_s": timing.slowest_s,
                "times_s": timing.times_s,
                "documents_per_s": comparison.speed(timing),
                **_footprint(timing.footprint),
                "time_of_ours": {
                    mine.name: ratio(mine, timing)
                    for mine in comparison.ours
                    if not timing.ours
                },
            }
            for timing in comparison.timings
        ],
    }


def _footprint(needed: Footprint | None) -> dict[str, Any]:
    return {} if needed is None else dataclasses.asdict(needed)


def as_text(comparison: Comparison) -> str:
    """Return one comparison as a table in words; no line end after the last."""
    rows = [_row(comparison, timing) for timing in comparison.timings]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    title = f"{comparison.benchmark}: {comparison.job} ({comparison.rounds} rounds)"
    return "\n".join([title, *lines, *_sentences(comparison)])


def _row(comparison: Comparison, timing: Timing) -> list[str]:
    cells = [
        timing.name,
        f"median {seconds(timing.median_s)}",
        f"({seconds(timing.fastest_s)} to {seconds(timing.slowest_s)})",
    ]
    speed = comparison.speed(timing)
    if speed is not None:
        cells.append(f"{speed:,.0f} documents/s")
    if any(each.footprint for each in comparison.timings):
        cells += _needs(timing.footprint)
    return cells


def _needs(needed: Footprint | None) -> list[str]:
    if needed is None:
        return ["", ""]
    growth, peak = needed.growth_bytes / 2**20, needed.peak_bytes / 2**20
    longest_s = needed.longest_transaction_s
    return [
        f"memory +{growth:.1f} to {peak:.0f} MiB",
        "" if longest_s is None else f"longest transaction {seconds(longest_s)}",
    ]


def _sentences(comparison: Comparison) -> Iterator[str]:
    for mine in comparison.ours:
        for peer in comparison.timings:
            if not peer.ours:
                yield f"  {mine.name} {_relation(comparison, mine, peer)}"


def _relation(comparison: Comparison, mine: Timing, peer: Timing) -> str:
    times = ratio(mine, peer)
    if comparison.documents is not None:
        return f"has {1 / times:.2f} times the throughput of {peer.name}"
    return f"takes {times:.2f} times as long as {peer.name}"


def seconds(value: float) -> str:
    """Return a time with its unit, to three digits."""
    if value < 1:
        milliseconds = value * 1000
        digits = 2 if milliseconds < 10 else 1 if milliseconds < 100 else 0
        return f"{milliseconds:.{digits}f} ms"
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"
