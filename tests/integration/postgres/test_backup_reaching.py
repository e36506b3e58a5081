"""What a backup holds where code of the database may write to tables unnamed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flask_dualmigrate.backups import Scope
from flask_dualmigrate.postgres.backup.extent import extent_of
from flask_dualmigrate.sql.tables import mentioned

SCHEMA = """
CREATE TABLE counters (n int); INSERT INTO counters VALUES (0);
CREATE TABLE b (id int, k int); INSERT INTO b VALUES (1, 1);
CREATE FUNCTION nextno() RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN UPDATE public.counters SET n = n + 1; RETURN 1; END $$;
CREATE FUNCTION wrapped() RETURNS int IMMUTABLE LANGUAGE sql AS
  'SELECT public.nextno()';
CREATE FUNCTION opf(int, int) RETURNS bool LANGUAGE plpgsql AS
  $$ BEGIN RETURN nextno() > 0; END $$;
CREATE FUNCTION aggs(int, int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN RETURN nextno(); END $$;
CREATE FUNCTION one(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN RETURN public.wrapped(); END $$;
CREATE FUNCTION hash(b) RETURNS int LANGUAGE sql AS 'SELECT nextno()';
CREATE FUNCTION plain(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF TG_OP = 'UPDATE' THEN NEW.id := abs(NEW.id); /* DELETE */ END IF;
  RETURN NEW; END $$;
CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.id := nextno(); RETURN NEW; END $$;
"""
CALLS = [
    ("", "SELECT nextno()"),
    ("", "SELECT wrapped()"),
    ("", "SELECT b.hash FROM b"),
    ("ALTER TABLE b ALTER k SET DEFAULT nextno()", "INSERT INTO b (id) VALUES (2)"),
    ("ALTER TABLE b ALTER k SET DEFAULT wrapped()", "INSERT INTO b (id) VALUES (2)"),
    ("ALTER TABLE b ADD CHECK (one(id) = 1) NOT VALID", "UPDATE b SET k = 2"),
    ("CREATE INDEX x ON b (one(id))", "UPDATE b SET k = 2"),
    ("CREATE INDEX x ON b (one(id))", "REINDEX TABLE b"),
    (
        "ALTER TABLE b ADD g int GENERATED ALWAYS AS (one(id)) STORED",
        "ALTER TABLE b ALTER k TYPE bigint",
    ),
    ("CREATE DOMAIN d AS int CHECK (one(VALUE) > 0)", "SELECT 1::d"),
    (
        "CREATE DOMAIN d AS int CHECK (one(VALUE) > 0); ALTER TABLE b ADD z d",
        "UPDATE b SET k = 2",
    ),
    ("CREATE POLICY p ON b USING (nextno() > 0)", "SELECT * FROM b"),
    ("CREATE VIEW v AS SELECT nextno()", "SELECT * FROM v"),
    ("CREATE VIEW v AS SELECT nextno()", "CREATE TABLE t AS SELECT * FROM v"),
    ("CREATE OPERATOR === (LEFTARG=int, RIGHTARG=int, FUNCTION=opf)", "SELECT 1===2"),
    (
        "CREATE AGGREGATE su(int) (SFUNC=aggs, STYPE=int, INITCOND='0')",
        "SELECT su(id) FROM b",
    ),
    (
        "CREATE TYPE t AS (a int); CREATE FUNCTION c(t) RETURNS int LANGUAGE sql AS"
        " 'SELECT nextno()'; CREATE CAST (t AS int) WITH FUNCTION c(t) AS IMPLICIT",
        "INSERT INTO b SELECT ROW(1)",
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION number()",
        "INSERT INTO b VALUES (1, 1)",
    ),
    (
        "CREATE TABLE c (id int DEFAULT nextno() REFERENCES k ON DELETE SET DEFAULT)",
        "DELETE FROM k",
    ),
    (
        "CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM nextno(); END $$; CREATE EVENT TRIGGER dm_ev ON"
        " ddl_command_end EXECUTE FUNCTION ev()",
        "ALTER TABLE b ADD x int",
    ),
    ("", 'UPDATE U&"\\0062" SET id = 9'),
    ("", "DROP FUNCTION plain(int) CASCADE"),
    ("", "DROP COLLATION x CASCADE"),
    ("", "SELECT ts_stat('SELECT nextno()')"),
    (
        "",
        "CREATE FUNCTION z() RETURNS int LANGUAGE sql AS 'SELECT nextno()';"
        " ALTER TABLE b ADD x int DEFAULT z()",
    ),
    ("SET standard_conforming_strings = off", "UPDATE b SET k = 1"),
]
ORDINARY = [
    ("", "ALTER TABLE b ADD x timestamptz DEFAULT now()", {"b"}),
    ("", "ALTER TABLE b ADD x uuid DEFAULT gen_random_uuid()", {"b"}),
    ("", "CREATE INDEX ix ON b (abs(id)) WHERE id > 0", {"b"}),
    ("", "UPDATE b SET id = plain(id) + abs(-1)", {"b"}),
    (
        "CREATE TRIGGER t BEFORE UPDATE ON b FOR EACH ROW EXECUTE FUNCTION stamp()",
        "UPDATE b SET k = 2",
        {"b"},
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION number()",
        "ALTER TABLE b ADD x int",
        {"b"},
    ),
    ("CREATE TABLE lone (n int DEFAULT nextno())", "DROP TABLE lone", {"lone"}),
    ("CREATE TABLE typed (t b)", "DROP TABLE b CASCADE", {"b", "typed"}),
    ("CREATE TABLE fk (t int REFERENCES k)", "DROP TABLE k CASCADE", {"k", "fk"}),
    (
        "CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN d AS mood;"
        " CREATE TYPE c AS (m mood); CREATE TABLE e (d d); CREATE TABLE f (c c[])",
        "ALTER TYPE mood RENAME VALUE 'a' TO 'b'",
        {"e", "f"},
    ),
    ("", "DROP FUNCTION plain(int)", set()),
    (
        "",
        "CREATE FUNCTION z(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';"
        " CREATE INDEX ix ON b (z(id))",
        {"b"},
    ),
]


@pytest.fixture
def schema(engine: sa.Engine) -> sa.Engine:
    with engine.begin() as connection:
        connection.exec_driver_sql(SCHEMA.replace("%", "%%"))
        connection.exec_driver_sql("CREATE TABLE k (id int PRIMARY KEY)")
    return engine


@pytest.mark.parametrize(("more", "sql"), CALLS)
def test_everything_is_backed_up_where_code_may_write_elsewhere(
    schema: sa.Engine, more: str, sql: str
) -> None:
    with schema.connect() as connection:
        connection.exec_driver_sql(f"SELECT 1; {more}")
        extent = extent_of(connection, lambda: mentioned([sql]))
    assert extent.scope is Scope.ALL
    assert extent.why


@pytest.mark.parametrize(("more", "sql", "tables"), ORDINARY)
def test_what_writes_nowhere_else_is_told_from_what_does(
    schema: sa.Engine, more: str, sql: str, tables: set[str]
) -> None:
    with schema.connect() as connection:
        connection.exec_driver_sql(f"SELECT 1; {more}")
        extent = extent_of(connection, lambda: mentioned([sql]))
    assert (extent.scope, extent.why) == (Scope.TOUCHED, None)
    assert {item.name for item in extent.items} == tables
