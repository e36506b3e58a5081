"""Apply the rules to the scripts of a tree, oldest first.

Each script is recorded once; nothing is run on a database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import starmap
from typing import Any, Protocol

from alembic.operations import MigrateOperation
from alembic.script.base import Script

from .. import alembic_scripts
from ..alembic_scripts.change import Change
from ..alembic_scripts.op_changes import changes_of
from ..errors import DualMigrateError
from ..ops import MongoOperations, Operation
from ..revisions import BackendName, Direction, Revision
from ..runtime.time_limits import Limits
from ..tree.directory import ScriptDirectory
from ..tree.script_file import LoadedScript
from .advice.finding import OWN, RULES, Advice, Finding, Rule, rules_of
from .allowing import Allowance, allow, allowances, faults
from .rules import (
    mongo,
    mongo_indexes,
    pair,
    postgres_locks,
    postgres_loss,
    postgres_script,
)
from .rules.pair import PairAdvice, PairView
from .views.facts import UNKNOWN, Facts
from .views.mongo import Collections, LinedOperations, MongoView, Placed
from .views.postgres import PostgresView, placed
from .views.source import Source
from .views.tables import Tables

RULE_MODULES = (
    postgres_locks,
    postgres_loss,
    postgres_script,
    mongo_indexes,
    mongo,
    pair,
)
"""The modules with the rules; importing them registers the rules."""

POSTGRES, MONGO = BackendName.POSTGRES, BackendName.MONGO


class Counterpart(Protocol):
    """Translates Alembic's operations to MongoDB, revision by revision."""

    def skip(self, operations: Sequence[MigrateOperation]) -> None:
        """Learn the tables as they are after a revision that is not checked."""

    def translate(
        self, operations: Sequence[MigrateOperation]
    ) -> tuple[Operation, ...] | None:
        """Return the Mongo operations; None if they cannot be determined."""

    def mirrored(self) -> frozenset[str]:
        """Return the collections that correspond to the existing tables."""


RecordMongo = Callable[[Script, Direction, MongoOperations], tuple[Operation, ...]]


@dataclasses.dataclass(frozen=True)
class Wings:
    """What lint gets from the two sides.

    record_mongo: records a Mongo script with the given recorder.
    counterpart: None if the app has only one side. facts_of: returns what a database
    says about the data that a revision would find.
    """

    record_mongo: RecordMongo
    why_not_standalone: Callable[[Operation], str | None]
    counterpart: Counterpart | None = None
    facts_of: Callable[[str], Facts] = lambda revision_id: UNKNOWN


class Linter:
    """Applies the rules to the revisions of a tree.

    sides: whose scripts are checked. ignored: codes that are never reported.
    on_postgres: the SQL side is PostgreSQL; otherwise its own rules are skipped.
    """

    def __init__(
        self,
        directory: ScriptDirectory,
        wings: Wings,
        *,
        limits: Limits,
        sides: Collection[BackendName],
        ignored: Collection[str] = (),
        on_postgres: bool = True,
    ) -> None:
        self._unasked = frozenset(
            code
            for code, rule in RULES.items()
            if rule.only_postgres and not on_postgres
        )
        self._directory = directory
        self._wings = wings
        self._limits = limits
        self._sides = sides
        self._ignored = ignored
        self._tables = Tables()
        self._collections = Collections()

    def findings(self, wanted: Collection[str]) -> Iterator[Finding]:
        """Yield the findings in revisions, oldest first, including allowed ones."""
        revisions = self._directory.topological()
        last = max((n for n, r in enumerate(revisions) if r.id in wanted), default=-1)
        with alembic_scripts.Recorder() as recorder:
            for revision in revisions[: last + 1]:
                one = _OneRevision(self, revision, recorder)
                if revision.id in wanted:
                    yield from one.findings()
                else:
                    one.skip()


