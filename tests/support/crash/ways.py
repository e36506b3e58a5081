"""What a crash sweep kills: commands, each on a tree, and what goes before them.

Each name of a crash point is some way's own: it is killed there in every run of the
tests, and elsewhere by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from flask_dualmigrate.runtime.crashpoints import PAIRED, SINGLE
from tests.support.crash.trees import (
    write_concurrent,
    write_failing,
    write_one,
    write_parted,
    write_two,
    write_unsafe,
)
from tests.support.trees import Tree

Words = tuple[str, ...]

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "base", "--yes")
KEEP = (*UP, "--on-error", "keep")
UNDO = ("repair", "r2", "--undo", "--yes")
RETRY = ("repair", "r1", "--step", "1", "--retry")
DONE = ("repair", "r1", "--step", "1", "--done")
IN_A_RUN = {"after": UP, "killed_at": "mongo.run.before#1"}
AFTER_A_RUN = {"after": UP, "killed_at": "mongo.run.after#1"}
NOTHING, NO_DOUBT = "Nothing of revision", "is not in doubt"


def way(
    id: str,
    write: Callable[[Tree], None],
    words: Words,
    *,
    own: Iterable[str] = (),
    **options: Any,
) -> Any:
    """Return a command to be killed, on a tree.

    own: names of crash points, those of `around` without their side; options: as Sweep
    takes them.
    """
    names = frozenset(own)
    assert names <= SINGLE.keys() | PAIRED.keys()
    options["own"] = names & SINGLE.keys() | _sides(names & PAIRED.keys())
    return pytest.param((write, words, options), id=id)


def _sides(names: Iterable[str]) -> frozenset[str]:
    return frozenset(f"{name}.{side}" for name in names for side in ("before", "after"))


DOWNGRADE = way(
    "downgrade", write_two, DOWN, own=("mongo.drop", "mongo.asides.close"), after=UP
)
SMALL_UPGRADE = way("upgrade", write_one, UP)
SMALL_DOWNGRADE = way("downgrade", write_one, DOWN, after=UP)
FAILING = (
    way(
        "upgrade that fails",
        write_failing,
        UP,
        own=(
            *(name for name in SINGLE if name.startswith("mongo.undo.")),
            *("mongo.journal.undo", "mongo.journal.undone", "postgres.revert"),
            *("mongo.rename", "mongo.staying.gone", "mongo.steps.join"),
        ),
        fails_first=True,
    ),
    way("downgrade that fails", write_failing, DOWN, after=UP, fails_first=True),
)
STAMPS = (
    way(
        "stamp",
        write_two,
        ("stamp", "head"),
        own=(
            *("mongo.journal.stamp", "mongo.journal.mark"),
            *("mongo.staying.stamp", "postgres.stamp"),
        ),
    ),
    way("stamp over history", write_two, ("stamp", "base", "--yes"), after=UP),
    way(
        "stamp over a side that waits for its partner",
        write_two,
        ("stamp", "r1", "--yes", "--backend", "mongo"),
        own=("mongo.lock.free", "mongo.steps.shut_out"),
        after=UP,
        killed_at="step.side#1",
    ),
)


HALF_DONE = {"after": UP, "killed_at": "mongo.batch.done#5"}
"""The upgrade of `write_two` in the middle of the second operation of r2."""
SIDES = (
    way("upgrade of MongoDB alone", write_two, UP, active="mongo"),
    way("downgrade of MongoDB alone", write_two, DOWN, after=UP, active="mongo"),
    way("upgrade of PostgreSQL alone", write_two, UP, active="postgres"),
    way("PostgreSQL catches up", write_two, UP, after=UP, active_before="mongo"),
    way("MongoDB catches up", write_two, UP, after=UP, active_before="postgres"),
)
MONGO_CATCHES_UP = SIDES[-1]
OTHERS = (
    way("downgrade of a half-done upgrade", write_two, DOWN, **HALF_DONE),
    way(
        "upgrade after a half-done downgrade",
        write_two,
        UP,
        first=UP,
        after=DOWN,
        killed_at="mongo.batch.done#3",
    ),
    way("upgrade that fails and is kept", write_failing, KEEP, fails_first=True),
    way("upgrade out of a transaction", write_concurrent, UP),
    way("downgrade out of a transaction", write_concurrent, DOWN, after=UP),
    way(
        "MongoDB alone goes on with what both began",
        write_two,
        UP,
        own=("mongo.staying.begin",),
        active_before="both",
        active="mongo",
        **HALF_DONE,
    ),
    way(
        "both go on with what MongoDB began alone",
        write_two,
        UP,
        active_before="mongo",
        **HALF_DONE,
    ),
)
OF_PARTS = tuple(f"mongo.{name}" for name in ("steps.enlist", "steps.split", "ba"))
OF_PARTS += ("mongo.steps.gather", "mongo.steps.join")
PARTS = (
    way(
        "upgrade of parts",
        write_parted,
        UP,
        own=("mongo.steps.split", "mongo.steps.enlist"),
    ),
    way(
        "upgrade of parts that were begun",
        write_parted,
        UP,
        own=("mongo.steps.gather",),
        after=UP,
        killed_at="mongo.batch.done#6",
    ),
)
REPAIRS = (
    way("repair --undo", write_two, UNDO, then=UP, done=NOTHING, **HALF_DONE),
    way(
        "repair --undo of what waits for its partner",
        write_two,
        ("repair", "r1", "--undo", "--yes"),
        then=UP,
        done=NOTHING,
        after=UP,
        killed_at="step.side#1",
    ),
    way("repair --retry", write_unsafe, RETRY, then=UP, done=NO_DOUBT, **IN_A_RUN),
    way("repair --done", write_unsafe, DONE, then=UP, done=NO_DOUBT, **AFTER_A_RUN),
    way(
        "repair --accept-checksum",
        write_two,
        ("repair", "r1", "--accept-checksum"),
        own=("mongo.journal.accept", "postgres.accept"),
        after=UP,
        edit=("*/versions/r1.py", "# edited"),
        done="No script of revision r1 was edited",
    ),
    way("unlock", write_two, ("unlock",), then=UP, **HALF_DONE),
)
ASIDES = (
    way(
        "asides --purge-older-than",
        write_two,
        ("asides", "--purge-older-than", "0s", "--yes"),
        own=("mongo.asides.purge", "mongo.asides.forget"),
        after=UP,
    ),
)
ON_MONGO, ON_POSTGRES = ("--backend", "mongo"), ("--backend", "postgres")
NO_INDEX = "has no index"
INDEXES = (
    way(
        "index rebuild on MongoDB",
        write_one,
        ("index", "rebuild", "item", "ix_n", *ON_MONGO),
        after=UP,
    ),
    way(
        "index rebuild on PostgreSQL",
        write_concurrent,
        ("index", "rebuild", "account", "ix_account", *ON_POSTGRES),
        own=("postgres.index.statement",),
        after=UP,
    ),
    way(
        "index drop on MongoDB",
        write_one,
        ("index", "drop", "item", "ix_n", "--yes", *ON_MONGO),
        after=UP,
        done=NO_INDEX,
    ),
    way(
        "index drop on PostgreSQL",
        write_concurrent,
        ("index", "drop", "account", "ix_account", "--yes", *ON_POSTGRES),
        after=UP,
        done=NO_INDEX,
    ),
)
LATELY = (*REPAIRS, *ASIDES, *INDEXES)


ELSEWHERE = ("backup.", "file.", "mongo.restore.", "postgres.restore.")
"""Points of what other tests kill: backups, the tree, `restore`."""

NOT_HERE = {
    "postgres.index.swap",  # `index sync`, which needs models
    "postgres.lock.free",  # `unlock --force`: see test_taking
    "mongo.pair_anew",  # `repair --pair`: see test_taking
    "mongo.touched.forget",  # an update that cannot be undone
}
NEVER = _sides(NOT_HERE)

_TAKEN = frozenset[str]().union(
    *(
        each.values[0][2]["own"]
        for each in (DOWNGRADE, *FAILING, *STAMPS, *LATELY, *SIDES, *OTHERS, *PARTS)
    )
)
UPGRADE = way(
    "upgrade",
    write_two,
    UP,
    own=(
        name
        for name in (*SINGLE, *PAIRED)
        if not name.startswith(ELSEWHERE)
        and name not in NOT_HERE
        and not {name, f"{name}.before"} & _TAKEN
    ),
)
"""What no other way has for its own is that of the plainest one."""
