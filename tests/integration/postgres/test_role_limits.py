"""Roles of PostgreSQL with time limits and few connections, as managed servers have."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from flask_dualmigrate import (
    DatabaseUnavailable,
    PartialFailure,
    downgrade,
    init,
    upgrade,
)
from tests.integration.conftest import MakeApp, Tree

SLOW = {
    "idle_in_transaction_session_timeout": 'op.execute("SELECT 1")\ntime.sleep(2.5)\n'
    'op.execute("SELECT 1")',
    "transaction_timeout": 'op.execute("SELECT pg_sleep(2.5)")',
    "statement_timeout": 'op.execute("SELECT pg_sleep(2.5)")',
}


@pytest.mark.parametrize("limit", SLOW)
def test_a_limit_of_the_role_is_told_by_name(
    postgres_url: str,
    postgres_server: psycopg.Connection,
    make_app: MakeApp,
    tmp_path: Any,
    limit: str,
) -> None:
    database = sa.make_url(postgres_url).database
    known = postgres_server.execute(
        "SELECT 1 FROM pg_settings WHERE name = %s", [limit]
    ).fetchone()
    if known is None:  # transaction_timeout came with PostgreSQL 17
        limit = "statement_timeout"
    postgres_server.execute(f"ALTER DATABASE \"{database}\" SET {limit} = '1s'")
    app = make_app(active="postgres")
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1", postgres="import time\n" + SLOW[limit])
        init()
        with pytest.raises(PartialFailure, match=limit) as caught:
            upgrade()
        assert caught.value.exit_code == 1


def test_a_role_with_two_connections_migrates_and_one_with_one_is_told(
    postgres_url: str,
    postgres_server: psycopg.Connection,
    make_app: MakeApp,
    tmp_path: Any,
) -> None:
    role = f"few_{uuid4().hex[:8]}"
    database = sa.make_url(postgres_url).database
    postgres_server.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
    try:
        postgres_server.execute(f'ALTER DATABASE "{database}" OWNER TO {role}')
        url = sa.make_url(postgres_url).set(username=role)
        app = make_app(
            active="postgres",
            urls={"postgres": url.render_as_string(hide_password=False)},
            config={"DUALMIGRATE_BACKUP": "never"},
        )
        with app.app_context():
            init()
            tree = Tree(tmp_path / "migrations")
            tree.add(
                "r1",
                postgres='op.create_table("t", sa.Column("a", sa.Integer))',
                postgres_down='op.drop_table("t")',
            )
            init()
            upgrade()
            downgrade()
            app.extensions["sqlalchemy"].engine.dispose()
            postgres_server.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
            with pytest.raises(
                DatabaseUnavailable, match="too many connections"
            ) as one:
                upgrade()
        assert "needs two connections" in str(one.value)
    finally:
        postgres_server.execute(f'ALTER DATABASE "{database}" OWNER TO postgres')
        postgres_server.execute(f"REASSIGN OWNED BY {role} TO postgres")


def test_connections_that_the_server_ends_while_mongodb_works_are_not_missed(
    postgres_url: str,
    postgres_server: psycopg.Connection,
    make_app: MakeApp,
    tree: Tree,
) -> None:
    database = sa.make_url(postgres_url).database
    postgres_server.execute(
        f"ALTER DATABASE \"{database}\" SET idle_session_timeout = '300ms'"
    )
    slow = "import time\ndef slow(db):\n    time.sleep(1)\n"
    tree.add("r1", mongo="op.run(slow, idempotent=True, undo=slow)", mongo_more=slow)
    with make_app().app_context():
        init()
        upgrade()
        downgrade(revision="base")
