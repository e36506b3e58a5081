"""Restoring both databases from a backup: what comes back, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import (
    downgrade,
    restore,
    status,
    upgrade,
)

from .conftest import MakeApp
from .restore_shop import Shop, add_r2, opened_shop, upgraded


@pytest.fixture
def shop(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> Iterator[Shop]:
    with opened_shop(make_app, tmp_path, engine, mongo_db) as shop:
        yield shop


@pytest.fixture
def upgraded_shop(shop: Shop) -> tuple[Shop, str, dict[str, Any]]:
    """Both sides at r2, with what was there before it."""
    add_r2(shop.tree)
    before = shop.holds()
    return shop, upgraded(), before


def states() -> dict[str, list[str]]:
    """Return what `status` says of each revision: PostgreSQL, then MongoDB."""
    return {
        row.revision: [side.state for side in row.sides.values()]
        for row in status().rows
    }


def test_a_restore_brings_both_databases_back_as_they_were(
    upgraded_shop: tuple[Shop, str, dict[str, Any]],
) -> None:
    shop, backup, before = upgraded_shop
    shop.write()

    result = restore(backup)

    assert shop.holds() == before
    assert states() == {"r1": ["applied"] * 2, "r2": ["pending"] * 2}
    assert result.kept == ()
    counts = {(r.backend.value, r.name): (r.now, r.then) for r in result.replaced}
    assert counts["postgres", "items"] == (10, 9)
    assert counts["mongo", "item"] == (22, 21)
    assert counts["postgres", "late"] == (0, None)


def test_after_a_restore_the_next_upgrade_works(
    upgraded_shop: tuple[Shop, str, dict[str, Any]],
) -> None:
    shop, backup, before = upgraded_shop
    after = shop.holds()
    restore(backup)

    upgrade()
    assert shop.holds() == after
    downgrade()
    assert shop.holds()["mongo"] == before["mongo"]
