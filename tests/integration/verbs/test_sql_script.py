"""`--sql`: psql and the printed script give what a normal upgrade gives."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from psycopg import sql
from sqlalchemy import make_url

from flask_dualmigrate import downgrade, init, status, upgrade
from flask_dualmigrate.embedded.wheels import postgres_programs
from flask_dualmigrate.postgres.lock.lock import lock_key
from flask_dualmigrate.results import RunResult
from tests.integration.conftest import NOWHERE, MakeApp, Tree
from tests.support.snapshots import postgres_snapshot

NO_SERVER = "postgresql+psycopg://nobody:secret@127.0.0.1:9/nowhere"

BEGIN = """
op.create_table(
    "item",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, server_default="it's 100%"),
    sa.Column("more", sa.JSON),
)
op.bulk_insert(
    sa.table("item", sa.column("id", sa.Integer), sa.column("name", sa.Text)),
    [{"id": 1, "name": "a 'quoted' 5%"}, {"id": 2, "name": "é\\n--"}],
)
more = sa.column("more", sa.JSON)
untyped = sa.table("item", sa.column("id"), sa.column("name"), more)
op.bulk_insert(untyped, [{"id": 3, "name": "of no type: 1%", "more": {"a": ["'"]}}])
op.execute(
    sa.update(untyped).where(untyped.c.id == 3).values(name="b", more={"c": None})
)
op.execute(
    sa.insert(untyped).values([{"id": 4, "name": "d"}, {"id": 5, "name": "e"}])
)
"""
INDEX = """
with op.get_context().autocommit_block():
    op.create_index(
        "ix_name", "item", ["name"], postgresql_concurrently=True, if_not_exists=True
    )
