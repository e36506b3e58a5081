"""An app that runs on one of the two: the other is never connected to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import (
    UsageError,
    check,
    current,
    downgrade,
    history,
    init,
    stamp,
    status,
    upgrade,
)
from tests.integration.conftest import NOWHERE, MakeApp, Tree
from tests.support.snapshots import stamps

NO_POSTGRES = "postgresql+psycopg://nobody:secret@127.0.0.1:9/nowhere"
URLS = {"postgres": {"mongo": NOWHERE}, "mongo": {"postgres": NO_POSTGRES}}


@pytest.mark.parametrize("active", ["postgres", "mongo"])
def test_everything_works_while_the_other_url_points_nowhere(
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
    active: str,
) -> None:
    app = make_app(active=active, urls=URLS[active])
    began = time.monotonic()
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        for revision_id in ("r1", "r2"):
            tree.add(revision_id)
        init()
        upgrade()
        downgrade()
        upgrade()
        stamp()
        current()
        history(indicate_current=True)
        assert check().ok
        sides = status().rows[0].sides
    other = "mongo" if active == "postgres" else "postgres"
    assert sides[active].state == "applied"  # type: ignore[index]
    assert sides[other].state == "not used here"  # type: ignore[index]
    expected = {"postgres": (["r2"], []), "mongo": ([], ["r1", "r2"])}
    assert stamps(engine, mongo_db) == expected[active]
    assert time.monotonic() - began < 10  # a refused connection is asked for 30 s


def test_a_narrowed_run_refuses_a_side_that_is_not_in_use(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(active="postgres", urls=URLS["postgres"])
    with app.app_context():
        init()
        with pytest.raises(UsageError, match="not in use here"):
            upgrade(backend="mongo")


def test_a_side_that_comes_into_use_later_skips_no_migration(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    active = ["postgres"]
    app = make_app(active=lambda: active[0])
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1", mongo='op.create_collection("one")')
        tree.add("r2", mongo='op.create_collection("two")')
        init()
        upgrade()
        active[0] = "mongo"
        upgrade()
        active[0] = "both"
        assert upgrade().steps == ()  # type: ignore[union-attr]
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert {"one", "two"} <= set(mongo_db.list_collection_names())


def test_active_that_is_none_of_the_three_is_refused(make_app: MakeApp) -> None:
    app = make_app(active="oracle")
    with app.app_context():
        init()
        with pytest.raises(UsageError, match="oracle"):
            upgrade()