class _OneRevision:
    """The scripts of one revision, recorded."""

    def __init__(
        self, linter: Linter, revision: Revision, recorder: alembic_scripts.Recorder
    ) -> None:
        self._linter = linter
        self._revision = revision
        self._recorder = recorder
        self._wings = linter._wings
        # Side -> rule, what it found, and the name of the function that it looked at.
        self._found: dict[BackendName, list[tuple[Rule, Advice, str]]]
        self._found = {POSTGRES: [], MONGO: []}

    def skip(self) -> None:
        """Learn the state that the revision leaves."""
        script = self._script(POSTGRES)
        if script is not None:
            found = self._recorder.record(script.module, "upgrade")
            placed(changes_of(found.calls), self._linter._tables)
            if self._wings.counterpart is not None:
                self._wings.counterpart.skip(found.operations)
        if self._script(MONGO) is not None:
            self._mongo(Direction.UPGRADE)

    def findings(self) -> Iterator[Finding]:
        view = PairView(**{**self._look_at_postgres(), **self._look_at_mongo()})
        for rule in rules_of("3"):
            for advice in rule.check(view):
                assert isinstance(advice, PairAdvice)
                self._found[advice.backend].append((rule, advice, advice.function))
        for side in (POSTGRES, MONGO):
            script = self._script(side)
            if script is not None and side in self._linter._sides:
                yield from self._findings_in(side, Source(script))

    def _script(self, side: BackendName) -> LoadedScript | None:
        directory = self._linter._directory
        if side not in directory.backends or not directory.has(side, self._revision.id):
            return None
        return directory.script(side, self._revision.id)

    def _look_at_postgres(self) -> dict[str, Any]:
        """Check the Alembic script; return what a PairView holds about it."""
        script = self._script(POSTGRES)
        if script is None:
            return {}
        up = self._recorder.record(script.module, "upgrade")
        changes = placed(changes_of(up.calls), self._linter._tables)
        down = self._downgrade(script)
        if why := _why_not_seen(up):
            self._miss(POSTGRES, why)
        limits = self._linter._limits.for_script(script.module, script.path, POSTGRES)
        look = PostgresView(
            changes, Source(script), script.module, limits.lock_timeout_s
        )
        self._ask("1", look)
        if down is not None:
            self._ask("1", dataclasses.replace(look, changes=down), "downgrade")
        found: dict[str, Any] = {"up": changes, "down": down}
        counterpart = self._wings.counterpart
        if counterpart is not None:
            wanted = counterpart.translate(up.operations)
            is_known = not up.missed and self._script(MONGO) is not None
            found["wanted"] = wanted if is_known else None
            found["mirrored"] = counterpart.mirrored()
        return found

    def _downgrade(self, script: LoadedScript) -> tuple[Change, ...] | None:
        """Return what a downgrade does; None: that is unknown, or it refuses to run."""
        if not callable(getattr(script.module, "downgrade", None)):
            return None
        down = self._recorder.record(script.module, "downgrade")
        return None if down.missed else changes_of(down.calls)

    def _look_at_mongo(self) -> dict[str, Any]:
        """Check the Mongo script; return what a PairView holds about it."""
        script = self._script(MONGO)
        if script is None:
            return {}
        up, down = self._mongo(Direction.UPGRADE), self._mongo(Direction.DOWNGRADE)
        if up is None:
            return {"wanted": None}
        look = MongoView(
            up,
            Source(script),
            self._wings.facts_of(self._revision.id),
            self._wings.why_not_standalone,
        )
        self._ask("2", look)
        return {"mongo_up": up, "mongo_down": down}

    def _mongo(self, direction: Direction) -> tuple[Placed, ...] | None:
        """Record a Mongo script; None if it refuses to run, which is reported."""
        script = self._script(MONGO)
        assert script is not None
        recorder = LinedOperations(script.path)
        is_upgrade = direction is Direction.UPGRADE
        try:
            operations = self._wings.record_mongo(script, direction, recorder)
        except DualMigrateError as error:
            if is_upgrade:
                self._miss(MONGO, f"{error.what}. {_UNSEEN}")
            return None
        before = self._linter._collections if is_upgrade else Collections()
        return before.place(operations, recorder.lines)

    def _miss(self, side: BackendName, why: str) -> None:
        """Report that rules may have missed something in an upgrade."""
        instead = "# dualmigrate: allow DM004 what the rest does, and who reviewed it"
        self._found[side].append((OWN["DM004"], Advice(why, instead), "upgrade"))

    def _ask(self, digit: str, view: Any, function: str = "upgrade") -> None:
        """Apply the rules of one kind of script to one of its functions."""
        found = self._found[POSTGRES if digit == "1" else MONGO]
        for rule in rules_of(digit):
            if rule.code in self._linter._unasked:
                continue
            if function == "upgrade" or rule.on_downgrade:
                found += [(rule, advice, function) for advice in rule.check(view)]

    def _findings_in(self, side: BackendName, source: Source) -> Iterator[Finding]:
        def finding(rule: Rule, advice: Advice, function: str) -> Finding:
            return Finding(
                rule.code,
                rule.title,
                rule.severity,
                self._revision.id,
                side,
                source.path,
                advice.line or source.line_of(function),
                advice.danger,
                advice.instead,
            )

        allowed = allowances(source)
        once: dict[tuple[str, int, str], Finding] = {}
        for each in starmap(finding, self._found[side]):
            if each.code not in self._linter._ignored:
                once.setdefault((each.code, each.line, each.danger), each)
        found = list(allow(once.values(), allowed))
        found += [finding(*each, "upgrade") for each in self._faults(allowed)]
        yield from sorted(found, key=lambda each: (each.line, each.code))

    def _faults(self, allowed: list[Allowance]) -> Iterator[tuple[Rule, Advice]]:
        unsure = {code for code, rule in RULES.items() if rule.counts}
        unsure |= {*self._linter._ignored, *self._linter._unasked}
        if len(self._linter._sides) < 2:
            unsure |= {code for code in RULES if code.startswith("DM3")}
        return faults(allowed, known={*RULES, "DM004"}, unsure=unsure)


_UNSEEN = "No rule has checked what it does after that."


def _why_not_seen(found: alembic_scripts.Recording) -> str | None:
    """Return why rules may have missed something; None if they have seen it all."""
    name = found.function
    if found.error is not None:
        return f"{name}() cannot be read to its end: {found.error}. {_UNSEEN}"
    if not found.reads:
        return None
    return (
        f"{name}() queries the database and depends on the answer. Lint has no "
        "database, so no rule has checked what depends on it."
    )