op.execute("UPDATE item SET name = name || '!' WHERE name LIKE 'a %'")
"""
CHILD = """
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "item_id",
        sa.Integer,
        sa.ForeignKey("item.id", deferrable=True, initially="DEFERRED"),
    ),
)
op.add_column("item", sa.Column("status", sa.String(10), server_default="new"))
"""


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


@pytest.fixture
def three(tree: Tree) -> Tree:
    tree.add("r1", postgres=BEGIN, postgres_down='op.drop_table("item")')
    tree.add(
        "r2",
        postgres=INDEX,
        postgres_down='op.drop_index("ix_name", "item")',
        postgres_more="def verify(connection):\n    pass\n",
    )
    tree.add(
        "r3",
        postgres=CHILD,
        postgres_down='op.drop_column("item", "status"); op.drop_table("child")',
    )
    init()
    return tree


@pytest.fixture
def offline(three: Tree, make_app: MakeApp) -> Iterator[Flask]:
    """The same tree, in an app whose servers cannot be reached."""
    app = make_app(urls={"postgres": NO_SERVER, "mongo": NOWHERE})
    with app.app_context():
        yield app


@pytest.fixture
def by_psql(
    postgres_server: psycopg.Connection, postgres_server_url: str
) -> Iterator[sa.Engine]:
    """An empty database beside the app's own."""
    name = f"test_{uuid4().hex}"
    database = sql.Identifier(name)
    postgres_server.execute(sql.SQL("CREATE DATABASE {}").format(database))
    engine = sa.create_engine(make_url(postgres_server_url).set(database=name))
    yield engine
    engine.dispose()
    postgres_server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def psql(engine: sa.Engine, script: str) -> subprocess.CompletedProcess[str]:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return subprocess.run(
        [str(postgres_programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )


def printed(app: Flask, *words: str) -> str:
    said = cli(app, *words)
    assert said.exit_code == 0, said.output
    text: str = said.stdout
    return text


def run_script(engine: sa.Engine, script: str) -> None:
    done = psql(engine, script)
    assert done.returncode == 0, done.stderr + script


def journal(engine: sa.Engine) -> list[dict[str, Any]]:
    """Return the rows of the version table and the journal, without what may differ."""
    with engine.connect() as connection:
        query = sa.text("SELECT * FROM dualmigrate_journal ORDER BY id")
        rows = [dict(row) for row in connection.execute(query).mappings()]
        versions = connection.execute(sa.text("SELECT * FROM alembic_version")).all()
    for row in rows:
        for name in ("started_at", "finished_at", "duration_ms", "by", "host"):
            assert row.pop(name) is not None, name
    return [*rows, {"versions": [tuple(row) for row in versions]}]


def test_psql_gives_what_an_upgrade_gives(
    offline: Flask, app: Flask, engine: sa.Engine, by_psql: sa.Engine
) -> None:
    script = printed(offline, "upgrade", "--sql")
    run_script(by_psql, script)
    with app.app_context():
        upgrade(backend="postgres")
    assert postgres_snapshot(by_psql) == postgres_snapshot(engine)
    assert journal(by_psql) == journal(engine)


def test_ranges_one_after_the_other_and_back_down(
    offline: Flask, app: Flask, engine: sa.Engine, by_psql: sa.Engine
) -> None:
    for words in ("base:r1", "r1:head"):
        run_script(by_psql, printed(offline, "upgrade", "--sql", words))
    run_script(by_psql, printed(offline, "downgrade", "--sql", "r3:r1"))
    with app.app_context():
        upgrade(backend="postgres")
        downgrade(revision="r1", backend="postgres")
    assert postgres_snapshot(by_psql) == postgres_snapshot(engine)
    assert journal(by_psql) == journal(engine)


def test_a_normal_run_follows_a_script(
    offline: Flask, make_app: MakeApp, by_psql: sa.Engine
) -> None:
    run_script(by_psql, printed(offline, "upgrade", "--sql", "base:r2"))
    url = by_psql.url.render_as_string(hide_password=False)
    other = make_app(urls={"postgres": url})
    with other.app_context():
        done = upgrade(backend="postgres")
        assert isinstance(done, RunResult)
        assert [step.revision for step in done.steps] == ["r3"]
        assert status().problems == ()
        downgrade(revision="base", backend="postgres")
    assert postgres_snapshot(by_psql) == {}


def test_a_script_waits_for_nobody_where_the_lock_is_held(
    offline: Flask, by_psql: sa.Engine
) -> None:
    script = printed(offline, "upgrade", "--sql")
    with by_psql.connect() as connection:
        take = sa.text(f"SELECT pg_advisory_lock({lock_key(None)})")
        connection.execute(take)
        done = psql(by_psql, script)
    assert done.returncode != 0
    assert "Another migration holds the lock" in done.stderr
    assert postgres_snapshot(by_psql) == {}


def test_what_needs_a_connection_is_refused_by_the_name_of_its_revision(
    offline: Flask, three: Tree
) -> None:
    three.add("r4", postgres='op.get_bind().execute(sa.text("SELECT 1")).scalar()')
    init()
    said = cli(offline, "upgrade", "--sql")
    assert said.exit_code == 1
    assert said.stdout == ""
    assert "PostgreSQL script of revision r4 cannot be printed" in said.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["upgrade", "--sql", "--mongosh"], "--dry-run, --sql and --mongosh exclude"),
        (["upgrade", "--sql", "--dry-run"], "--dry-run, --sql and --mongosh exclude"),
        (
            ["downgrade", "--mongosh", "--dry-run"],
            "--dry-run, --sql and --mongosh exclude",
        ),
        (["upgrade", "base:r1"], "is a range"),
        (["downgrade", "--dry-run", "r2:r1"], "is a range"),
        (["downgrade", "--sql", "base"], "needs a starting revision"),
        (["upgrade", "--sql", "nope:r1"], "nope"),
        (["upgrade", "--sql", "--backend", "mongo"], "not in use"),
        (["upgrade", "--sql", "--backup", "all"], "--backup needs a run"),
        (["downgrade", "--sql", "r3:r1", "--backup", "all"], "--backup needs a run"),
        (["upgrade", "--mongosh", "--on-error", "keep"], "--on-error needs a run"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_refused(offline: Flask, words: list[str], text: str) -> None:
    said = cli(offline, *words)
    assert said.exit_code == 2
    assert text in said.stderr
