"""Run benchmarks by name, on servers that it starts and stops."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from flask_dualmigrate.errors import DualMigrateError

from . import (
    at_head,
    backfill,
    backup,
    generate,
    lint,
    processes,
    restore,
    revisions,
    start,
)
from .databases import Databases, databases
from .measure import Comparison
from .report import as_json, as_text, machine, seconds

Benchmark = Callable[..., Iterator[Comparison]]

BENCHMARKS: Mapping[str, Benchmark] = {
    "start": start.run,
    "at_head": at_head.run,
    "revisions": revisions.run,
    "processes": processes.run,
    "backfill": backfill.run,
    "backup": backup.run,
    "restore": restore.run,
    "generate": generate.run,
    "lint": lint.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names, all by default; return the exit code."""
    options = _options(arguments)
    started = time.monotonic()
    try:
        with databases() as servers:
            about = machine(servers.versions())
            if not options.json:
                print(", ".join(f"{key} {value}" for key, value in about.items()))
            found = list(
                _run(servers, options.names, quick=options.quick, json=options.json)
            )
    except DualMigrateError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(as_json(found, about))
    print(f"\nTook {seconds(time.monotonic() - started)}.", file=sys.stderr)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; exits with 2 for what is wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = ", ".join(BENCHMARKS)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {known}; all of them by default"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, at the end")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, few rounds: does it run?"
    )
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no {name!r}; there are {known}")
    options.names = options.names or list(BENCHMARKS)
    return options


def _run(
    servers: Databases, names: Sequence[str], *, quick: bool, json: bool
) -> Iterator[Comparison]:
    """Run them in turn; a table is printed as soon as it is there."""
    for name in names:
        for comparison in BENCHMARKS[name](servers, quick=quick):
            if not json:
                print(f"\n{as_text(comparison)}", flush=True)
            yield comparison
