"""A pooler in transaction mode is refused; a port forward and session mode are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pymongo.database import Database

from flask_dualmigrate import DatabaseUnavailable, init, upgrade
from flask_dualmigrate.postgres.lock.lock import PostgresLock
from tests.integration.conftest import MakeApp, Tree
from tests.support.postgres.proxies import PGBOUNCER, forward, pgbouncer, pooler
from tests.support.snapshots import stamps

Proxy = Callable[[str], AbstractContextManager[str]]

# Of this database alone: other tests have theirs on the same server.
LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)

real = pytest.mark.skipif(PGBOUNCER is None, reason="no PgBouncer is installed")


@pytest.fixture
def proxy(request: pytest.FixtureRequest, folder: Path) -> Proxy:
    """What stands in between, by its name."""
    made: dict[str, Any] = {
        "port forward": forward,
        "transactions": pooler,
        "sessions": partial(pooler, session_mode=True),
        "PgBouncer, transactions": partial(
            pgbouncer, folder=folder, mode="transaction"
        ),
        "PgBouncer, sessions": partial(pgbouncer, folder=folder, mode="session"),
    }
    found: Proxy = made[request.param]
    return found


@pytest.fixture
def near(proxy: Proxy, postgres_url: str) -> Iterator[str]:
    with proxy(postgres_url) as url:
        yield url


@pytest.mark.parametrize(
    "proxy",
    ["transactions", pytest.param("PgBouncer, transactions", marks=real)],
    indirect=True,
)
def test_a_pooler_that_shares_sessions_is_refused_before_anything_is_changed(
    near: str,
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    mongo_db: Database[Any],
    postgres_url: str,
) -> None:
    with make_app(urls={"postgres": near}).app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1", postgres='op.create_table("t")')
        init()
        with pytest.raises(DatabaseUnavailable, match="DUALMIGRATE_POSTGRES_URI") as e:
            upgrade()

    assert e.value.exit_code == 4
    assert stamps(engine, mongo_db) == ([], [])
    with engine.connect() as connection:
        assert connection.exec_driver_sql(LOCKS).scalar_one() == 0

    direct = {"DUALMIGRATE_POSTGRES_URI": postgres_url}
    with make_app(urls={"postgres": near}, config=direct).app_context():
        upgrade()
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


@pytest.mark.parametrize(
    "proxy",
    ["port forward", "sessions", pytest.param("PgBouncer, sessions", marks=real)],
    indirect=True,
)
def test_what_keeps_a_session_for_a_connection_is_not_refused(near: str) -> None:
    engine = sa.create_engine(near)
    lock = PostgresLock(engine, key=7)
    with lock.held(timeout_s=0, on_wait=print), engine.connect() as connection:
        assert connection.exec_driver_sql(LOCKS).scalar_one() == 1
    engine.dispose()
