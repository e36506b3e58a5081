"""Forecasting the operations of a plan one after the other, for a dry run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pymongo
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from ...backend import Forecast
from ...errors import OperationError
from ...ops import Operation
from ...revisions import Direction
from ..batches.step_under_way import Work
from ..forecast.counting import LIMIT_S, timed_out
from ..forecast.look import Look, Told
from ..forecast.names import Names
from ..journal.resume import groups_of
from ..journal.step_record import StepRecord, StepStatus
from ..operations.registry import HANDLERS
from ..server.errors import first_line
from ..server.failures import UNAUTHORIZED, told_as_operation_errors
from .runner import OperationRunner


class Rehearsal:
    """Foretells the operations of a plan, revision by revision.

    It reads, and tries batches on copies of some documents: see sample.py.
    """

    def __init__(self, runner: OperationRunner, session: ClientSession) -> None:
        self._runner = runner
        self._session = session
        self._names = Names()

    def foretell(
        self,
        revision: str,
        direction: Direction,
        operations: Sequence[Operation],
        records: Mapping[int, StepRecord],
    ) -> tuple[Forecast, ...]:
        """Return what each operation of a revision would do, after those before it."""
        told = []
        groups = groups_of(records, operations) if records else [""] * len(operations)
        for step, operation in enumerate(operations):
            work = self._runner.rehearse(
                revision, direction, step, operation, self._session, group=groups[step]
            )
            where = f"revision {revision}, step {step}: {operation.describe()}"
            with told_as_operation_errors(step=step, where=where):
                told.append(self._one(step, operation, work, records.get(step)))
        return tuple(told)

    def _one(
        self, step: int, operation: Operation, work: Work, record: StepRecord | None
    ) -> Forecast:
        if record is not None and record.status is StepStatus.DONE:
            return Told(writes=0).forecast(step, operation)
        begun = record if record and record.status is StepStatus.STARTED else None
        look = self._look(operation, work, begun)
        told = _tell(look)
        if look.problem is not None:
            told.problems.insert(0, look.problem)
        if look.unsure is not None:
            told.notes.append(look.unsure)
        handler, name = HANDLERS[type(operation)], getattr(operation, "collection", "")
        reads = handler.reads(operation)
        if self._names.ran or self._names.writes_before(name, reads):
            # An earlier operation may fix it: it is not a reason to refuse.
            told.notes += [f"now it would fail: {text}" for text in told.problems]
            told.problems.clear()
        note = self._names.note(name, reads, empty=look.is_empty, fills=handler.fills)
        if note is not None:
            told.notes.append(note)
        self._replay(look)
        return told.forecast(step, operation)

    def _replay(self, look: Look[Any]) -> None:
        """Replay an operation's effect. A missing collection is not renamed."""
        operation, names = look.said, self._names
        handler, name = HANDLERS[type(operation)], getattr(operation, "collection", "")
        target = handler.moves_to(operation)
        if target is not None and look.may_be_there:
            names.rename(name, target)
        if handler.reaches(operation) is not None:
            names.call()
        handler.replay(operation, names, source=look.before.get("source"))
        if handler.eases:
            names.ease(name)
        if handler.fills:
            names.fill(name)
        if handler.creates:
            names.create(name)
        names.write(name, handler.writes(operation))

    def _look(
        self, operation: Operation, work: Work, begun: StepRecord | None
    ) -> Look[Any]:
        said = getattr(operation, "collection", None)
        now = None if said is None else self._names.now(said)
        real = operation
        if now is not None and now != said:
            real = dataclasses.replace(operation, collection=now)  # type: ignore[call-arg]
        look = Look(operation, real, work, self._names, begun)
        if begun is not None:
            return _knowing(look, begun.before)
        if said is None or now is None or self._names.ran:
            return look
        target = HANDLERS[type(operation)].moves_to(operation)
        if target is not None and self._names.moved(target):
            return look  # its handler would examine what is not there yet
        return _checked(look)


def _tell(look: Look[Any]) -> Told:
    """Ask the operation's family; a refusal by the server is a problem."""
    try:
        return HANDLERS[type(look.said)].forecast(look)
    except OperationFailure as error:
        if error.code == UNAUTHORIZED:
            raise
        if look.problem is not None:
            return Told()  # the same refusal, in the words of its handler
        return Told(problems=[f"MongoDB refuses it: {first_line(error)}"])


def _checked(look: Look[Any]) -> Look[Any]:
    """Ask the handler what it finds and whether it refuses; it only reads."""
    handler = HANDLERS[type(look.operation)]
    try:
        with pymongo.timeout(LIMIT_S):
            before = handler.before(look.operation, look.work)
    except OperationError as error:
        hint = f". {error.hint}" if error.hint else ""
        return dataclasses.replace(look, problem=f"{error.what}{hint}")
    except PyMongoError as error:
        if not timed_out(error):
            raise
        unsure = f"whether it would fail could not be determined in {LIMIT_S:g} s"
        return dataclasses.replace(look, unsure=unsure)
    return _knowing(look, before)


def _knowing(look: Look[Any], before: Mapping[str, Any]) -> Look[Any]:
    """Return a look with what was found before, and its Work: queries depend on it."""
    look.work.record = dataclasses.replace(look.work.record, before=before)
    return dataclasses.replace(look, before=before)
