"""The app's models: compared with PostgreSQL, with the scripts, and with MongoDB.

Nothing here queries MongoDB: it says what should exist there, and under which names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol

from alembic.runtime.environment import EnvironmentContext
from alembic.script.base import Script
from sqlalchemy import Connection, MetaData
from sqlalchemy.engine import Dialect

from ..alembic_scripts.hooks import includes
from ..indexes import (
    DeclaredIndexes,
    SqlComparison,
    edited_in_scripts,
    settle_declarations,
)
from ..revisions import BackendName
from ..tree.directory import ScriptDirectory
from ..tree.pair import Header, Pair
from .alembic.sql_indexes import compare_sql_indexes
from .mongo.counterpart_indexes import counterparts, script_counterparts
from .mongo.naming import Naming
from .mongo.paired import Paired, paired_fields
from .mongo.shapes import CollectionShape, collection_shapes
from .pair import empty_pair, empty_partner, pair_from_script
from .proposals import Comparison, compare_models, generate
from .replayed_models import against_scripts, made_by_scripts
from .tables.state import Schema
from .tables.types import plain_dialect
from .tables.unchecked_enums import has_unchecked_enums


class Database(Protocol):
    """What comparing the models needs from PostgreSQL.

    hooks: what the app's hooks see as `context` inside the with block; given: the
    options of the command.
    """

    @property
    def dialect(self) -> Dialect: ...

    def connect(self) -> AbstractContextManager[Connection]: ...

    def hooks(self, **given: Any) -> AbstractContextManager[EnvironmentContext]: ...


class Models:
    """What an app's models declare, for the databases and the scripts of a tree.

    metadata: the models' tables; None: the app has no SQL side. validators: "off",
    "warn" or "error". options: the app's arguments for Alembic's configure().
    directory: the tree, loaded when needed.
    """

    def __init__(
        self,
        metadata: MetaData | None,
        *,
        naming: Naming,
        validators: str,
        options: Mapping[str, Any],
        database: Database,
        directory: Callable[[], ScriptDirectory],
    ) -> None:
        self._given = metadata
        self.naming = naming
        self._validators = validators
        self._options = options
        self._database = database
        self._directory = directory

    @property
    def metadata(self) -> MetaData:
        """The models' tables."""
        assert self._given is not None
        return self._given

    def compare(self, heads: Sequence[str]) -> Comparison:
        """Compare the models with PostgreSQL. heads: all its current revisions."""
        scripts = self._made_by_scripts()
        with (
            self._database.connect() as link,
            self._database.hooks(autogenerate=True) as context,
        ):
            return compare_models(
                link,
                self.metadata,
                options=self._options,
                environment=context,
                heads=heads,
                made=scripts,
            )

    def against_scripts(self) -> Comparison:
        """Compare the models with what the tree's Alembic scripts create."""
        if self._given is None:
            return Comparison(())
        return against_scripts(self._given, self._modules(), options=self._options)

    def generate(self, header: Header, **told: Any) -> Pair:
        """Make both scripts from what the models have and PostgreSQL lacks.

        told: what the app's hooks see as the options of the command.
        """
        scripts = self._made_by_scripts()
        with (
            self._database.connect() as link,
            self._database.hooks(**told) as context,
        ):
            return generate(
                link,
                self.metadata,
                header,
                naming=self.naming,
                validators=self._validators,
                options=self._options,
                environment=context,
                made=scripts,
            )

    @staticmethod
    def empty_pair(header: Header) -> Pair:
        """Return a pair that does nothing yet, to be filled by hand."""
        return empty_pair(header)

    def partner(self, header: Header, missing: BackendName) -> str:
        """Return the missing script of a revision, as far as the other one shows it."""
        if missing is not BackendName.MONGO:
            return empty_partner(header, missing)
        directory, name = self._directory(), BackendName.POSTGRES
        before = directory.ancestors([header.revision]) - {header.revision}
        return pair_from_script(
            directory.script(name, header.revision),
            header,
            earlier_scripts=self._scripts(before),
            naming=self.naming,
            validators=self._validators,
        )

    def sql_indexes(
        self, connection: Connection, environment: EnvironmentContext | None
    ) -> SqlComparison:
        """Compare the indexes of the models with those of PostgreSQL."""
        return compare_sql_indexes(
            connection, self.metadata, options=self._options, environment=environment
        )

    def mongo_indexes(
        self,
        applied: Collection[str],
        *,
        documents: Callable[[], DeclaredIndexes],
        scripted: Callable[[], DeclaredIndexes],
    ) -> DeclaredIndexes:
        """Return what MongoDB should have: from models, documents, applied scripts."""
        made = DeclaredIndexes()
        naming, included = self.naming, includes(self._options)
        models = counterparts(self.metadata, naming=naming, included=included)
        if applied:
            made = scripted()
            models = edited_in_scripts(
                models,
                made,
                lambda: script_counterparts(self._scripts(applied), naming=naming),
            )
        return settle_declarations([models, documents(), made])

    def mirrored(self) -> tuple[tuple[str, str], ...]:
        """Return the tables that have a collection, each with its name, in order."""
        included = includes(self._options)
        tables = [key for key, item in self.metadata.tables.items() if included(item)]
        named = ((table, self.naming.collection(table)) for table in tables)
        return tuple(sorted((table, name) for table, name in named if name is not None))

    def paired_fields(self, table: str) -> tuple[Paired, ...]:
        """Return the columns of a model's table, each with its field in MongoDB."""
        found = self.metadata.tables[table]
        return tuple(paired_fields(found, self.naming, self._database.dialect))

    def key_of(self, table: str) -> str | None:
        """Return the primary key of a model's table, if it has one column."""
        names = [column.name for column in self.metadata.tables[table].primary_key]
        return str(names[0]) if len(names) == 1 else None

    def shapes(self, applied: Collection[str]) -> tuple[CollectionShape, ...]:
        """Return what documents look like when these revisions are applied."""
        return collection_shapes(self._scripts(applied), naming=self.naming)

    def _made_by_scripts(self) -> Schema:
        """Return the tables that the tree's Alembic scripts create, as far as known.

        Empty if everything in the models can also be read from the database.
        """
        if not has_unchecked_enums(
            self.metadata, plain_dialect(self._database.dialect)
        ):
            return {}
        return made_by_scripts(self._modules())

    def _modules(self) -> dict[str, ModuleType]:
        """Return the tree's Alembic scripts by revision, oldest first."""
        found = self._scripts(self._directory().revisions)
        return {script.revision: script.module for script in found}

    def _scripts(self, wanted: Collection[str]) -> list[Script]:
        """Return the Alembic scripts of some revisions, oldest first."""
        name, directory = BackendName.POSTGRES, self._directory()
        known = [rev.id for rev in directory.topological() if rev.id in wanted]
        return [
            directory.script(name, key) for key in known if directory.has(name, key)
        ]
