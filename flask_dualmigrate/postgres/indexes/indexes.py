"""Reading, comparing, building, dropping and rebuilding PostgreSQL's indexes.

Everything is built and dropped CONCURRENTLY, outside of a transaction, so that readers
and writers can continue. A build that fails leaves an INVALID index: it is dropped
first, then built again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import OperationError, UsageError
from ...indexes import (
    DeclaredIndex,
    Difference,
    FoundIndex,
    Listing,
    OnBuild,
    Remedy,
    SqlComparison,
    SqlIndex,
    State,
    Verdict,
)
from ...indexes.comparison import STAND_IN
from ...revisions import BackendName
from ...runtime.crashpoints import around
from ..dialects import dialect_of
from ..lock.at_work import enter, leave
from ..server.errors import connection_lost, driver_errors, server_words, unavailable
from . import reading
from .progress import progress_of, watch_until

_POLL_S = 0.5
_MODELS = ("the models",)


class PostgresIndexes:
    """The indexes of one database.

    compare: Alembic's comparison of the models with a connection's database.
    key: of the migration lock.
    lock_timeout_s: seconds to wait for a table's lock that blocks writers; patience_s:
    seconds that a statement that blocks no one waits for older transactions.
    """

    name = BackendName.POSTGRES

    def __init__(
        self,
        engine: Engine,
        compare: Callable[[Connection], SqlComparison],
        *,
        key: int,
        version_table: str = "alembic_version",
        lock_timeout_s: float = 5.0,
        patience_s: float = 600.0,
    ) -> None:
        dialect = dialect_of(engine)
        if not dialect.has_index_commands:
            raise UsageError(
                f"The index commands are for PostgreSQL, not for {dialect.name}",
                hint="If the app also has MongoDB: --backend mongo.",
            )
        self._engine = engine
        self._compare = compare
        self._key = key
        self._ours = (version_table,)
        self._lock_timeout_s = lock_timeout_s
        self._patience_s = patience_s
        self._declared: dict[tuple[str, str], SqlIndex] = {}

    def read(self, place: str | None) -> Listing:
        with driver_errors("list indexes"), self._engine.connect() as connection:
            found = reading.read(connection, ours=self._ours)
            if place is not None:
                found = tuple(index for index in found if index.place == place)
                if not found:
                    self._require_table(connection, place)
        return Listing(found)

    def _require_table(self, connection: Connection, place: str) -> None:
        schema, _, table = place.rpartition(".")
        names = sa.inspect(connection).get_table_names(schema=schema or None)
        if table not in names:
            raise UsageError(
                f"Table {place} does not exist",
                hint="List them with: flask db-migrate index list",
            )

    def diff(self, place: str | None) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        """Return a difference for each index, ignoring those of primary keys.

        They belong to their table, as do those of exclusion constraints.
        """
        with driver_errors("compare indexes"), self._engine.connect() as connection:
            compared = self._compare(connection)
        every = self.read(None).indexes
        found = {
            (index.place, index.name): index
            for index in every
            if not index.options.get("primary_key")
        }
        self._declared = {(item.table, item.name): item for item in compared.add}
        places = sorted({*self._declared, *found})
        differences = [self._judge(key, found.get(key), compared) for key in places]
        if place is None:
            return tuple(differences), compared.notes
        if place not in {*compared.there, *compared.absent}:
            self.read(place)
        wanted = tuple(item for item in differences if item.place == place)
        return wanted, compared.notes

    def _judge(
        self,
        key: tuple[str, str],
        found: FoundIndex | None,
        compared: SqlComparison,
    ) -> Difference:
        wanted = self._declared.get(key)
        verdict, why, remedy = _verdict(key, found, wanted, compared)
        declared = None
        if wanted is not None:
            options = {"definition": _definition(wanted)}
            parts = tuple((part, 1) for part in wanted.key)
            declared = DeclaredIndex(*key, parts, options, _MODELS)
        elif found and _is_declared(key, compared):
            declared = DeclaredIndex(*key, found.key, found.options, _MODELS)
        return Difference(
            BackendName.POSTGRES, *key, verdict, declared, found, why, remedy
        )

    def fix(self, difference: Difference, on_build: OnBuild) -> None:
        key = (difference.place, difference.name)
        wanted, found = self._declared.get(key), difference.found
        if wanted is None:  # as declared, and INVALID: built by its own definition
            assert found is not None
            self._rebuild_invalid(found, on_build)
            return
        if found is not None and found.state is State.INVALID:
            self._drop_concurrently(found)
            found = None
        if found is None:
            self._build(wanted, wanted.name, on_build)
            if wanted.constraint is not None:
                self._swap([self._add_constraint(wanted, wanted.name)])
        else:
            self._replace(wanted, found, on_build)

    def _replace(self, wanted: SqlIndex, found: FoundIndex, on_build: OnBuild) -> None:
        """Build it under another name, then swap the two in one transaction."""
        schema = _schema(found.place)
        name = f"{STAND_IN}{wanted.name}"[:63]
        self._run(f"DROP INDEX CONCURRENTLY IF EXISTS {self._quoted(name, schema)}")
        self._build(wanted, name, on_build)
        if wanted.constraint is not None:
            last = self._add_constraint(wanted, name)
        else:
            old, new = self._quoted(name, schema), self._quoted(wanted.name)
            last = f"ALTER INDEX {old} RENAME TO {new}"
        self._swap([self._drop_statement(found, ""), last])

    def _rebuild_invalid(self, found: FoundIndex, on_build: OnBuild) -> None:
        definition = str(found.options["definition"])
        head, _, rest = definition.partition(" INDEX ")
        self._drop_concurrently(found)
        self._watched(
            f"{head} INDEX CONCURRENTLY {rest}", found.place, found.name, on_build
        )

    def drop(self, place: str, name: str, *, hidden_for_s: float = 0.0) -> None:
        found = self._found(place, name)
        if found.constraint is not None:
            self._swap([self._drop_statement(found, "")])
        else:
            self._drop_concurrently(found)

    def rebuild(self, place: str, name: str, on_build: OnBuild) -> None:
        """REINDEX INDEX CONCURRENTLY, after dropping the remains of a failed one."""
        found = self._found(place, name)
        for other in self.read(place).indexes:
            is_left = other.name.startswith((f"{name}_ccnew", f"{name}_ccold"))
            if is_left and other.state is State.INVALID:
                self._drop_concurrently(other)
        statement = f"REINDEX INDEX CONCURRENTLY {self._name_of(found)}"
        self._watched(statement, place, name, on_build)

    def wait(self, difference: Difference, on_build: OnBuild) -> None:
        place, name = difference.place, difference.name
        pause = threading.Event()
        while any(
            index.name == name and index.state is State.BUILDING
            for index in self.read(place).indexes
        ):
            with driver_errors("report the progress of a build"):
                progress = progress_of(self._engine, place, name)
            if progress is not None:
                on_build(progress)
            pause.wait(_POLL_S)

    def require(self, place: str, name: str, *, to_drop: bool = True) -> str:
        found = self._found(place, name)
        is_unique = bool(found.options.get("unique"))
        if to_drop and found.constraint and not is_unique:
            raise UsageError(
                f"{name} of {place} belongs to the constraint {found.constraint}",
                hint="Drop the constraint in a revision.",
            )
        return f"{place}: {found.options['definition']}"

    def _found(self, place: str, name: str) -> FoundIndex:
        indexes = self.read(place).indexes
        for index in indexes:
            if index.name == name:
                return index
        known = ", ".join(index.name for index in indexes) or "none"
        raise UsageError(f"{place} has no index {name}", hint=f"It has: {known}.")

    def _build(self, wanted: SqlIndex, name: str, on_build: OnBuild) -> None:
        statement = f"{wanted.before}{self._quoted(name)}{wanted.after}"
        self._watched(statement, wanted.table, name, on_build)

    def _watched(
        self, statement: str, place: str, name: str, on_build: OnBuild
    ) -> None:
        with watch_until(self._engine, place, name, on_build):
            self._run(statement, about=f"build the index {name} of {place}")

    def _drop_concurrently(self, found: FoundIndex) -> None:
        self._run(self._drop_statement(found, "CONCURRENTLY "))

    def _drop_statement(self, found: FoundIndex, how: str) -> str:
        if found.constraint is None:
            return f"DROP INDEX {how}IF EXISTS {self._name_of(found)}"
        table = self._table(found.place)
        return f"ALTER TABLE {table} DROP CONSTRAINT {self._quoted(found.constraint)}"

    def _add_constraint(self, wanted: SqlIndex, index: str) -> str:
        return (
            f"ALTER TABLE {self._table(wanted.table)} ADD CONSTRAINT "
            f"{self._quoted(wanted.name)} UNIQUE USING INDEX {self._quoted(index)}"
            f"{wanted.constraint}"
        )

    @around("postgres.index.statement")
    def _run(self, statement: str, *, about: str | None = None) -> None:
        """Run one statement outside a transaction; it blocks no reads or writes."""
        limit_ms = int(self._patience_s * 1000)
        with _refusals(about or statement), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f"SET lock_timeout = {limit_ms}")
            enter(connection, self._key)
            try:
                connection.exec_driver_sql(statement.replace("%", "%%"))
            finally:
                # Release it before the next statement needs it: a session that is only
                # closed may hold its lock for a moment longer.
                leave(connection, self._key)
                connection.invalidate()  # the setting is the session's, not the pool's

    @around("postgres.index.swap")
    def _swap(self, statements: Sequence[str]) -> None:
        """Run statements that lock the table for a moment, in one transaction."""
        limit_ms = int(self._lock_timeout_s * 1000)
        with _refusals(statements[-1]), self._engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {limit_ms}")
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def _name_of(self, found: FoundIndex) -> str:
        return self._quoted(found.name, _schema(found.place))

    def _table(self, place: str) -> str:
        schema, _, table = place.rpartition(".")
        return self._quoted(table, schema or None)

    def _quoted(self, name: str, schema: str | None = None) -> str:
        quote = self._engine.dialect.identifier_preparer.quote
        return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


@contextmanager
def _refusals(doing: str) -> Iterator[None]:
    """Report what PostgreSQL refuses as this package's errors."""
    try:
        yield
    except SQLAlchemyError as error:
        if isinstance(error, DBAPIError) and connection_lost(error):
            raise unavailable(doing, error) from error
        raise OperationError(
            f"PostgreSQL could not {doing}: {server_words(error)}",
            hint=_HINTS.get(getattr(getattr(error, "orig", None), "sqlstate", None)),
        ) from error


