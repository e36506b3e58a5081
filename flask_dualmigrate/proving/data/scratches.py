"""The two scratch databases: what they contain, and the data put into them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ...environment import Environment
from ...revisions import BackendName
from ..snapshots.mongo import mongo_snapshot
from ..snapshots.postgres import postgres_snapshot
from ..snapshots.snapshot import Snapshot
from .mongo import MongoSeeds
from .postgres import PostgresSeeds
from .samples import copy_documents, copy_rows


class Scratches:
    """The two scratch databases: their contents, and the data put into them.

    env: works on them. with_data: insert edge values before each revision.
    real: where rows and documents are copied from, once. sample: how many of each
    table and collection; 0: none.
    """

    def __init__(
        self, env: Environment, *, with_data: bool, real: Environment, sample: int = 0
    ) -> None:
        self.env = env
        self.with_data = with_data
        self._real = real
        self._sample = sample
        self._left = 0

    def look(self) -> dict[BackendName, Snapshot]:
        """Read everything that both sides contain."""
        found = {}
        if BackendName.MONGO in self.env.backends:
            found[BackendName.MONGO] = mongo_snapshot(self._mongo_db)
        if BackendName.POSTGRES in self.env.backends:
            found[BackendName.POSTGRES] = postgres_snapshot(
                self.env.engine, version_table=self._version_table
            )
        return found

    def copy(self) -> None:
        """Replace the data with samples, if any are wanted.

        The scratch databases must be at the same revisions as the real ones.
        """
        if not self._sample:
            return
        self.clear()
        if BackendName.POSTGRES in self.env.backends:
            self._left = copy_rows(
                self._real.engine,
                self.env.engine,
                limit=self._sample,
                version_table=self._version_table,
            )
        if BackendName.MONGO in self.env.backends:
            real = self._real.mongo_side("It is sampled").db
            copy_documents(real, self._mongo_db, limit=self._sample)

    def sow(self, *, at_the_edges: bool = True) -> None:
        """Insert data, if any, into new or changed tables and collections."""
        for seeds in self._seeds.values() if self.with_data else ():
            seeds.sow(at_the_edges=at_the_edges)

    def clear(self) -> None:
        """Empty all tables and collections of the app."""
        for seeds in self._seeds.values():
            seeds.clear()
        self.forget()

    def forget(self) -> None:
        """Treat all tables and collections as new, so that `sow` fills them again."""
        for seeds in self._seeds.values():
            seeds.forget()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the data."""
        left = f"{self._left:,} sampled rows were refused by the scratch database"
        empty = (
            f"{name.label} {table} was left without data: {why}"
            for name, seeds in self._seeds.items()
            for table, why in seeds.notes.items()
        )
        return (*([left] if self._left else ()), *empty)

    @cached_property
    def _seeds(self) -> dict[BackendName, PostgresSeeds | MongoSeeds]:
        found: dict[BackendName, PostgresSeeds | MongoSeeds] = {}
        if BackendName.POSTGRES in self.env.backends:
            version_table = self._version_table
            seeds = PostgresSeeds(self.env.engine, version_table=version_table)
            found[BackendName.POSTGRES] = seeds
        if BackendName.MONGO in self.env.backends:
            found[BackendName.MONGO] = MongoSeeds(self._mongo_db, self._shapes)
        return found

    def _shapes(self) -> tuple[Any, ...]:
        applied = self.env.run.states()[BackendName.MONGO].applied
        return self.env.models.shapes(applied)

    @property
    def _mongo_db(self) -> Any:
        return self.env.mongo_side("It is proved").db

    @property
    def _version_table(self) -> str:
        options = self.env.alembic_options
        return str(options.get("version_table", "alembic_version"))
