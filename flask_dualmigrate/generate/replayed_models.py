"""Compare the models with the tables from the Alembic scripts, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from sqlalchemy import MetaData

from ..alembic_scripts import Recorder, Recording
from ..alembic_scripts.op_changes import changes_of
from .mongo.context import Context
from .mongo.counterpart_indexes import postgres_dialect
from .mongo.naming import Naming
from .mongo.translate import replay
from .proposals import Comparison
from .tables.state import Schema, schema_of
from .tables.state_differences import ChangedBySql, StateComparison
from .tables.state_included import Included

_NO_DATABASE = (
    "foreign keys, comments and sequences of the models: PostgreSQL was not used, so "
    "the models were compared with the result of the Alembic scripts"
)


def against_scripts(
    metadata: MetaData, scripts: Mapping[str, ModuleType], *, options: Mapping[str, Any]
) -> Comparison:
    """Compare the models with the tables that scripts create.

    scripts: revision -> its Alembic script, oldest first. options: those of Alembic's
    configure(); its hooks decide what is compared. The result is empty for an app
    without tables.
    """
    dialect = postgres_dialect()
    made = _Replay(Context(Naming(), dialect))
    if not made.run(scripts):
        return Comparison((), tuple(made.notes))
    models: Schema = schema_of(metadata.tables.values(), dialect)
    included = Included(options, metadata, dialect)
    there = included.of_scripts(made.tables, models)
    models = included.of_models(models)
    if not models and not there:
        return Comparison(())
    comparison = StateComparison(dialect, made.by_sql, options)
    found = tuple(comparison.differences(there, models))
    notes = (_NO_DATABASE, *made.notes, *comparison.not_compared)
    return Comparison(found, tuple(dict.fromkeys(notes)))


def made_by_scripts(scripts: Mapping[str, ModuleType]) -> Schema:
    """Return the tables that scripts create, ignoring what they change with SQL.

    scripts: as for `against_scripts`. Empty if one cannot be replayed.
    """
    made = _Replay(Context(Naming(), postgres_dialect()))
    if not made.run(scripts):
        return {}
    by_sql = made.by_sql.parts
    return {
        name: replace(
            table,
            columns={
                key: column
                for key, column in table.columns.items()
                if (name, key) not in by_sql
            },
        )
        for name, table in made.tables.items()
        if name not in by_sql
    }


@dataclass
class _Replay:
    """Runs scripts without a database, and keeps the tables that they leave.

    notes: what the scripts do that this does not show.
    """

    context: Context
    tables: Schema = field(default_factory=dict)
    by_sql: ChangedBySql = field(default_factory=ChangedBySql)
    notes: list[str] = field(default_factory=list)

    def run(self, scripts: Mapping[str, ModuleType]) -> bool:
        """Run scripts; return whether all of them ran to the end."""
        with Recorder() as recorder:
            for revision, module in scripts.items():
                recorded = recorder.record(module, "upgrade")
                if recorded.error is not None:
                    self.notes = [
                        f"the models: the Alembic script of revision {revision} cannot "
                        f"be replayed without a database ({recorded.error})"
                    ]
                    return False
                self._take(recorded, f"revision {revision}")
        return True

    def _take(self, recorded: Recording, place: str) -> None:
        if recorded.reads:
            query = recorded.reads[0]
            self.notes.append(
                f"what {place} does depending on the result of a query: {query}"
            )
        self.tables = replay(recorded.operations, self.tables, self.context)
        for change in changes_of(recorded.calls):
            if change.sql is None:
                continue
            if change.verb == "raw":
                self.notes.append(f"what {place} does in raw SQL: {change.sql}")
            self.by_sql.take(change)
