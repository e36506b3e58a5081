"""What hangs on restored tables from outside: brought back exactly, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_dualmigrate.errors import IntegrityError
from tests.support.postgres.restores import Place, restored

ITEMS = """
CREATE TABLE items (id serial PRIMARY KEY, name text);
INSERT INTO items (name) VALUES ('bolt'), ('nut');
CREATE TABLE other (id int, n int); INSERT INTO other VALUES (1, 2);
CREATE FUNCTION f(items) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
TAKEN = [
    ("ALTER TABLE other ADD c items", "column c of table public.other"),
    ("ALTER TABLE other ADD c items[]", "column c of table public.other"),
    (
        "CREATE DOMAIN d AS items; ALTER TABLE other ADD c d",
        "column c of table public.other",
    ),
    (
        "CREATE TYPE t AS (a int, i items); ALTER TABLE other ADD c t",
        "column i of composite type public.t",
    ),
    (
        "ALTER TABLE other ADD c int GENERATED ALWAYS AS (f(NULL)) STORED",
        "column c of table public.other",
    ),
    (
        "ALTER TABLE other ADD CONSTRAINT ck CHECK (f(NULL) = 1)",
        "constraint ck on table public.other",
    ),
    (
        "CREATE DOMAIN d AS int CONSTRAINT ck CHECK (f(NULL) = 1)",
        "constraint ck on public.d",
    ),
    (
        "ALTER TABLE other ALTER id SET DEFAULT nextval('items_id_seq')",
        "default value for column id of table public.other",
    ),
    (
        "ALTER TABLE other ALTER n SET DEFAULT f(NULL)",
        "default value for column n of table public.other",
    ),
    ("CREATE TABLE heir () INHERITS (items)", "table public.heir"),
    ("CREATE CAST (items AS int) WITH FUNCTION f(items)", "cast from public.items"),
    (
        "CREATE FUNCTION same(items, items) RETURNS bool LANGUAGE sql AS 'SELECT true';"
        " CREATE OPERATOR === (LEFTARG = items, RIGHTARG = items, FUNCTION = same)",
        "operator public.===(public.items,public.items)",
    ),
]
COMES_BACK = [
    "CREATE VIEW v AS SELECT id FROM items; CREATE VIEW w AS SELECT id FROM v;"
    " COMMENT ON VIEW w IS 'x'; COMMENT ON COLUMN w.id IS 'y';"
    " GRANT SELECT ON v TO pg_monitor; GRANT UPDATE (id) ON v TO pg_monitor",
    "CREATE MATERIALIZED VIEW m AS SELECT id FROM items; CREATE INDEX mx ON m (id)",
    "CREATE MATERIALIZED VIEW m AS SELECT id FROM items WITH NO DATA",
    "ALTER TABLE other ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES items NOT VALID;"
    " COMMENT ON CONSTRAINT fk ON other IS 'x'",
    'ALTER TABLE other ADD CONSTRAINT "Fk 1" FOREIGN KEY (n) REFERENCES items'
    " DEFERRABLE INITIALLY DEFERRED; COMMENT ON CONSTRAINT \"Fk 1\" ON other IS 'x'",
    "CREATE POLICY p ON other USING (EXISTS (SELECT FROM items));"
    " COMMENT ON POLICY p ON other IS 'x'; ALTER TABLE other ENABLE ROW LEVEL SECURITY",
    "CREATE TRIGGER t BEFORE INSERT ON other FOR EACH ROW WHEN (f(NULL) = 1)"
    " EXECUTE FUNCTION tr(); ALTER TABLE other DISABLE TRIGGER t",
    "CREATE RULE r AS ON DELETE TO other DO ALSO DELETE FROM items WHERE false",
    "CREATE INDEX x ON other ((f(NULL) + id)); COMMENT ON INDEX x IS 'x'",
    "CREATE STATISTICS st ON (f(NULL) + id), id FROM other",
    "CREATE PUBLICATION p FOR TABLE items (id), other WHERE (n > 1)",
    "CREATE FUNCTION g() RETURNS SETOF items LANGUAGE sql AS 'SELECT * FROM items';"
    " REVOKE ALL ON FUNCTION g() FROM PUBLIC",
    "CREATE FUNCTION g() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM items; END",
    "CREATE FUNCTION s(int, items) RETURNS int LANGUAGE sql AS 'SELECT 1';"
    " CREATE AGGREGATE a(items) (SFUNC = s, STYPE = int)",
    "CREATE DOMAIN d AS items; COMMENT ON DOMAIN d IS 'x'",
    'ALTER TABLE items ADD CONSTRAINT "Ck 1" CHECK (id > 0);'
    " COMMENT ON CONSTRAINT \"Ck 1\" ON items IS 'x';"
    " COMMENT ON CONSTRAINT items_pkey ON items IS 'y';"
    " COMMENT ON INDEX items_pkey IS 'z'",
    "ALTER TABLE items ADD CONSTRAINT u UNIQUE (name); ALTER TABLE items REPLICA"
    " IDENTITY USING INDEX items_pkey; ALTER TABLE items CLUSTER ON u",
    "ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
    " CREATE POLICY p ON items USING (id > 0); COMMENT ON POLICY p ON items IS 'x'",
]


