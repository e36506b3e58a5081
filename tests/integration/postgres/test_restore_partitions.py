"""Partitioned tables: restored whole, or one partition of those that stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.postgres.restores import Place, restored

PARTED = """
CREATE TABLE items (id int, name text, k int, PRIMARY KEY (id, k),
  CONSTRAINT u UNIQUE (name, k)) PARTITION BY LIST (k);
CREATE INDEX ix_items ON items (name);
CREATE TABLE i1 PARTITION OF items FOR VALUES IN (1);
CREATE TABLE i2 (k int NOT NULL, name text, id int NOT NULL);
CREATE INDEX own ON i2 (id); ALTER TABLE items ATTACH PARTITION i2 FOR VALUES IN (2);
CREATE TABLE i3 PARTITION OF items FOR VALUES IN (3, 4) PARTITION BY LIST (k);
CREATE TABLE i33 PARTITION OF i3 FOR VALUES IN (3);
CREATE TABLE rest PARTITION OF items DEFAULT;
COMMENT ON INDEX i1_pkey IS 'x';
INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (9, 'd', 9);
CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION tr();
"""
REFERS = """
CREATE TABLE other (id int, k int, CONSTRAINT fk FOREIGN KEY (id, k) REFERENCES items);
INSERT INTO other VALUES (1, 1);
CREATE TABLE up (id int PRIMARY KEY); INSERT INTO up VALUES (1), (2), (3), (9);
ALTER TABLE items ADD CONSTRAINT fk_up FOREIGN KEY (id) REFERENCES up;
"""
ALL = ["items", "i1", "i2", "i3", "i33", "rest"]


@pytest.mark.parametrize("refers", ["", REFERS], ids=["alone", "with-keys"])
@pytest.mark.parametrize("tables", [ALL, None, ["i1"], ["i2"], ["i3", "i33"], ["rest"]])
def test_a_partitioned_table_and_its_parts_come_back_with_valid_indexes(
    engine: sa.Engine, tmp_path: Path, tables: list[str] | None, refers: str
) -> None:
    place = Place(engine, tmp_path / "backups")
    place.run(PARTED + refers)
    then = sorted(place.dumped().splitlines())
    with place.backed_up(tables) as restorer:
        changed = (tables or ["items"])[0]
        place.run(f"UPDATE {changed} SET name = 'z'")
        if tables in (None, ALL):
            place.run("ALTER TABLE items ADD z int")
        restored(restorer)
    assert sorted(place.dumped().splitlines()) == then
    assert place.rows("SELECT indexrelid FROM pg_index WHERE NOT indisvalid") == []
    place.run("INSERT INTO items VALUES (1, 'a', 1) ON CONFLICT (id, k) DO NOTHING")
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'items_pkey'::regclass"
    assert place.rows(parts) == [(4,)]
