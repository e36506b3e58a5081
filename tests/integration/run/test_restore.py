"""Restoring both databases from a backup: what comes back, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskCliRunner
from pymongo.database import Database

from flask_dualmigrate import asides, downgrade, init, restore, status, upgrade
from flask_dualmigrate.backend.restorer import Kept
from flask_dualmigrate.errors import IntegrityError
from flask_dualmigrate.results import AsidesResult
from flask_dualmigrate.revisions import BackendName
from tests.integration.conftest import MakeApp
from tests.support.restore_shop import R2, Shop, add_r2, opened_shop, upgraded

Upgraded = tuple[Shop, str, dict[str, Any]]


@pytest.fixture
def shop(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> Iterator[Shop]:
    with opened_shop(make_app, tmp_path, engine, mongo_db) as shop:
        yield shop


@pytest.fixture
def at_r2(shop: Shop) -> Upgraded:
    """Both sides at r2: the shop, the backup before it, what was there then."""
    add_r2(shop.tree)
    before = shop.holds()
    return shop, upgraded(), before


def states() -> dict[str, list[str]]:
    """Return what `status` says of each revision: PostgreSQL, then MongoDB."""
    return {
        row.revision: [side.state for side in row.sides.values()]
        for row in status().rows
    }


def test_a_restore_brings_both_databases_back_as_they_were(at_r2: Upgraded) -> None:
    shop, backup, before = at_r2
    shop.write()

    result = restore(backup)

    assert shop.holds() == before
    assert states() == {"r1": ["applied"] * 2, "r2": ["pending"] * 2}
    assert result.kept == ()
    counts = {(r.backend.value, r.name): (r.now, r.then) for r in result.replaced}
    assert counts["postgres", "items"] == (10, 9)
    assert counts["mongo", "item"] == (22, 21)
    assert counts["postgres", "late"] == (0, None)


def test_after_a_restore_the_next_upgrade_works(at_r2: Upgraded) -> None:
    shop, backup, before = at_r2
    after = shop.holds()
    restore(backup)

    upgrade()
    assert shop.holds() == after
    downgrade()
    assert shop.holds()["mongo"] == before["mongo"]


def test_a_restore_takes_a_downgrade_back(at_r2: Upgraded) -> None:
    shop, _, _ = at_r2
    before = shop.holds()
    result = downgrade()
    assert not isinstance(result, tuple)

    restore("latest")

    assert shop.holds() == before
    assert states()["r2"] == ["applied"] * 2


def test_a_backup_of_everything_brings_back_what_no_plan_names(shop: Shop) -> None:
    shop.db.create_collection(
        "readings", timeseries={"timeField": "at", "metaField": "of"}
    ).insert_many([{"at": datetime(2026, 1, 1, n, tzinfo=UTC)} for n in range(5)])
    shop.db.create_collection("capped", capped=True, size=4096).insert_one({"_id": 1})
    shop.db.create_collection(
        "spoken", collation={"locale": "de", "strength": 1}
    ).insert_one({"_id": "Ä"})
    shop.db.create_collection(
        "seen", viewOn="item", pipeline=[{"$match": {"name": "n1"}}]
    )
    add_r2(shop.tree)
    before = shop.holds()
    backup = upgraded(backup="all")
    shop.write()
    for name in ("seen", "other", "spoken"):
        shop.db.drop_collection(name)
    shop.db.readings.delete_many({})
    with shop.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM orders"))
        connection.execute(sa.text("DROP VIEW cheapest"))
        connection.execute(sa.text("CREATE TABLE since (id int)"))
        connection.execute(sa.text("ALTER TYPE mood ADD VALUE 'mad'"))

    restore(backup)

    assert shop.holds() == before
    assert states()["r2"] == ["pending"] * 2


def test_what_the_app_wrote_into_new_places_is_kept_aside(at_r2: Upgraded) -> None:
    shop, backup, before = at_r2
    shop.db.late.insert_one({"_id": 1})
    with shop.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO late VALUES (1), (2)"))

    result = restore(backup)

    assert set(result.kept) == {
        Kept(BackendName.POSTGRES, "late", "dualmigrate_aside_late", 2),
        Kept(BackendName.MONGO, "late", "_aside_r2_late", 1),
    }
    assert shop.holds() == before
    assert shop.db["_aside_r2_late"].find_one() == {"_id": 1}
    with shop.engine.connect() as connection:
        rows = sa.text("SELECT count(*) FROM dualmigrate_aside_late")
        assert connection.execute(rows).scalar_one() == 2
    listed = asides()
    assert isinstance(listed, AsidesResult)
    assert [aside.collection for aside in listed.asides] == ["late"]
    upgrade()


def test_a_view_that_was_made_anew_is_what_it_was(shop: Shop) -> None:
    view = (
        'op.execute("DROP VIEW cheap CASCADE")\n'
        'op.drop_column("items", "name")\n'
        'op.execute("CREATE VIEW cheap AS SELECT id FROM items")\n'
    )
    add_r2(shop.tree, postgres=view)
    before = shop.holds()

    restore(upgraded())

    assert shop.holds() == before


@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_one_side_alone_can_be_restored(at_r2: Upgraded, side: str) -> None:
    shop, backup, before = at_r2
    after = shop.holds()

    restore(backup, backend=side)

    other = "mongo" if side == "postgres" else "postgres"
    assert shop.holds()[side] == before[side]
    assert shop.holds()[other] == after[other]
    upgrade()
    assert shop.holds() == after


@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_an_app_of_one_side_restores_it_without_the_other(
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
    side: str,
) -> None:
    nowhere = {
        "postgres": {"mongo": "mongodb://127.0.0.1:9/nowhere"},
        "mongo": {"postgres": "postgresql+psycopg://nobody@127.0.0.1:9/nowhere"},
    }[side]
    with opened_shop(
        make_app, tmp_path, engine, mongo_db, active=side, urls=nowhere
    ) as shop:
        add_r2(shop.tree)
        before = shop.side(side)
        backup = upgraded()
        assert shop.side(side) != before

        restore(backup)

        assert shop.side(side) == before


def test_sessions_of_the_app_stay_connected(at_r2: Upgraded) -> None:
    shop, backup, _ = at_r2
    pid = sa.text("SELECT pg_backend_pid(), count(*) FROM items")
    with shop.engine.connect() as connection:
        before = connection.execute(pid).one()
        connection.rollback()

        restore(backup)

        assert connection.execute(pid).one() == before


def test_a_table_that_somebody_holds_stops_a_restore_before_it_changes_anything(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    limits = {
        "DUALMIGRATE_POSTGRES_LOCK_TIMEOUT_S": 0.1,
        "DUALMIGRATE_POSTGRES_LOCK_RETRIES": 0,
    }
    with opened_shop(make_app, tmp_path, engine, mongo_db, more_config=limits) as shop:
        add_r2(shop.tree)
        backup = upgraded()
        after = shop.holds()
        with shop.engine.connect() as connection:
            connection.execute(sa.text("LOCK TABLE items"))
            assert _run(shop, "restore", backup, "--yes").exit_code == 5
        assert shop.holds() == after
        assert states()["r2"] == ["applied"] * 2
        restore(backup)


def test_rows_that_refer_to_later_ones_are_named_and_nothing_is_changed(
    at_r2: Upgraded,
) -> None:
    shop, backup, _ = at_r2
    with shop.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO items (name) VALUES ('later')"))
        connection.execute(
            sa.text("INSERT INTO orders (item_id) SELECT max(id) FROM items")
        )
    after = shop.holds()

    said = _run(shop, "restore", backup, "--yes")

    assert said.exit_code == 4
    assert "Rows of a table that is not in this backup refer to rows" in said.output
    assert shop.holds() == after


def test_a_person_is_asked_with_what_would_be_lost(at_r2: Upgraded) -> None:
    shop, backup, _ = at_r2
    shop.write()
    after = shop.holds()

    said = _run(shop, "restore", backup)

    assert said.exit_code == 2
    assert "PostgreSQL: r2 no longer applied" in said.output
    assert "items on PostgreSQL: 10 rows now, 9 in the backup" in said.output
    assert "item on MongoDB: 22 documents now, 21 in the backup" in said.output
    assert (
        "late on MongoDB: removed, as it was created since; it is empty" in said.output
    )
    assert "--yes" in said.output
    assert shop.holds() == after


def test_the_command_says_what_it_brought_back(at_r2: Upgraded) -> None:
    shop, backup, _ = at_r2

    said = _run(shop, "restore", backup, "--yes", "--quiet")

    assert said.exit_code == 0
    assert said.stdout.startswith(f"Restored PostgreSQL and MongoDB from {backup}.\n")
    assert said.stdout.endswith(
        "MongoDB: 1 revision applied, as at that time.\n"
        "Changes that scripts made outside these databases are in no backup and "
        "remain.\n"
    )


def _run(shop: Shop, *words: str) -> Any:
    runner = FlaskCliRunner(shop.app)
    return runner.invoke(args=["db-migrate", *words])


@pytest.mark.parametrize(
    "rows", [1_000, 5_000, pytest.param(300_000, marks=pytest.mark.large)]
)
def test_after_a_failed_migration_a_restore_brings_back_every_row_and_document(
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
    rows: int,
) -> None:
    failing = f"{R2}\nop.execute('COMMIT')\nop.execute('SELECT 1/0')"
    with opened_shop(make_app, tmp_path, engine, mongo_db, rows=rows) as shop:
        field = 'op.add_field("item", "x", default=1)'
        shop.tree.add("r2", postgres=failing, mongo=field)
        init()
        before = shop.holds()
        said = _run(shop, "upgrade", "--yes", "--on-error", "keep")
        assert said.exit_code == 1
        assert shop.holds() != before
        (backup,) = shop.backups.names()
        assert f"flask db-migrate restore {backup}" in said.output

        restore(backup)

        assert shop.holds() == before
        assert states()["r2"] == ["pending"] * 2


def test_a_backup_that_lacks_what_a_later_revision_changed_is_refused(
    at_r2: Upgraded,
) -> None:
    shop, before_r2, then = at_r2
    shop.tree.add("r3", postgres='op.add_column("orders", sa.Column("x", sa.Text))')
    init()
    at_r2_again = shop.holds()
    before_r3 = upgraded()
    at_r3 = shop.holds()

    with pytest.raises(IntegrityError, match="since then r3 changed more") as raised:
        restore(before_r2)

    assert shop.holds() == at_r3
    assert f"restore {before_r3}" in (raised.value.hint or "")
    restore(before_r3)
    assert shop.holds() == at_r2_again
    restore(before_r2)
    assert shop.holds() == then
