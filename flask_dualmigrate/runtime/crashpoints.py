"""The named points of a run at which a test can kill the process.

DUALMIGRATE_CRASH_AT="mongo.operation.done#2" kills it (SIGKILL) when it reaches that
point for the second time; DUALMIGRATE_CRASH_LOG names a file to which each point is
written with its number, so that a sweep finds the points of a run by itself.

If neither variable is set when this module is imported, as in production, `reached`
does nothing (35 ns a call), and `around` leaves a function unchanged, at no cost.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

CRASH_AT = "DUALMIGRATE_CRASH_AT"
CRASH_LOG = "DUALMIGRATE_CRASH_LOG"

armed = CRASH_AT in os.environ or CRASH_LOG in os.environ
"""Whether the variables are read; they may change, for example in a forked process."""

SINGLE: Mapping[str, str] = MappingProxyType(
    {
        "step.start": "a revision is begun",
        "step.side": "one side of a revision is done",
        "step.executed": "all sides of a revision are done, and the journal still open",
        "step.settled": "a revision is done",
        "mongo.operation.start": "an operation is looked at",
        "mongo.operation.begun": "its record is written",
        "mongo.operation.applied": "its work is done, and not yet marked so",
        "mongo.operation.done": "it is marked as done",
        "mongo.undo.start": "an operation is to be undone",
        "mongo.undo.begun": "its record says so",
        "mongo.undo.applied": "its work is undone",
        "mongo.undo.tidied": "what undoing needed is removed",
        "mongo.undo.done": "it is marked as undone",
        "mongo.batch.checkpoint": "a batch and its checkpoint are written, uncommitted",
        "mongo.batch.done": "a batch is committed",
        "mongo.transaction.commit": "the next command is the commit",
        "postgres.begin": "a script's transaction begins",
        "postgres.statement.before": "a statement is sent, of a script or of ours",
        "postgres.statement.after": "it was answered",
        "postgres.version_row": "the script ran, and the version row is written",
        "postgres.commit.before": "the next command is the COMMIT that decides",
        "postgres.commit.after": "it was answered",
        "mongo.restore.side": "a side collection is made, and empty",
        "mongo.restore.filled": "its documents are in it, and its indexes not yet",
        "mongo.restore.gone": "a collection that was made since is out of the way",
        "mongo.restore.copy": "what cannot be renamed is made anew, and empty",
        "mongo.restore.put": "a collection is in its place",
        "mongo.restore.catalog": "what is kept is in the catalog of asides",
        "mongo.restore.shut_out": "the runs before this one are shut out",
        "postgres.restore.locked": "the tables that go are locked",
        "postgres.restore.dropped": "they are dropped, uncommitted",
        "postgres.restore.filled": "the tables hold their rows again, uncommitted",
        "postgres.restore.replaced": "the next command is the COMMIT that decides",
        "postgres.restore.committed": "it was answered",
        "backup.file.begun": "a file of a backup is made, and empty",
        "backup.file.done": "it is complete, and on the disk",
        "backup.manifest.partial": "the manifest is on the disk, under another name",
        "backup.manifest.gone": "a backup that is removed has no manifest any more",
        "file.partial": "a file is written under another name, and on the disk",
    }
)
"""The points that `reached` names: name -> what has just happened."""

PAIRED: Mapping[str, str] = MappingProxyType(
    {
        "mongo.lock.seed": "seeing that the document of the lock is there",
        "mongo.lock": "taking the lock in MongoDB",
        "mongo.unlock": "letting it go",
        "mongo.lock.free": "taking it from a holder, as `unlock` does",
        "mongo.pair_id": "writing the id that both sides hold",
        "mongo.pair_anew": "writing another id in its place, in a transaction",
        "mongo.journal.begin": "writing that an attempt runs",
        "mongo.journal.finish": "writing how it ended",
        "mongo.journal.undo": "writing that an attempt is being undone",
        "mongo.journal.undone": "writing what undoing it left",
        "mongo.journal.settle": "writing that the partner is done too",
        "mongo.journal.stamp": "marking revisions, in a transaction",
        "mongo.journal.mark": "marking one of them",
        "mongo.journal.accept": "writing another checksum for an edited script",
        "mongo.steps.claim": "shutting out the runs before this one",
        "mongo.steps.shut_out": "shutting out a holder that its lock is taken from",
        "mongo.steps.enlist": "naming the sessions of workers",
        "mongo.steps.begin": "writing the record of an operation",
        "mongo.steps.save": "changing it",
        "mongo.steps.split": "writing the records of the parts of an operation",
        "mongo.steps.gather": "counting what its parts wrote",
        "mongo.steps.join": "removing the records of the parts",
        "mongo.steps.remove": "forgetting the records of a revision",
        "mongo.asides.enter": "writing an aside into the catalog, and making it",
        "mongo.asides.close": "leaving an aside to people, or dropping an empty one",
        "mongo.asides.supersede": "closing what an earlier upgrade kept",
        "mongo.asides.settle": "tidying the asides of a revision",
        "mongo.asides.purge": "dropping an aside that is old",
        "mongo.asides.forget": "removing the entries of dropped ones",
        "mongo.touched.forget": "forgetting those of an operation that has no undo",
        "mongo.touched.remove": "forgetting which documents a revision wrote",
        "mongo.staying.begin": "forgetting what a new run does not go by",
        "mongo.staying.gone": "forgetting what stayed in a collection that goes aside",
        "mongo.staying.stamp": "forgetting what stayed of other revisions, at a stamp",
        "mongo.command": "a command that creates, changes or indexes a collection",
        "mongo.rename": "renaming a collection",
        "mongo.drop": "dropping a collection",
        "mongo.transaction": "a transaction, its commit included",
        "mongo.run": "calling a function of a script",
        "mongo.verify": "verify(db)",
        "postgres.lock": "taking the lock in PostgreSQL",
        "postgres.shut_out": "ending what a run that is gone left at work",
        "postgres.unlock": "letting it go",
        "postgres.lock.free": "ending the session of a holder, as `unlock` does",
        "postgres.prepare": "making the journal's tables, in a transaction",
        "postgres.pair_id": "writing the id that both sides hold, in a transaction",
        "postgres.verify": "verify(connection)",
        "postgres.journal.write": "adding the row of an attempt",
        "postgres.revert": "writing a failure down, in a transaction",
        "postgres.accept": "writing another checksum for an edited script",
        "postgres.index.statement": "building or dropping an index concurrently",
        "postgres.index.swap": "letting indexes change places, in a transaction",
        "postgres.stamp": "marking revisions, in a transaction",
        "mongo.restore.begin": "writing that a restore is begun",
        "mongo.restore.tidy": "dropping the side collections of an earlier one",
        "mongo.restore.loaded": "writing what waits in side collections",
        "mongo.restore.decide": "writing that they will be switched",
        "mongo.restore.end": "writing that a restore is at its end",
        "backup.remove": "removing a backup",
        "backup.folder": "making the folder of a backup",
        "backup.take": "making a backup, from its folder to its manifest",
        "backup.manifest": "writing the manifest that makes a backup of a folder",
        "file.folder": "making a folder of the tree",
        "file.write": "writing a file: a hidden script, revisions.lock, .gitignore",
        "file.place": "moving a hidden script to its place",
        "file.discard": "throwing a hidden script away",
    }
)
"""The points of `around`: name -> what is done between .before and .after."""

_visits: Counter[str] = Counter()
_one_at_a_time = threading.Lock()


def _visit(name: str) -> None:
    """Count a visit, write it to the log, and die if it is the chosen one."""
    with _one_at_a_time:
        _visits[name] += 1
        point = f"{name}#{_visits[name]}"
        if log := os.environ.get(CRASH_LOG):
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{point}\n")
        if point == os.environ.get(CRASH_AT):
            os.kill(os.getpid(), signal.SIGKILL)


def _pass(name: str) -> None:
    """Do nothing, as no crash is wanted."""


reached: Callable[[str], None] = _visit if armed else _pass


def around(
    name: str,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Put a point before a function and one after it: `name.before`, `name.after`."""

    def decorate(
        function: Callable[Arguments, Result],
    ) -> Callable[Arguments, Result]:
        if not armed:
            return function

        @functools.wraps(function)
        def visited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            reached(f"{name}.before")
            result = function(*args, **kwargs)
            reached(f"{name}.after")
            return result

        return visited

    return decorate
