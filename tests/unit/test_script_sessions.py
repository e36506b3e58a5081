"""Which statements a session is clean after, so that the next script may have it."""

from __future__ import annotations

import pytest

from flask_dualmigrate.postgres.run.sessions import leaves_nothing

CLEAN = [
    "CREATE TABLE t (id SERIAL NOT NULL, PRIMARY KEY (id))",
    "CREATE UNLOGGED TABLE t (a int)",
    "ALTER TABLE t ADD COLUMN n INTEGER",
    "CREATE UNIQUE INDEX CONCURRENTLY ix ON t (a)",
    "DROP TABLE t",
    "CREATE TYPE mood AS ENUM ('set', 'temp')",
    "COMMENT ON TABLE t IS 'SET search_path TO x'",
    "UPDATE t SET a = 1 WHERE b",
    "INSERT INTO t (a) VALUES (%(a)s)",
    "DELETE FROM t; ALTER TABLE t DROP COLUMN a",
    "/* why */ ALTER TABLE t ADD a int -- SET ROLE x",
]
OTHERS = [
    "SET search_path TO x",
    "RESET ALL",
    "SELECT 1",
    "CREATE TEMP TABLE t (a int)",
    "CREATE TEMPORARY VIEW v AS SELECT 1",
    "CREATE LOCAL TEMP TABLE t (a int)",
    "CREATE TABLE pg_temp.t (a int)",
    "UPDATE t SET a = set_config('my.own', 'x', false)",
    "INSERT INTO t SELECT PG_ADVISORY_LOCK(1)",
    "ALTER TABLE t ADD a int; SET ROLE x",
    "ALTER DATABASE d SET search_path TO x",
    "ALTER ROLE r SET search_path TO x",
    "DO $$ BEGIN SET my.own = 'x'; END $$",
    "PREPARE p AS SELECT 1",
    "LISTEN x",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "LOAD 'auto_explain'",
    "COMMIT",
    "WITH a AS (SELECT 1) UPDATE t SET a = 1",
    "UPDATE t SET a = '" + 30_000 * "x" + "'",
]


@pytest.mark.parametrize("text", CLEAN)
def test_a_session_is_clean_after_what_changes_tables_and_rows(text: str) -> None:
    assert leaves_nothing(text)


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: text[:60])
def test_a_session_is_given_up_after_anything_else(text: str) -> None:
    assert not leaves_nothing(text)
