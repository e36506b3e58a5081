"""One PostgreSQL database, backed up and restored without an app around it."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from flask_dualmigrate.backend import BackupItem, Extent
from flask_dualmigrate.backend.restorer import Kept, Replacement
from flask_dualmigrate.backups import (
    BackupFolder,
    BackupStore,
    Manifest,
    PostgresPart,
    Scope,
)
from flask_dualmigrate.embedded.wheels import postgres_programs
from flask_dualmigrate.postgres.backup.dump import PostgresDump
from flask_dualmigrate.postgres.backup.libpq import libpq_of
from flask_dualmigrate.postgres.journal.journal import PostgresJournal
from flask_dualmigrate.postgres.restore.content import Content
from flask_dualmigrate.postgres.restore.restore import PostgresRestorer
from flask_dualmigrate.revisions import BackendName, Direction
from flask_dualmigrate.runtime.stopping import NEVER
from flask_dualmigrate.runtime.time_limits import Limits

_PROGRAMS = postgres_programs()
_LIMITS = Limits(lock_timeout_s=2.0, lock_retries=0)


class Place:
    """A database, and the backups of it that a test makes and restores."""

    def __init__(self, engine: sa.Engine, root: Path) -> None:
        self.engine = engine
        self._store = BackupStore(root)
        self._journal = PostgresJournal()
        with engine.begin() as connection:
            self._journal.create(connection)

    def run(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(sql.replace("%", "%%"))

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            found = connection.exec_driver_sql(sql.replace("%", "%%"))
            return [tuple(row) for row in found]

    def dumped(self) -> str:
        """Return all there is, as pg_dump writes it: what it compares it made alike."""
        with self.engine.connect() as connection:
            link = libpq_of(connection)
        ran = subprocess.run(
            [_PROGRAMS / "pg_dump", link.argument(), "--exclude-table=dualmigrate_*"],
            env=link.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        lines = ran.stdout.splitlines()
        return "\n".join(x for x in lines if not x.startswith("\\"))

    @contextmanager
    def backed_up(
        self, tables: Sequence[str] | None, *, made: Sequence[str] = ()
    ) -> Iterator[PostgresRestorer]:
        """Back tables of the schema public up; yield what restores them.

        tables: None: the whole database. made: what the plan is to make.
        """
        items = [
            *(
                BackupItem(schema="public", name=name, is_empty=False)
                for name in tables or ()
            ),
            *(BackupItem(schema="public", name=n, existed=False) for n in made),
        ]
        scope = Scope.ALL if tables is None else Scope.TOUCHED
        extent = Extent(BackendName.POSTGRES, scope, tuple(items))
        now = datetime.datetime.now(datetime.UTC)
        dump = PostgresDump(
            self.engine,
            pg_dump=str(_PROGRAMS / "pg_dump"),
            lock_timeout_s=5,
            stop=NEVER,
            on_progress=None,
        )
        with self._store.new(Direction.UPGRADE, ["r1"], now) as folder:
            part = dump.write(folder, extent, []).part
            assert isinstance(part, PostgresPart)
            yield self._restorer(folder, part, now)

    def _restorer(
        self, folder: BackupFolder, part: PostgresPart, now: datetime.datetime
    ) -> PostgresRestorer:
        manifest = Manifest(
            name=folder.path.name,
            created_at=now,
            direction=Direction.UPGRADE,
            plan=("r1",),
            scope=Scope.TOUCHED,
            pair_id=None,
            versions={},
            files=tuple(folder.files),
            postgres=part,
        )
        content = Content(folder, manifest, lambda: str(_PROGRAMS / "pg_restore"))
        return PostgresRestorer(
            self.engine,
            content,
            journal=self._journal,
            version_table="alembic_version",
            limits=_LIMITS,
            stop=NEVER,
            key=1,
            require_lock=lambda connection: None,
        )


def restored(
    restorer: PostgresRestorer,
) -> tuple[tuple[Replacement, ...], tuple[Kept, ...]]:
    """Restore as the command does: look, say what is replaced, replace."""
    restorer.check()
    return restorer.replacements(), restorer.switch("a mark")
