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
        "step.start": "a revision begins",
        "step.side": "one side of a revision is done",
        "step.executed": "both sides are done, and the journal is still open",
        "step.settled": "a revision is done; the next write closes its journal",
        "mongo.operation.start": "the next operation of a script was chosen",
        "mongo.operation.begun": "its record was written",
        "mongo.operation.applied": "its work is done, but not yet recorded",
        "mongo.operation.done": "it is done; the next write records that",
        "mongo.undo.start": "the next operation to undo was chosen",
        "mongo.undo.begun": "its record says that it is being undone",
        "mongo.undo.applied": "its work is undone, but not yet recorded",
        "mongo.undo.tidied": "what the undo needed was removed",
        "mongo.undo.done": "its record says that it is undone",
        "mongo.batch.checkpoint": "a batch and its checkpoint are written, uncommitted",
        "mongo.batch.done": "a batch was committed",
        "mongo.transaction.commit": "the commit of a transaction is the next command",
        "postgres.begin": "the transaction of a script began",
        "postgres.statement.before": "the next command is a script's or our statement",
        "postgres.statement.after": "the server answered it",
        "postgres.version_row": "the script has run, and the version row was written",
        "postgres.commit.before": "the COMMIT that decides is the next command",
        "postgres.commit.after": "the server answered it",
        "mongo.restore.side": "an empty side collection was created",
        "mongo.restore.filled": "its documents are in it, but not its indexes",
        "mongo.restore.gone": "a collection made since the backup is out of the way",
        "mongo.restore.copy": "what cannot be renamed was created again, empty",
        "mongo.restore.put": "a collection is in its place",
        "mongo.restore.catalog": "the catalog of asides lists what is kept",
        "mongo.restore.shut_out": "earlier runs can no longer write",
        "postgres.restore.locked": "the tables to be replaced are locked",
        "postgres.restore.dropped": "they are dropped, uncommitted",
        "postgres.restore.filled": "the tables have their rows again, uncommitted",
        "postgres.restore.replaced": "the COMMIT that decides is the next command",
        "postgres.restore.committed": "the server answered it",
        "backup.file.begun": "an empty file of a backup was created",
        "backup.file.done": "it is complete and on disk",
        "backup.manifest.partial": "the manifest is on disk under a temporary name",
        "backup.manifest.gone": "the manifest of a backup to be removed was deleted",
        "file.partial": "a file is on disk under a temporary name",
    }
)
"""The points that `reached` names: name -> what has just happened."""

PAIRED: Mapping[str, str] = MappingProxyType(
    {
        "mongo.lock.seed": "creating the lock's document if it does not exist",
        "mongo.lock": "taking the lock in MongoDB",
        "mongo.unlock": "releasing it",
        "mongo.lock.free": "taking it from its holder, for `unlock`",
        "mongo.pair_id": "writing the id that both sides share",
        "mongo.pair_anew": "replacing it, in a transaction",
        "mongo.journal.begin": "recording that an attempt runs; closing the last one",
        "mongo.journal.finish": "recording how it ended",
        "mongo.journal.undo": "recording that it is being undone",
        "mongo.journal.undone": "recording what the undo left",
        "mongo.journal.settle": "closing the last revision, done on both sides",
        "mongo.journal.stamp": "marking revisions as applied, in a transaction",
        "mongo.journal.mark": "marking one of them",
        "mongo.journal.accept": "replacing the checksum of an edited script",
        "mongo.steps.claim": "refusing writes of earlier runs from now on",
        "mongo.steps.shut_out": "refusing writes of a holder whose lock was taken",
        "mongo.steps.enlist": "recording the sessions of parallel workers",
        "mongo.steps.begin": "recording that an operation begins, the last is done",
        "mongo.steps.flush": "recording that the last operations are done",
        "mongo.steps.save": "updating it",
        "mongo.steps.split": "writing the records of an operation's parts",
        "mongo.steps.gather": "adding up what its parts wrote",
        "mongo.steps.join": "removing the records of the parts",
        "mongo.steps.remove": "removing the records of the revisions that are done",
        "mongo.asides.enter": "adding an aside to the catalog and creating it",
        "mongo.asides.close": "closing an aside, or dropping it if it is empty",
        "mongo.asides.supersede": "closing what an earlier upgrade kept",
        "mongo.asides.settle": "tidying the asides of a revision that is done",
        "mongo.asides.purge": "dropping an old aside",
        "mongo.asides.forget": "removing dropped asides from the catalog",
        "mongo.touched.forget": "removing the list of what an operation wrote",
        "mongo.touched.remove": "removing the lists of documents that a revision wrote",
        "mongo.staying.begin": "removing notes on what stayed that a new run ignores",
        "mongo.staying.gone": "removing those on a collection that goes aside whole",
        "mongo.staying.stamp": "removing those on other revisions, for a stamp",
        "mongo.command": "a command that creates, changes or indexes a collection",
        "mongo.rename": "renaming a collection",
        "mongo.drop": "dropping a collection",
        "mongo.transaction": "a transaction, including its commit",
        "mongo.run": "calling a function of a script",
        "mongo.verify": "calling verify(db)",
        "postgres.lock": "taking the lock in PostgreSQL",
        "postgres.shut_out": "ending the sessions that a killed run left",
        "postgres.unlock": "releasing the lock",
        "postgres.lock.free": "ending the session of its holder, for `unlock`",
        "postgres.prepare": "creating the journal's tables, in a transaction",
        "postgres.pair_id": "writing the id that both sides share, in a transaction",
        "postgres.verify": "calling verify(connection)",
        "postgres.journal.write": "adding the row of an attempt, and the version row",
        "postgres.revert": "recording a failure, in a transaction",
        "postgres.accept": "replacing the checksum of an edited script",
        "postgres.index.statement": "building or dropping an index concurrently",
        "postgres.index.swap": "exchanging the names of two indexes, in a transaction",
        "postgres.stamp": "marking revisions as applied, in a transaction",
        "mongo.restore.begin": "recording that a restore has begun",
        "mongo.restore.tidy": "dropping the side collections of an earlier restore",
        "mongo.restore.loaded": "recording what is ready in side collections",
        "mongo.restore.decide": "recording that they will replace the collections",
        "mongo.restore.end": "recording that the restore is complete",
        "backup.remove": "removing a backup",
        "backup.folder": "creating the folder of a backup",
        "backup.take": "making a backup, from its folder to its manifest",
        "backup.manifest": "writing the manifest, which makes the folder a backup",
        "file.folder": "creating a folder of the tree",
        "file.write": "writing a file: a hidden script, revisions.lock, .gitignore",
        "file.place": "moving a hidden script to its place",
        "file.discard": "deleting a hidden script",
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