@pytest.fixture
def place(engine: sa.Engine, tmp_path: Path) -> Place:
    place = Place(engine, tmp_path / "backups")
    place.run(ITEMS)
    return place


@pytest.mark.parametrize(("sql", "named"), TAKEN, ids=[sql for sql, _ in TAKEN])
def test_what_would_be_lost_outside_is_named_and_nothing_is_touched(
    place: Place, sql: str, named: str
) -> None:
    place.run(sql)
    with place.backed_up(["items"]) as restorer:
        place.run("UPDATE items SET name = 'since'")
        now = place.dumped()
        with pytest.raises(IntegrityError, match="nothing was changed") as raised:
            restorer.check()
        with pytest.raises(IntegrityError):
            restorer.switch("a mark")
    assert f"depends on them: {named}" in raised.value.what
    assert place.dumped() == now


@pytest.mark.parametrize("sql", COMES_BACK)
def test_what_hangs_on_a_table_comes_back_as_it_was(place: Place, sql: str) -> None:
    place.run(sql)
    then = place.dumped()
    with place.backed_up(["items"]) as restorer:
        place.run("UPDATE items SET name = 'since' || id")
        replaced, _ = restored(restorer)
    assert place.dumped() == then
    assert [item.name for item in replaced] == ["items"]


@pytest.mark.parametrize("sql", [sql for sql, _ in TAKEN])
def test_a_backup_of_everything_brings_all_of_it_back(place: Place, sql: str) -> None:
    place.run(sql)
    then = place.dumped()
    with place.backed_up(None) as restorer:
        place.run("UPDATE items SET name = 'since' || id; DROP TABLE other CASCADE")
        restored(restorer)
    assert sorted(place.dumped().splitlines()) == sorted(then.splitlines())


def test_a_view_made_since_is_named_before_it_goes(place: Place) -> None:
    with place.backed_up(["items"]) as restorer:
        place.run("CREATE VIEW v AS SELECT id FROM items")
        replaced, _ = restored(restorer)
    assert [(r.name, r.now, r.then) for r in replaced[1:]] == [
        ("view public.v", None, None)
    ]


def test_a_foreign_key_made_since_on_a_table_outside_is_refused(place: Place) -> None:
    with place.backed_up(["items"]) as restorer:
        place.run(
            "ALTER TABLE other ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES items"
        )
        with pytest.raises(
            IntegrityError, match=r"constraint fk on table public\.other"
        ):
            restorer.check()


def test_a_definition_outside_that_changed_since_is_not_set_back(place: Place) -> None:
    place.run("CREATE INDEX x ON other ((f(NULL) + id))")
    with place.backed_up(["items"]) as restorer:
        place.run("DROP INDEX x; CREATE INDEX x ON other ((f(NULL) + n))")
        now = place.dumped()
        restorer.check()
        with pytest.raises(IntegrityError, match=r"the indexes of public\.other would"):
            restorer.switch("a mark")
    assert place.dumped() == now


MOODS = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE TABLE felt (id int, m mood); INSERT INTO felt VALUES (1, 'sad');
"""
RENAMED = "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'"
TAKES_MOOD = "CREATE FUNCTION g(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'"


@pytest.mark.parametrize("more", ["", TAKES_MOOD])
@pytest.mark.parametrize("since", ["", "ALTER TABLE felt DROP m"])
def test_a_renamed_label_is_renamed_back(place: Place, more: str, since: str) -> None:
    place.run(f"{MOODS}; {more}")
    then = place.dumped()
    with place.backed_up(["felt"]) as restorer:
        place.run(f"{RENAMED}; {since}")
        restored(restorer)
    assert place.dumped() == then


def test_a_label_that_a_table_outside_uses_is_not_renamed_and_that_is_named(
    place: Place,
) -> None:
    place.run(MOODS)
    with place.backed_up(["felt"]) as restorer:
        place.run(f"{RENAMED}; ALTER TABLE other ADD m mood[]")
        now = place.dumped()
        with pytest.raises(
            IntegrityError, match=r"column m of table public\.other uses"
        ):
            restorer.switch("a mark")
    assert place.dumped() == now


def test_a_label_that_is_gone_is_told_with_what_keeps_its_type(place: Place) -> None:
    place.run(f"{MOODS}; {TAKES_MOOD}")
    with place.backed_up(["felt"]) as restorer:
        place.run(f"{RENAMED}; ALTER TYPE mood ADD VALUE 'mad'")
        with pytest.raises(IntegrityError, match=r"function public\.g\(public\.mood\)"):
            restorer.switch("a mark")


def test_a_materialized_view_without_data_stays_so(place: Place) -> None:
    place.run("CREATE MATERIALIZED VIEW m AS SELECT id FROM items WITH NO DATA")
    with place.backed_up(["items"]) as restorer:
        place.run("REFRESH MATERIALIZED VIEW m")
        restored(restorer)
        place.run("DROP MATERIALIZED VIEW m")
        restored_again = restorer.switch("another mark")
    assert restored_again == ()
    full = "SELECT ispopulated FROM pg_matviews WHERE matviewname = 'm'"
    assert place.rows(full) == [(False,)]
