"""Run benchmarks by name, on servers that it starts and stops."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from flask_dualmigrate.errors import DualMigrateError

from . import at_head, backfill, generate, revisions
from .databases import Databases, databases
from .measure import Comparison
from .report import as_json, as_text, machine, seconds

Benchmark = Callable[..., Iterator[Comparison]]

BENCHMARKS: Mapping[str, Benchmark] = {
    "at_head": at_head.run,
    "revisions": revisions.run,
    "backfill": backfill.run,
    "generate": generate.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names, all by default; return the exit code."""
    options = _parser().parse_args(arguments)
    names = options.name or list(BENCHMARKS)
    started = time.monotonic()
    try:
        with databases() as servers:
            about = machine(servers.versions())
            if not options.json:
                print(", ".join(f"{key} {value}" for key, value in about.items()))
            found = list(_run(servers, names, quick=options.quick, json=options.json))
    except DualMigrateError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(as_json(found, about))
    print(f"Took {seconds(time.monotonic() - started)}.", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "name",
        nargs="*",
        choices=[*BENCHMARKS, []],
        metavar="NAME",
        help=f"one of: {', '.join(BENCHMARKS)} (default: all of them)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, few rounds: does it run?"
    )
    return parser


def _run(
    servers: Databases, names: Sequence[str], *, quick: bool, json: bool
) -> Iterator[Comparison]:
    """Run them in turn; a table is printed as soon as it is there."""
    for name in names:
        for comparison in BENCHMARKS[name](servers, quick=quick):
            if not json:
                print(f"\n{as_text(comparison)}", flush=True)
            yield comparison
