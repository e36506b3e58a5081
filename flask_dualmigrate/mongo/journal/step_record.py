"""The record of one operation of a script: how far it is, and how to undo it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from ...ops import Kind
from ...revisions import Direction


class StepStatus(StrEnum):
    """STARTED and UNDOING: half done, to be continued; UNDONE: as if never run."""

    STARTED = "started"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclasses.dataclass(frozen=True)
class StepRecord:
    """How far one operation of a script is, and how to undo it.

    step: index of the operation in its script, from 0.
    checkpoint: how far the batches are, native BSON: phase, round, last `_id`.
    documents: how many were written; total: how many were expected, None if unknown.
    batches: how many transactions were committed for it.
    part: for a part of a step whose `_id` range is walked in parallel, its number.
    run_at, run_documents: when the current run took it up, and how many documents had
    been written by then.
    subject: what the operation is about; a script that failed may be edited, but not
    this.
    group: identifies the operation in a later run, for what an undo left (Staying);
    again: whether there was an earlier run, which was undone. later: the groups of the
    steps after it that insert into its collection; what stayed of them does not belong
    to it.
    before: what was there before, as far as the undo needs it.
    error: what a function of the script raised; None after a crash.
    """

    revision: str
    direction: Direction
    step: int
    verb: str
    fingerprint: str
    kind: Kind
    status: StepStatus
    token: int
    by: str
    host: str
    subject: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    group: str = ""
    again: bool = False
    later: Sequence[str] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    checkpoint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    documents: int = 0
    total: int | None = None
    batches: int = 0
    before: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    part: int | None = None
    run_at: datetime | None = None
    run_documents: int = 0

    @property
    def wrote_nothing(self) -> bool:
        """True if no document was written; see Work.begin_writing."""
        return not self.documents and "begun" not in self.before

    @property
    def id(self) -> dict[str, Any]:
        part = {} if self.part is None else {"part": self.part}
        return {
            "revision": self.revision,
            "direction": str(self.direction),
            "step": self.step,
            **part,
        }

    def to_document(self) -> dict[str, Any]:
        """Return the fields as stored, without `_id` and times."""
        names = {field.name for field in dataclasses.fields(self)}
        names -= {"revision", "direction", "step", "part"}
        names -= {"started_at", "finished_at", "run_at"}
        document = {name: getattr(self, name) for name in sorted(names)}
        return document | {
            "kind": str(self.kind),
            "status": str(self.status),
            "notes": list(self.notes),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StepRecord:
        values = {key: value for key, value in document.items() if key != "_id"}
        values |= document["_id"]
        values["direction"] = Direction(values["direction"])
        values["kind"] = Kind(values["kind"])
        values["status"] = StepStatus(values["status"])
        values["notes"] = tuple(values["notes"])
        return cls(**values)
