"""Which objects of a dumped schema a restore makes anew."""

from __future__ import annotations

import pytest

from flask_dualmigrate.postgres.backup.schema_text import (
    Entry,
    encoding_of,
    parse,
)
from flask_dualmigrate.postgres.restore.what_to_make import labels_of, split, to_make


def _entry(tag: str, kind: str, sql: str, schema: str = "public") -> str:
    head = f"-- Name: {tag}; Type: {kind}; Schema: {schema}; Owner: me"
    return f"--\n{head}\n--\n\n{sql}\n\n\n"


SCHEMA = (
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\n"
    "SET client_encoding = 'LATIN1';\n\nSET default_tablespace = 'fast';\n\n"
    + _entry("mood", "TYPE", "CREATE TYPE public.mood AS ENUM (\n    'it''s'\n);")
    + _entry("items", "TABLE", "CREATE TABLE public.items (\n    m public.mood\n);")
    + _entry("TABLE items", "COMMENT", "COMMENT ON TABLE public.items IS 'x';")
    + "SET default_tablespace = '';\n\n"
    + _entry("orders", "TABLE", "CREATE TABLE public.orders (\n    id integer\n);")
    + _entry("items2", "TABLE", "CREATE TABLE public.items2 (\n    id integer\n);")
    + _entry("cheap", "VIEW", "CREATE VIEW public.cheap AS\n SELECT FROM public.items;")
    + _entry("VIEW cheap", "COMMENT", "COMMENT ON VIEW public.cheap IS 'y';")
    + _entry("ix", "INDEX", "CREATE INDEX ix ON public.items USING btree (m);")
    + _entry("orders ck", "CHECK CONSTRAINT", "ALTER TABLE public.orders ADD ck;")
    + _entry(
        "orders fk",
        "FK CONSTRAINT",
        "ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT fk FOREIGN KEY (id) "
        "REFERENCES public.items(id);",
    )
    + _entry("CONSTRAINT fk ON orders", "COMMENT", "COMMENT ON CONSTRAINT fk …;")
    + _entry("TABLE orders", "ACL", "GRANT SELECT ON TABLE public.orders TO x;")
    + "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n\n"
)
ENTRIES = tuple(parse(SCHEMA))
KEYS = {entry.key for entry in ENTRIES}


def _tags(entries: list[Entry]) -> list[str]:
    return [entry.tag for entry in entries]


def test_each_object_is_an_entry_with_its_sql_and_what_was_set_before() -> None:
    assert [entry.tag for entry in ENTRIES[:4]] == [
        *("mood", "items", "TABLE items", "orders"),
    ]
    assert ENTRIES[1].settings == "SET default_tablespace = 'fast';\n"
    assert ENTRIES[3].settings.endswith("SET default_tablespace = '';\n")
    assert ENTRIES[-1].sql.strip() == "GRANT SELECT ON TABLE public.orders TO x;"
    assert encoding_of(SCHEMA.encode()) == "LATIN1"


def test_what_went_with_a_table_comes_back_and_nothing_else() -> None:
    gone = {"items", "cheap", "ix", "orders fk"}
    after = {key for key in KEYS if key[2] not in gone}

    made = to_make(ENTRIES, {("public", "items")}, before=KEYS, after=after)

    assert _tags(made) == [
        *("items", "TABLE items", "cheap", "VIEW cheap", "ix", "orders fk"),
        "CONSTRAINT fk ON orders",
    ]


def test_what_went_before_and_hangs_on_a_table_comes_back_too() -> None:
    there = {key for key in KEYS if key[2] not in {"mood", "cheap", "orders fk"}}
    after = there - {("TABLE", "public", "items"), ("INDEX", "public", "ix")}

    made = to_make(ENTRIES, {("public", "items")}, before=there, after=after)

    assert {"mood", "items", "cheap", "ix", "orders fk"} <= set(_tags(made))


def test_what_somebody_dropped_elsewhere_stays_away() -> None:
    there = {key for key in KEYS if key[2] not in {"items2", "orders ck"}}
    after = there - {("TABLE", "public", "items")}

    made = to_make(ENTRIES, {("public", "items")}, before=there, after=after)

    assert not {"items2", "orders ck"} & set(_tags(made))


def test_all_of_an_empty_database_is_made() -> None:
    made = to_make(ENTRIES, None, before=KEYS, after=set())

    assert made == list(ENTRIES)


def test_rows_come_in_before_indexes_and_constraints() -> None:
    first, last = split(ENTRIES, list(ENTRIES))

    assert _tags(first)[-1] == "VIEW cheap"
    assert _tags(last)[0] == "ix"
    assert _tags(last)[-1] == "TABLE orders"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("FROM public.items;", True),
        ("public.items.id", True),
        ("public.items2", False),
        ("xpublic.items", False),
        ('"public.items"', False),
        ("public.items(id)", True),
        ("x.public.items", False),
        ('"public"."items"', True),
        ("nextval('public.items'::regclass)", True),
        ("AS $_$ BEGIN PERFORM 'it''s'; DELETE FROM public.items; END $_$;", True),
        ("AS $$ SELECT 1 -- public.items\n $$;", False),
    ],
)
def test_a_name_is_found_as_a_whole(sql: str, found: bool) -> None:
    assert Entry("VIEW", "public", "v", sql).mentions({("public", "items")}) is found


def test_the_labels_of_an_enum_are_read() -> None:
    assert labels_of(ENTRIES[0]) == ("it's",)
    assert labels_of(ENTRIES[1]) is None
