"""The progress of PostgreSQL's builds: pg_stat_progress_create_index."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...indexes import BuildProgress, OnBuild
from ...revisions import BackendName

_WATCH_S = 1.0
_LEAVE_S = 2.0
_QUERY = sa.text(
    "SELECT p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total,"
    " p.lockers_done, p.lockers_total, p.current_locker_pid"
    " FROM pg_stat_progress_create_index p"
    " JOIN pg_class t ON t.oid = p.relid JOIN pg_namespace n ON n.oid = t.relnamespace"
    " WHERE p.datname = current_database() AND t.relname = :table"
    " AND (:schema = '' OR n.nspname = :schema)"
)


@contextmanager
def watch_until(
    engine: Engine, place: str, name: str, on_build: OnBuild
) -> Iterator[None]:
    """Report the progress of a build, on its own connection, while the block runs."""
    stop = threading.Event()
    watcher = threading.Thread(
        target=_watch,
        args=(stop, engine, place, name, on_build),
        name="dualmigrate-index-build",
        daemon=True,
    )
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        # It may be waiting for a connection of the pool, and must not delay us.
        watcher.join(_LEAVE_S)


def _watch(
    stop: threading.Event, engine: Engine, place: str, name: str, on_build: OnBuild
) -> None:
    while not stop.wait(_WATCH_S):
        try:
            progress = progress_of(engine, place, name)
        except SQLAlchemyError:
            return  # no connection left, or no privilege: the build itself will report
        if progress is not None and not stop.is_set():
            on_build(progress)


def progress_of(engine: Engine, place: str, name: str) -> BuildProgress | None:
    """Return the progress of the build on a table; None if there is none."""
    schema, _, table = place.rpartition(".")
    with engine.connect() as connection:
        row = connection.execute(_QUERY, {"table": table, "schema": schema}).first()
    if row is None:
        return None
    phase, unit, done, total = row.phase, "blocks", row.blocks_done, row.blocks_total
    if row.lockers_total and row.current_locker_pid:
        phase = f"{row.phase} (of server process {row.current_locker_pid})"
        unit, done, total = "transactions", row.lockers_done, row.lockers_total
    elif row.tuples_total:
        unit, done, total = "rows", row.tuples_done, row.tuples_total
    return BuildProgress(
        BackendName.POSTGRES, place, name, phase, done, total or None, unit
    )
