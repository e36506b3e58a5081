"""What a script sets for its session ends with it."""

from __future__ import annotations

from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.errors import ScriptError
from tests.integration.conftest import MakeApp, Tree

SETS = """
op.execute("CREATE SCHEMA elsewhere")
op.execute("CREATE TABLE elsewhere.alembic_version (version_num text)")
op.execute("SET search_path TO elsewhere")
op.execute("SET session_replication_role = replica")
op.execute("SET statement_timeout = '1h'")
op.execute("SET my.own = 'x'")
op.execute("CREATE TEMP TABLE here (id int)")
op.execute("LISTEN somebody")
op.execute("SELECT pg_advisory_lock(77)")
op.execute("SELECT set_config('row_security', 'off', false)")
"""
LEFT = (
    "SELECT current_setting('search_path'),"
    " current_setting('session_replication_role'),"
    " current_setting('statement_timeout'), current_setting('row_security'),"
    " coalesce(current_setting('my.own', true), ''), current_user::text,"
    " coalesce(to_regclass('here')::text, ''),"
    " (SELECT count(*) FROM pg_listening_channels()),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77)"
)
SEES = f"""
found = op.get_bind().execute(sa.text({LEFT!r})).one()
op.execute(sa.text("CREATE TABLE seen AS SELECT :found AS found").bindparams(
    sa.bindparam("found", str(tuple(found)), literal_execute=True)))
"""


def _left(engine: sa.Engine) -> str:
    with engine.connect() as connection:
        return str(tuple(connection.execute(sa.text(LEFT)).one()))


def test_settings_of_a_script_reach_neither_the_next_one_nor_the_app(
    app: Flask, tree: Tree, engine: sa.Engine
) -> None:
    clean = _left(engine)
    tree.add("r1", postgres=SETS)
    tree.add("r2", postgres=SEES)
    init()
    upgrade()
    db: SQLAlchemy = app.extensions["sqlalchemy"]
    assert _left(db.engine) == clean
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT found FROM public.seen")) == clean
        elsewhere = sa.text("SELECT count(*) FROM elsewhere.alembic_version")
        assert connection.scalar(elsewhere) == 0
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


BYPASSES = {
    "the driver's own cursor": """
        cursor = op.get_bind().connection.cursor()
        cursor.execute("SET my.own = 'x'")
    """,
    "a block of code": "op.execute(\"DO $$ BEGIN SET my.own = 'x'; END $$\")",
    "a function that is called": """
        op.get_bind().scalar(sa.text("SELECT set_config('my.own', 'x', false)"))
    """,
    "a second statement in one text": """
        op.execute("COMMENT ON TABLE t IS 'x'; SET my.own = 'x'")
    """,
    "an autocommit block": """
        with op.get_context().autocommit_block():
            op.execute("SET my.own = 'x'")
    """,
}


@pytest.mark.parametrize("sets", BYPASSES.values(), ids=BYPASSES)
def test_the_next_script_sees_nothing_however_it_was_set(
    app: Flask, tree: Tree, engine: sa.Engine, sets: str
) -> None:
    clean = _left(engine)
    tree.add("r1", postgres='op.create_table("t", sa.Column("a", sa.Integer))')
    tree.add("r2", postgres=sets)
    tree.add("r3", postgres=SEES)
    init()
    upgrade()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT found FROM seen")) == clean


def test_what_a_script_asks_of_its_connection_ends_with_it(
    app: Flask, tree: Tree
) -> None:
    tree.add("r1", postgres="op.get_bind().execution_options(mine=1)")
    tree.add(
        "r2", postgres='assert "mine" not in op.get_bind().get_execution_options()'
    )
    init()
    upgrade()


@pytest.mark.parametrize("sets", ["ROLE", "SESSION AUTHORIZATION"])
def test_a_script_that_becomes_another_role_leaves_the_journal_to_ours(
    app: Flask, tree: Tree, engine: sa.Engine, mongo_db: object, sets: str
) -> None:
    role = f"r_{uuid4().hex}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
    tree.add("r1", postgres=f"op.execute('SET {sets} {role}')")
    tree.add("r2")
    init()
    upgrade()
    with engine.begin() as connection:
        rows = "SELECT revision FROM dualmigrate_journal ORDER BY id"
        assert connection.scalars(sa.text(rows)).all() == ["r1", "r2"]
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_settings_of_a_script_that_failed_do_not_reach_the_app(
    app: Flask, tree: Tree, engine: sa.Engine
) -> None:
    clean = _left(engine)
    tree.add("r1", postgres=f"{SETS}\nop.execute('COMMIT')\nop.execute('SELECT 1/0')")
    init()
    with pytest.raises(ScriptError):
        upgrade()
    assert _left(app.extensions["sqlalchemy"].engine) == clean


def test_what_the_app_sets_on_connecting_is_set_for_each_script(
    make_app: MakeApp, two: Tree, engine: sa.Engine
) -> None:
    app = make_app()
    with app.app_context():

        @sa.event.listens_for(app.extensions["sqlalchemy"].engine, "connect")
        def own(raw: object, record: object) -> None:
            raw.execute("SET my.own = 'ours'")  # type: ignore[attr-defined]
            raw.commit()  # type: ignore[attr-defined]

        for revision in ("r3", "r4"):
            two.add(revision, postgres=SEES.replace("seen", f"seen_{revision}"))
        init()
        upgrade()
    with engine.connect() as connection:
        for table in ("seen_r3", "seen_r4"):
            found = connection.scalar(sa.text(f"SELECT found FROM {table}"))
            assert "'ours'" in found
