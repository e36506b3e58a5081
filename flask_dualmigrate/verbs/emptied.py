"""What a downgrade recreates empty: tables and columns that its upgrade dropped.

What the upgrade removed from MongoDB is kept aside, and put back. PostgreSQL keeps
nothing: what was in a dropped table is in a backup, or lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..backend import Dropped
from ..backups import Manifest
from ..environment import Environment
from ..revisions import BackendName, Direction, Step


def not_restored(env: Environment, steps: Iterable[Step]) -> tuple[str, ...]:
    """Report what a downgrade does not restore, and which backup has it.

    A table that its backup saw empty is left out: it lost nothing.
    """
    found = [
        (step, dropped)
        for step in steps
        if step.direction is Direction.DOWNGRADE
        for name in step.backends
        for dropped in env.backends[name].dropped_by_upgrade(step)
    ]
    if not found:
        return ()
    pair_ids = {state.pair_id for state in env.run.states_as_they_are().values()}
    backups = (each for each in env.backup_store.list() if each.pair_id in pair_ids)
    return tuple(_lines(found, tuple(backups)))


def _lines(
    found: Iterable[tuple[Step, Dropped]], backups: tuple[Manifest, ...]
) -> Iterator[str]:
    for step, dropped in found:
        backup, rows = _backup_of(backups, step, dropped)
        if rows == 0:
            continue
        what = f"the rows of {dropped.table}"
        if dropped.column is not None:
            what = f"the values of {dropped.table}.{dropped.column}"
        line = f"{what} are not restored on {BackendName.POSTGRES.label}"
        if backup is None:
            yield f"{step.revision.id}  {line}, and no backup here has them"
        else:
            yield (
                f"{step.revision.id}  {line}; backup {backup} has them, as they were "
                f"before the upgrade: flask db-migrate restore {backup}"
            )


def _backup_of(
    backups: tuple[Manifest, ...], step: Step, dropped: Dropped
) -> tuple[str | None, int | None]:
    """Return the newest backup from just before the upgrade, and the rows in it.

    None if there is none, or it is not recorded.
    """
    for manifest in reversed(backups):
        if manifest.postgres is None:
            continue
        applied = {*manifest.postgres.applied}
        if step.revision.id in applied or not applied.issuperset(step.revision.parents):
            continue
        if manifest.postgres.tables is None:
            return manifest.name, None
        for table in manifest.postgres.tables:
            place = (table.schema, table.name)
            if place == (dropped.schema or table.schema, dropped.table):
                return manifest.name, table.rows
    return None, None