_HINTS: dict[str | None, str] = {
    "23505": "Make the values unique, and run it again: the INVALID index "
    "left behind is dropped first.",
    "55P03": "An older transaction did not end in time. Run it again: an INVALID "
    "index left behind is dropped first.",
    "0A000": "PostgreSQL cannot do this CONCURRENTLY. Do it in a revision.",
}
"""SQLSTATE -> what to do."""


def _schema(place: str) -> str | None:
    return place.rpartition(".")[0] or None


def _definition(wanted: SqlIndex) -> str:
    return f"{wanted.before}{wanted.name}{wanted.after}".replace(
        " CONCURRENTLY IF NOT EXISTS", ""
    )


def _is_declared(key: tuple[str, str], compared: SqlComparison) -> bool:
    """Return whether Alembic finds nothing to do about an existing index."""
    table, name = key
    is_ours = name.startswith(STAND_IN)
    return table in compared.there and key not in compared.remove and not is_ours


def _verdict(
    key: tuple[str, str],
    found: FoundIndex | None,
    wanted: SqlIndex | None,
    compared: SqlComparison,
) -> tuple[Verdict, str | None, Remedy]:
    table = key[0]
    if found is None:
        if table in compared.absent:
            return Verdict.MISSING, "the table does not exist", Remedy.NONE
        return Verdict.MISSING, None, Remedy.CREATE
    if found.state is State.BUILDING:
        return Verdict.BUILDING, None, Remedy.WAIT
    if wanted is None and not _is_declared(key, compared):
        why = "INVALID: its build failed" if found.state is State.INVALID else None
        return Verdict.UNDECLARED, why, Remedy.DROP
    if found.state is State.INVALID:
        return Verdict.CONFLICT, "INVALID: its build failed", Remedy.REPLACE
    if wanted is not None:
        why = f"it is: {found.options['definition']}; declared: {_definition(wanted)}"
        return Verdict.CONFLICT, why, Remedy.REPLACE
    if key in compared.not_compared:
        return Verdict.NOT_COMPARED, None, Remedy.NONE
    return Verdict.OK, None, Remedy.NONE
