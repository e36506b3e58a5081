"""The sample app, upgraded, written to, and brought back from its backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_dualmigrate import restore, status, upgrade

from .test_history import HEAD, History, history, history_app

__all__ = ["history", "history_app"]


@pytest.fixture
def shop(history_app: Flask, history: History, tmp_path: Path) -> History:
    history_app.config["DUALMIGRATE_BACKUP"] = "touched"
    history_app.config["DUALMIGRATE_BACKUP_DIR"] = str(tmp_path / "backups")
    return history


def _states() -> list[tuple[str, ...]]:
    return [tuple(s.state for s in row.sides.values()) for row in status().rows]


@pytest.mark.parametrize("position", [1, 4])
def test_the_databases_are_as_they_were_and_upgrade_again(
    shop: History, position: int
) -> None:
    shop.up_to(position)
    shop.seed(position)
    before, states = shop.snapshot(), _states()
    result: Any = upgrade()
    after = shop.snapshot()
    with shop.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM logs"))
    shop.mongo_db.activity_logs.delete_many({})
    shop.mongo_db.item.update_many({}, {"$set": {"price": None}})

    restore(result.backup)

    assert shop.snapshot() == before
    assert _states() == states
    shop.up_to(HEAD)
    assert shop.snapshot() == after
