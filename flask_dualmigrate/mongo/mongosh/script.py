"""`--mongosh`: the MongoDB side of a plan as a script, made without a connection.

The operations are rendered from the expressions that a normal run uses; asides, their
catalog and the journal get what a normal run writes, so that one can follow it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pymongo.client_session import ClientSession

from ...errors import OperationError, ScriptError
from ...ops import Operation
from ...revision import Direction, Revision, Status, Step
from ..attempts import beginning, ending
from ..runner import OperationRunner
from .bodies import BODIES, INDENT, Body, js
from .literals import Raw, literal

_TOOK = {"$toInt": {"$subtract": ["$$NOW", "$started_at"]}}

_OF_THE_STEP = ("verb", "kind", "fingerprint", "subject", "group")
_WRITTEN = ("by", "host", "token", "before")
"""Of a step's record: what differs from step to step, and what the script fills in."""


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
        self._blank: dict[str, Any] = {}

    def text(
        self, steps: Sequence[Step], applied: Sequence[str], *, database: str
    ) -> str:
        """Return the script. applied: what the database has before it.

        Raises ScriptError for an operation that has no form in JavaScript.
        """
        if not steps:
            return f"// Nothing to do: {database} stands there already.\n"
        revisions = [self._revision(step, number) for number, step in enumerate(steps)]
        plan = {
            "direction": str(steps[0].direction),
            "before": sorted(applied),
            "revisions": [self._facts(step) for step in steps],
        }
        return (
            f"{_header(steps, applied, database)}\n{_prelude()}\n"
            "// ---- The plan, and what the journal gets. ----\n\n"
            f"const plan = {literal(plan)};\n\n"
            f"{_journal(steps[0].direction)}\n"
            f"const blank = {literal(self._blank)};\n\n"
            "// ---- The revisions. ----\n\n"
            "takeLock();\ntry {\n  const done = guard(plan);\n\n"
            + "\n".join(revisions)
            + "} finally {\n  releaseLock();\n}\n"
            'print("Done.");'
        )

    def _facts(self, step: Step) -> dict[str, Any]:
        revision = step.revision
        return {
            "id": revision.id,
            "down_revision": list(revision.parents),
            "description": revision.message,
            "checksum": self._checksum_of(step),
        }

    def _revision(self, step: Step, number: int) -> str:
        revision = step.revision
        message = " ".join(revision.message.split())
        lines = [
            f"  // ==== {step.direction} {revision.id}  {message}",
            f"  if (done <= {number}) {{",
            f"    beginRevision(plan, {number});",
        ]
        for index, operation in enumerate(self._operations_of(step)):
            lines.append(self._step(step, index, operation))
        if step.direction is Direction.UPGRADE and self._verified(step):
            lines.append("    // Its verify(db) is Python, and is not run here.")
        lines += ["    finishRevision();", "  }", ""]
        return "\n".join(lines)

    def _step(self, step: Step, index: int, operation: Operation) -> str:
        where = f"revision {step.revision.id}, step {index}: {operation.describe()}"
        if type(operation) not in BODIES:
            raise ScriptError(
                f"Step {index} of revision {step.revision.id} ({operation.verb}) is "
                "Python, and cannot be written for mongosh",
                where=where,
                hint="Print the revisions before and after it (FROM:TO), and run "
                f"{step.revision.id} itself with: flask db-migrate {step.direction}",
            )
        work = self._runner.rehearse(
            step.revision.id, step.direction, index, operation, self._session
        )
        try:
            body = BODIES[type(operation)](operation, work)
        except OperationError as error:
            raise ScriptError(error.what, where=where, hint=error.hint) from error
        document = work.record.to_document()
        record = {name: document.pop(name) for name in _OF_THE_STEP}
        self._blank = {key: document[key] for key in document if key not in _WRITTEN}
        return _rendered(index, operation.describe(), record, body)


def _rendered(index: int, text: str, record: dict[str, Any], body: Body) -> str:
    """Return the call of step() for one operation."""
    pad, inner = " " * 4, " " * (INDENT - 2)
    lines = [
        f"\n{pad}step({index}, {js(text)}, {literal(record, 4)}, {{",
    ]
    if body.before or body.found:
        lines.append(f"{inner}before: () => {{")
        lines += [f"{inner}  {line}" for line in body.before]
        found = ", ".join(f"{name}: {code}" for name, code in body.found.items())
        lines += [f"{inner}  return {{ {found} }};", f"{inner}}},"]
    uses_found = "kept" if body.found else ""
    lines.append(f"{inner}work: ({uses_found}) => {{")
    lines += [f"{inner}  {line}" for line in body.work]
    lines += [f"{inner}}},", f"{pad}}});"]
    return "\n".join(lines)


def _journal(direction: Direction) -> str:
    """Return what is written when a revision begins, and when it ends."""
    (stage,) = beginning(
        Revision(""),
        direction,
        checksum=Raw("revision.checksum"),
        by=Raw("BY"),
        host=Raw("HOST"),
    )
    own = {
        "revision": {"$literal": Raw("revision.id")},
        "down_revision": {"$literal": Raw("revision.down_revision")},
        "description": {"$literal": Raw("revision.description")},
    }
    begun = [{"$set": {**stage["$set"], **own}}]
    up = direction is Direction.UPGRADE
    status = Status.APPLIED if up else Status.ROLLED_BACK
    ended = ending(status, direction=direction, duration_ms=_TOOK)
    return (
        f"const begun = (revision) => {literal(begun)};\n\n"
        f"const ended = {literal(ended)};\n"
    )


def _header(steps: Sequence[Step], applied: Sequence[str], database: str) -> str:
    direction = str(steps[0].direction)
    ids = ", ".join(step.revision.id for step in steps)
    stands = ", ".join(applied) or "none"
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    text = (
        f"{direction.capitalize()} of MongoDB (database {database}), made by "
        f"Flask-DualMigrate {_version()} at {when}.\n"
        f"Revisions, in this order: {ids}\n"
        f"Made for a database that has the revisions: {stands}\n"
        f'Run it with: mongosh "mongodb://…/{database}" --norc --file FILE\n'
        "If it stops, run it again: it carries on from the last batch that was written."
    )
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(line, 84, break_long_words=False) or [""]
    return "".join(f"// {line}\n" for line in lines)


def _version() -> str:
    try:
        return version("Flask-DualMigrate")
    except PackageNotFoundError:  # from a checkout that is not installed
        return "(not installed)"


def _prelude() -> str:
    """Return the functions that the steps call, the same in every script."""
    folder = resources.files(__package__)
    parts = ("journal.js", "batches.js", "operations.js")
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in parts)
