"""Backing PostgreSQL up: what a plan touches there, and how pg_dump is run."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import make_url

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.backups import BackupStore
from flask_dualmigrate.embedded.wheels import postgres_programs
from flask_dualmigrate.results import PlanResult
from tests.integration.conftest import MakeApp, Tree
from tests.support.backup_runs import manifest_of, rows_of, run
from tests.support.snapshots import postgres_snapshot

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE a (id int PRIMARY KEY, mood mood); INSERT INTO a VALUES (1);
CREATE TABLE b (id int REFERENCES a ON DELETE CASCADE); INSERT INTO b VALUES (1);
CREATE TABLE c (id int REFERENCES a); INSERT INTO c VALUES (1);
CREATE TABLE alone (id int, mood mood[]); INSERT INTO alone VALUES (1);
CREATE INDEX ix_alone ON alone (id);
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1); INSERT INTO parts VALUES (1);
CREATE SCHEMA other; CREATE TABLE other.a (id int); INSERT INTO other.a VALUES (1);
CREATE TABLE "O""dd $%.*Name" (id int); INSERT INTO "O""dd $%.*Name" VALUES (1);
CREATE TABLE log (id int); INSERT INTO log VALUES (1);
CREATE TABLE noisy (id int); INSERT INTO noisy VALUES (1);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO log VALUES (2); RETURN NEW; END $$;
CREATE TRIGGER note BEFORE UPDATE ON noisy FOR EACH ROW EXECUTE FUNCTION note();
CREATE TABLE stamped (id int); INSERT INTO stamped VALUES (1);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.id := 2; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE VIEW seen AS SELECT id FROM alone;
CREATE TABLE empty (id int);
"""

ADD = "sa.Column('x', sa.Integer)"
TOUCHES = [
    (f"op.add_column('alone', {ADD})", "alone"),
    (f"op.add_column('a', {ADD}, schema='other')", "other.a"),
    (f"""op.add_column('O"dd $%.*Name', {ADD})""", 'O"dd $%.*Name'),
    ("op.rename_table('alone', 'goods')", "alone"),
    ("op.drop_index('ix_alone')", "alone"),
    ("op.drop_table('b')", "b"),
    (
        "op.bulk_insert(sa.table('alone', sa.column('id', sa.Integer)), [{'id': 5}])",
        "alone",
    ),
    (
        "t = sa.table('alone', sa.column('id', sa.Integer))\nop.execute(t.delete())",
        "alone",
    ),
    ("op.execute('UPDATE alone SET id = abs(id)')", "alone"),
    ("op.execute('DELETE FROM a')", "a, b"),
    ("op.execute('TRUNCATE a CASCADE')", "a, b, c"),
    (f"op.add_column('parts', {ADD})", "part1"),
    ("op.execute(\"ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'\")", "a, alone"),
    ("op.execute('UPDATE stamped SET id = 3')", "stamped"),
    ("op.execute('WITH x AS (SELECT 1) DELETE FROM c WHERE id = 9')", "c"),
    ("op.execute('DROP VIEW seen'); op.execute('GRANT SELECT ON a TO PUBLIC')", None),
    ("op.create_table('new', sa.Column('a', sa.Integer))", None),
    (f"op.add_column('empty', {ADD})", None),
    ("op.execute('UPDATE noisy SET id = 3')", "all"),
    ("op.execute('DO $$ BEGIN END $$')", "all"),
    ("op.execute('SELECT note()')", "all"),
    ("op.execute('UPDATE seen SET id = 3')", "all"),
    ("op.get_bind().execute(sa.text('SELECT id FROM a')).fetchall()", "all"),
    (f"with op.batch_alter_table('alone') as b:\n    b.add_column({ADD})", "alone"),
]


@pytest.fixture
def many(shop: Flask, engine: sa.Engine) -> sa.Engine:
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLES.replace("%", "%%"))
    return engine


@pytest.mark.parametrize(("script", "tables"), TOUCHES, ids=[t[0] for t in TOUCHES])
def test_a_plan_touches_these_tables(
    script: str, tables: str | None, many: sa.Engine, shop_tree: Tree
) -> None:
    shop_tree.add("r2", postgres=script)
    init()
    plan = upgrade(dry_run=True)
    assert isinstance(plan, PlanResult)
    if tables is None:
        assert plan.backup is None
        return
    assert plan.backup is not None
    if tables == "all":
        assert plan.backup.startswith("the whole database on PostgreSQL (since ")
    else:
        assert plan.backup.startswith(f"{tables} on PostgreSQL and ")


def test_odd_names_and_schemas_are_dumped(
    many: sa.Engine, shop_tree: Tree, backups: BackupStore
) -> None:
    script = [t[0] for t in TOUCHES[1:3]]
    shop_tree.add("r2", postgres="\n".join(script))
    manifest = manifest_of(backups, run().backup)
    assert manifest.postgres is not None
    tables = {(t.schema, t.name, t.rows) for t in manifest.postgres.tables or ()}
    assert {("other", "a", 1), ("public", 'O"dd $%.*Name', 1)} <= tables
    script_text = rows_of(backups, manifest.name)
    assert 'COPY public."O""dd $%.*Name" (id)' in script_text
    assert "COPY other.a (id)" in script_text
    assert "TABLE public.a " not in script_text


