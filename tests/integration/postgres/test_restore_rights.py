"""Rights after a restore: what they were just before it, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tests.support.postgres.restores import Place, restored

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad'); CREATE SEQUENCE q;
CREATE TABLE alembic_version (version_num text); CREATE TABLE granted (a int, b int);
CREATE TABLE items (id serial PRIMARY KEY, secret text, m mood);
CREATE VIEW v AS SELECT id FROM items;
CREATE FUNCTION f(items) RETURNS int LANGUAGE sql AS 'SELECT 1';
INSERT INTO items (secret) VALUES ('x'); INSERT INTO granted VALUES (1, 2);
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO {app};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO {app};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TYPES TO {app};
CREATE TABLE later (id int);
REVOKE INSERT, UPDATE, DELETE ON later, dualmigrate_journal FROM {app};
GRANT SELECT (id), UPDATE (id) ON items TO {app};
GRANT SELECT ON granted TO {app} WITH GRANT OPTION;
SET LOCAL ROLE {app}; GRANT SELECT ON granted TO pg_monitor; RESET ROLE;
REVOKE ALL ON granted FROM CURRENT_USER;
REVOKE ALL ON FUNCTION f(items) FROM PUBLIC; REVOKE ALL ON TYPE mood FROM PUBLIC;
"""
RIGHTS = """
SELECT c.relname || coalesce('.' || a.attname, ''), x.grantee::regrole::text,
  x.grantor::regrole::text, x.privilege_type, x.is_grantable
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
CROSS JOIN LATERAL aclexplode(coalesce(a.attacl, c.relacl,
  acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) x
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'S')
UNION ALL SELECT 'f', x.grantee::regrole::text, '', x.privilege_type, x.is_grantable
FROM pg_proc, aclexplode(proacl) x WHERE proname = 'f'
UNION ALL SELECT 'mood', x.grantee::regrole::text, '', x.privilege_type, x.is_grantable
FROM pg_type, aclexplode(typacl) x WHERE typname = 'mood'
ORDER BY 1, 2, 3, 4
"""
TABLES = ["alembic_version", "granted", "items", "later", "dualmigrate_journal"]


@pytest.fixture
def app(engine: sa.Engine) -> Iterator[str]:
    """A role, as the app has it, that other tests do not see."""
    role = f"r_{uuid4().hex}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
        connection.exec_driver_sql(f"GRANT ALL ON SCHEMA public TO {role}")
    yield role
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role} CASCADE")
        connection.exec_driver_sql(f"DROP ROLE {role}")


@pytest.fixture
def place(engine: sa.Engine, tmp_path: Path, app: str) -> Place:
    place = Place(engine, tmp_path / "backups")
    place.run(SCHEMA.format(app=app))
    return place


@pytest.mark.parametrize(
    ("tables", "since"),
    [
        (TABLES, "ALTER TABLE items ADD x int"),
        (None, "ALTER TABLE items ADD x int"),
        (TABLES, "DROP TABLE items CASCADE; DROP TABLE later"),
    ],
    ids=["touched", "all", "gone"],
)
def test_rights_are_those_of_the_backup_and_none_by_default(
    place: Place, tables: list[str] | None, since: str
) -> None:
    then = place.rows(RIGHTS)
    with place.backed_up(tables) as restorer:
        place.run(since)
        restored(restorer)
    assert place.rows(RIGHTS) == then
    assert place.rows("SELECT count(*) FROM granted") == [(1,)]


def test_what_was_revoked_since_the_backup_stays_revoked(
    place: Place, app: str
) -> None:
    with place.backed_up(TABLES) as restorer:
        place.run(
            f"REVOKE ALL ON items FROM {app}; REVOKE ALL (id) ON items FROM {app}"
        )
        place.run(f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM {app}")
        now = place.rows(RIGHTS)
        restored(restorer)
    assert place.rows(RIGHTS) == now


def test_rows_kept_aside_are_for_the_owner_alone(place: Place, app: str) -> None:
    with place.backed_up(["items"], made=["late"]) as restorer:
        place.run("CREATE TABLE late (id int); INSERT INTO late VALUES (1)")
        restored(restorer)
    reads = f"SELECT has_table_privilege('{app}', 'dualmigrate_aside_late', 'SELECT')"
    assert place.rows(reads) == [(False,)]
