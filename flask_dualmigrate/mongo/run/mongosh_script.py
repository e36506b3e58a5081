"""`--mongosh`: the MongoDB side of a plan as a script, made without a connection.

It is a list of plain statements, for a person to read and to run once. It takes a run's
lock, refuses any state other than the one it was made for, and writes the same journal
and aside entries as a run, so that a run can follow it.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pymongo.client_session import ClientSession

from ...errors import OperationError, UsageError
from ...ops import Operation
from ...revisions import Direction, Step
from ...text import own_version
from ..asides.aside import Holds
from ..mongosh import journal
from ..mongosh.statements import Part
from ..operations.registry import HANDLERS
from .runner import OperationRunner


class MongoshScript:
    """Writes the script of some steps for one database.

    operations_of, checksum_of, verified: of a step's Mongo script: its operations, its
    checksum, whether it has a verify(db).
    """

    def __init__(
        self,
        runner: OperationRunner,
        session: ClientSession,
        *,
        operations_of: Callable[[Step], Sequence[Operation]],
        checksum_of: Callable[[Step], str],
        verified: Callable[[Step], bool],
    ) -> None:
        self._runner = runner
        self._session = session
        self._operations_of = operations_of
        self._checksum_of = checksum_of
        self._verified = verified

    def text(
        self, steps: Sequence[Step], applied: Sequence[str], *, database: str
    ) -> str:
        """Return the script. applied: the revisions that the database has before it.

        Raises UsageError for an operation that has no plain form.
        """
        if not steps:
            return f"// Nothing to do: {database} stands there already.\n"
        owner = f"mongosh {uuid4().hex}"
        operations = [each for step in steps for each in self._operations_of(step)]
        written, moved = _written_and_moved(operations)
        parts = [
            _header(steps, applied, database),
            *journal.begin(owner, steps, applied, written=written, moved=moved),
            *(text for step in steps for text in self._revision(step)),
            *journal.end(owner),
        ]
        return "\n\n".join(parts)

    def _revision(self, step: Step) -> Iterator[str]:
        yield _comment(
            f"==== {step.direction} {step.revision.id}  {step.revision.message}"
        )
        names = _Names(self._runner, step, self._upgrade_of(step))
        for index, operation in enumerate(self._operations_of(step)):
            yield "\n".join(self._step(step, index, operation, names))
        if step.direction is Direction.UPGRADE and self._verified(step):
            yield "// Its verify(db) is Python, and is not run here."
        yield from journal.entry(step, self._checksum_of(step))

    def _upgrade_of(self, step: Step) -> Sequence[Operation]:
        """Return the operations whose asides a downgrade finds; none for an upgrade."""
        if step.direction is Direction.UPGRADE:
            return ()
        return self._operations_of(
            dataclasses.replace(step, direction=Direction.UPGRADE)
        )

    def _step(
        self, step: Step, index: int, operation: Operation, names: _Names
    ) -> Iterator[str]:
        if _gives_back(operation, self._upgrade_of(step)):
            why = "it puts back what the upgrade kept aside"
            raise _no_plain_form(step, index, operation, why)
        handler = HANDLERS[type(operation)]
        revision = step.revision.id
        work = self._runner.rehearse(
            revision, step.direction, index, operation, self._session
        )
        part = Part(work, names.aside_of(operation), handler.kept(operation))
        yield _comment(f"-- {index}: {operation.describe()}")
        if part.aside:
            yield _comment(f"What it takes away is kept in {part.aside}.")
        try:
            yield from handler.statements(operation, part)
        except OperationError as error:
            raise _no_plain_form(step, index, operation, error.what) from error


class _Names:
    """The names of one revision's asides, as a run chooses them."""

    def __init__(
        self, runner: OperationRunner, step: Step, before: Sequence[Operation]
    ) -> None:
        self._runner, self._revision = runner, step.revision.id
        self._taken: set[str] = set()
        for operation in before:
            self.aside_of(operation)

    def aside_of(self, operation: Any) -> str:
        """Return the name of an operation's aside; empty if it keeps nothing."""
        kept = HANDLERS[type(operation)].kept(operation)
        if kept is None:
            return ""
        label = ".".join(filter(None, (operation.collection, kept.label)))
        name, number = self._runner.aside_name(self._revision, label), 1
        while name in self._taken:
            number += 1
            name = self._runner.aside_name(self._revision, f"{label}_{number}")
        self._taken.add(name)
        return name


def _written_and_moved(operations: Sequence[Operation]) -> tuple[set[str], set[str]]:
    """Return the collections whose documents are written, and the renamed ones.

    A collection that is permanently dropped is in neither.
    """
    written, moved = set(), set()
    for operation in operations:
        handler, name = HANDLERS[type(operation)], getattr(operation, "collection", "")
        kept = handler.kept(operation)
        if handler.writes(operation):
            written.add(name)
        if handler.moves_to(operation) or (kept and kept.holds is Holds.COLLECTION):
            moved.add(name)
    return written, moved


def _gives_back(operation: Any, upgrade: Sequence[Operation]) -> bool:
    """True for an operation of a downgrade that puts back what the upgrade kept."""
    puts_back = HANDLERS[type(operation)].puts_back
    for former in upgrade:
        kept = HANDLERS[type(former)].kept(former)
        if kept is None or type(former) is not puts_back:
            continue
        field = operation.field if kept.holds is Holds.VALUES else kept.label
        if (vars(former)["collection"], kept.label) == (operation.collection, field):
            return True
    return False


def _no_plain_form(
    step: Step, index: int, operation: Operation, why: str
) -> UsageError:
    revision = step.revision.id
    return UsageError(
        f"Step {index} of revision {revision} ({operation.verb}) cannot be written as "
        f"plain statements: {why}",
        where=f"revision {revision}, step {index}: {operation.describe()}",
        hint="Print the revisions before and after it (FROM:TO), and run "
        f"{revision} itself with: flask db-migrate {step.direction}",
    )


_HEADER = """\
{direction} of MongoDB (database {database}), made by Flask-DualMigrate {version} at \
{when:%Y-%m-%d %H:%M:%S} UTC.
Revisions, in this order: {ids}
For a database that has the revisions: {applied}
Run it once: mongosh "mongodb://…/{database}" --norc --file FILE
It stops at the first statement that fails, and keeps the lock, so that no run starts \
on what is half done. Then run the rest by hand, from that statement to the end. Or \
take back what was done of its revision, and free the lock: \
flask db-migrate unlock --force"""


def _header(steps: Sequence[Step], applied: Sequence[str], database: str) -> str:
    text = _HEADER.format(
        direction=str(steps[0].direction).capitalize(),
        database=database,
        version=own_version(),
        when=datetime.now(UTC),
        ids=", ".join(step.revision.id for step in steps),
        applied=", ".join(applied) or "none",
    )
    return "\n".join(map(_comment, text.splitlines()))


def _comment(text: str) -> str:
    """Return a text as comment lines, which no character of it can end."""
    lines = textwrap.wrap(" ".join(text.split()), 84, break_long_words=False)
    return "\n".join(f"// {line}" for line in lines)