MakeProgram = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path, shop: Flask) -> MakeProgram:
    """Return a function that puts a script in the place of pg_dump."""

    def make(body: str) -> Path:
        path = tmp_path / "pg_dump"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        shop.config["DUALMIGRATE_PG_DUMP"] = str(path)
        return path

    return make


REAL = postgres_programs() / "pg_dump"
VERSION = 'if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) {}"; exit; fi'
PASSWORD = "p%4 0@:/'\\\"ü secret"


def test_a_password_is_in_no_argument_and_reaches_pg_dump(
    program: MakeProgram,
    shop: Flask,
    make_app: MakeApp,
    shop_tree: Tree,
    filled: None,
    postgres_url: str,
    engine: sa.Engine,
    tmp_path: Path,
) -> None:
    program(
        f"{VERSION.format('18.0')}\n"
        f'printf "%s\\n" "$@" >> {tmp_path}/arguments\n'
        f'printf "%s" "$PGPASSWORD" > {tmp_path}/password\n'
        f"tr '\\0' '\\n' < /proc/$$/cmdline >> {tmp_path}/arguments\n"
        f'exec {REAL} "$@"'
    )
    url = make_url(postgres_url).set(password=PASSWORD)
    url = url.update_query_dict(
        {"options": "-c search_path=public", "sslmode": "allow"}
    )
    shop_tree.add("r2", postgres=f"op.add_column('items', {ADD})")
    init()
    config = {k: v for k, v in shop.config.items() if k.startswith("DUALMIGRATE_")}
    urls = {"postgres": url.render_as_string(hide_password=False)}
    with make_app(config=config, urls=urls).app_context():
        assert run().backup is not None
    assert (tmp_path / "password").read_text() == PASSWORD
    arguments = (tmp_path / "arguments").read_text()
    assert "secret" not in arguments
    assert "options='-c search_path=public'" in arguments
    assert "sslmode='allow'" in arguments


BAD = [
    (VERSION.format("15.4"), "its version is 15, the server's is 18"),
    ("echo hello", "it is not a PostgreSQL program"),
    (None, "there is no such program"),
    (
        f"{VERSION.format('18.0')}\necho half\n"
        "echo 'pg_dump: error: it broke' >&2; exit 1",
        "it broke",
    ),
    (f"{VERSION.format('18.0')}\nkill -9 $$", "it was ended by signal 9"),
]


@pytest.mark.parametrize(("body", "said"), BAD, ids=[b[1] for b in BAD])
def test_a_pg_dump_that_is_unfit_is_one_line_and_nothing_is_migrated(
    body: str | None,
    said: str,
    program: MakeProgram,
    shop: Flask,
    shop_tree: Tree,
    filled: None,
    engine: sa.Engine,
    backups: BackupStore,
) -> None:
    path = program(body or "")
    if body is None:
        path.unlink()
    shop_tree.add("r2", postgres=f"op.add_column('items', {ADD})")
    init()
    before = postgres_snapshot(engine)
    told = shop.test_cli_runner().invoke(args=["db-migrate", "upgrade", "--json"])
    assert told.exit_code == 4
    assert said in told.stderr
    assert len([x for x in told.stderr.splitlines() if x.startswith("Error")]) == 1
    assert "nothing was migrated" in told.stderr
    assert json.loads(told.stdout)["type"] == "BackupError"
    assert postgres_snapshot(engine) == before
    assert backups.names() == []


def test_what_a_killed_run_left_at_work_is_ended(
    shop: Flask, shop_tree: Tree, filled: None, engine: sa.Engine
) -> None:
    left = sa.create_engine(
        engine.url, connect_args={"application_name": "flask-dualmigrate backup"}
    )
    shop_tree.add("r2", postgres=f"op.add_column('items', {ADD})")
    with left.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE items IN ACCESS SHARE MODE")
        assert run().backup is not None
        connection.invalidate()
    left.dispose()


def test_tables_of_others_do_not_keep_a_role_from_backing_up_its_own(
    shop: Flask,
    shop_tree: Tree,
    filled: None,
    engine: sa.Engine,
    make_app: MakeApp,
    postgres_url: str,
    backups: BackupStore,
) -> None:
    role = f"r_{uuid4().hex}"
    owned = ("items", "logs", "alembic_version", "dualmigrate_journal")
    shop_tree.add("r2", postgres=f"op.add_column('items', {ADD})")
    config = {k: v for k, v in shop.config.items() if k.startswith("DUALMIGRATE_")}
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql("CREATE SCHEMA theirs")
        connection.exec_driver_sql("CREATE TABLE theirs.secret (id serial)")
        connection.exec_driver_sql(f"GRANT ALL ON SCHEMA public TO {role}")
        for table in (*owned, "dualmigrate_meta"):
            connection.exec_driver_sql(f"ALTER TABLE {table} OWNER TO {role}")
    try:
        url = make_url(postgres_url).set(username=role)
        urls = {"postgres": url.render_as_string(hide_password=False)}
        with make_app(config=config, urls=urls).app_context():
            manifest = manifest_of(backups, run().backup)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
    schema = (backups.root / manifest.name / "postgres/schema.sql").read_text()
    assert "TABLE public.logs" in schema
    assert "secret" not in schema
