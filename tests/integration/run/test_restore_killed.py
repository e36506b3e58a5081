"""kill -9 in a restore: the next one carries on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from pymongo.database import Database

from tests.integration.conftest import MakeApp
from tests.support.crash.world import World, first_difference
from tests.support.nursery import KILLED, Command, Nursery
from tests.support.restore_shop import Shop, add_r2, opened_shop, upgraded

DECIDES = "postgres.restore.committed"
CRITICAL = (
    "mongo.restore.loaded.after",
    "postgres.restore.replaced",
    DECIDES,
    "mongo.restore.decide.after",
    "mongo.restore.put",
    "mongo.restore.end.before",
)
OF_A_RESTORE = ("mongo.restore.", "postgres.restore.")


class Restored:
    """A restore that is killed, again and again, on databases put back each time."""

    def __init__(self, nursery: Nursery, world: World, shop: Shop, backup: str) -> None:
        self._nursery, self._world, self._shop = nursery, world, shop
        self.backup = backup
        self._folder = shop.tree.root.parent

    def keep(self) -> None:
        """Remember the databases as they are; `put_back` goes by that."""
        self._dispose()
        self._world.keep()

    def put_back(self) -> None:
        self._dispose()
        self._world.put_back()

    def run(self, *words: str, crash_at: str = "", log: str = "") -> int | None:
        """Run a command; return its exit code."""
        self._dispose()
        self.output = self._folder / "said"
        self.output.unlink(missing_ok=True)
        command = Command(
            words or ("restore", self.backup, "--yes"),
            str(self._shop.tree.root),
            self._world.postgres_url,
            self._world.mongo_url,
            str(self.output),
            config={
                "DUALMIGRATE_BACKUP_DIR": str(self._shop.backups.root),
                "DUALMIGRATE_LOCK_LEASE_S": 2,
            },
            crash_at=crash_at,
            log=log,
        )
        pid = self._nursery.start(command)
        return self._nursery.wait(pid, timeout_s=60)

    def points(self) -> list[str]:
        """Return the points of a restore that nobody disturbs."""
        log = self._folder / "points"
        assert self.run(log=str(log)) == 0, self.output.read_text()
        last = {point.split("#")[0]: point for point in log.read_text().split()}
        return [point for name, point in last.items() if name.startswith(OF_A_RESTORE)]

    def _dispose(self) -> None:
        self._shop.engine.dispose()
        with self._shop.app.app_context():
            for engine in self._shop.app.extensions["sqlalchemy"].engines.values():
                engine.dispose()


@pytest.fixture
def restored(
    nursery: Nursery,
    postgres_server: psycopg.Connection,
    postgres_url: str,
    mongo_url: str,
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> Iterator[tuple[Restored, Shop, dict[str, Any]]]:
    world = World(postgres_server, postgres_url, mongo_url)
    with opened_shop(make_app, tmp_path, engine, mongo_db) as shop:
        add_r2(shop.tree)
        before = shop.holds()
        backup = upgraded(backup="all")
        shop.write()
        mongo_db.late.insert_one({"_id": "kept"})
        try:
            yield Restored(nursery, world, shop, backup), shop, before
        finally:
            world.close()


@pytest.mark.parametrize(
    "chosen", [CRITICAL, pytest.param((), id="all", marks=pytest.mark.large)]
)
def test_a_restore_that_is_killed_anywhere_is_carried_on(
    restored: tuple[Restored, Shop, dict[str, Any]],
    chosen: tuple[str, ...],
    record_property: Any,
) -> None:
    runs, shop, before = restored
    runs.keep()
    points = [
        point for point in runs.points() if not chosen or point.split("#")[0] in chosen
    ]
    assert len(points) >= len(chosen)
    assert first_difference(shop.holds(), before) is None
    decided = False

    for point in points:
        runs.put_back()
        after = shop.holds()
        assert runs.run(crash_at=point) == KILLED, point
        decided = decided or point.startswith(DECIDES)
        said = runs.run("upgrade", "--yes", "--no-backup") if decided else None
        ended = point.startswith("mongo.restore.end.after")
        if decided and not ended:
            assert said == 3, (point, runs.output.read_text())
            hint = f"flask db-migrate restore {runs.backup}"
            assert hint in runs.output.read_text()
            assert runs.run("status") == 3
        elif not decided:
            assert runs.run("status") == 0, (point, runs.output.read_text())
            assert first_difference(shop.holds(), after) is None, point
        if not ended:
            assert runs.run() == 0, (point, runs.output.read_text())
            assert first_difference(shop.holds(), before) is None, point
            (kept,) = shop.db["_aside_r2_late"].find()
            assert kept == {"_id": "kept"}
            assert runs.run("status") == 0, runs.output.read_text()
    record_property("figures", f"killed at {len(points)} points of a restore")


def test_carrying_on_needs_no_backup_any_more(
    restored: tuple[Restored, Shop, dict[str, Any]],
) -> None:
    runs, shop, before = restored
    assert runs.run(crash_at=f"{DECIDES}#1") == KILLED
    shop.backups.remove(runs.backup)

    assert runs.run("restore", "another", "--yes") == 2
    assert runs.run("restore", runs.backup, "--backend", "mongo", "--yes") == 2
    assert runs.run("restore", runs.backup) == 0, runs.output.read_text()

    assert "continuing a stopped restore" in runs.output.read_text()
    assert first_difference(shop.holds(), before) is None


def test_a_time_series_is_filled_from_the_start_after_a_kill(
    restored: tuple[Restored, Shop, dict[str, Any]],
) -> None:
    runs, shop, _ = restored
    runs.run()
    shop.db.create_collection("series", timeseries={"timeField": "at"}).insert_many(
        [{"at": datetime(2026, 1, day, tzinfo=UTC), "n": day} for day in range(1, 29)]
    )
    before = shop.holds()
    assert runs.run("upgrade", "--yes", "--backup", "all") == 0, runs.output.read_text()
    shop.db.series.delete_many({})

    assert runs.run("restore", "latest", "--yes", crash_at="mongo.restore.copy#1") == (
        KILLED
    )
    assert runs.run("restore", "latest") == 0, runs.output.read_text()

    assert first_difference(shop.holds(), before) is None
    assert shop.db.series.count_documents({}) == 28
