"""Each rule of lint in bad and in good scripts: bodies of upgrade(), mostly.

Each case stands above a revision that makes the tables items and users, and their
collections. A body may have a part for the downgrade, the other side, or the module.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

Scripts = dict[str, Any]
"""Name of a case -> body of upgrade()."""


@dataclasses.dataclass(frozen=True)
class Case:
    """The scripts of one revision, and what lint is to find.

    code: of the rule. bad: whether it is found. sql, mongo: of upgrade; None: not
    looked at. facts: what a database would say.
    """

    code: str = ""
    name: str = ""
    bad: bool = False
    sql: str = "pass"
    sql_down: str | None = None
    sql_head: str = ""
    mongo: str = "pass"
    mongo_down: str | None = None
    mongo_head: str = ""
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.code}-{'bad' if self.bad else 'good'}-{self.name}"


def _cases(side: str, code: str, bad: Scripts, good: Scripts) -> list[Case]:
    return [
        Case(code, name, scripts is bad, **{side: body})
        for scripts in (bad, good)
        for name, body in scripts.items()
    ]


_sql, _mongo = (functools.partial(_cases, side) for side in ("sql", "mongo"))

_BLOCK = "with op.get_context().autocommit_block():\n    "
_NEW_TABLE = (
    'op.create_table("things", sa.Column("id", sa.BigInteger, primary_key=True), '
    'sa.Column("n", sa.Integer))\n'
)
_CONCURRENT = "if_not_exists=True, postgresql_concurrently=True"

POSTGRES = [
    *_sql(
        "DM101",
        {
            "operation": 'op.create_index("ix", "items", ["n"])',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.create_index("ix", ["n"])',
            "raw": 'op.execute("CREATE UNIQUE INDEX ix ON items (lower(name))")',
            "bind": 'op.get_bind().execute(sa.text("CREATE INDEX ix ON items (n)"))',
            "column": 'op.add_column("items", sa.Column("m", sa.Integer, index=True))',
            "expression": 'op.create_index("ix", "items", [sa.text("lower(name)")], '
            "unique=True, postgresql_where=sa.text(\"name <> 'x'\"))",
            "reindex": 'op.execute("REINDEX TABLE items")',
        },
        {
            "concurrently": f'{_BLOCK}op.create_index("ix", "items", ["n"], '
            f"{_CONCURRENT})",
            "new table": f'{_NEW_TABLE}op.create_index("ix", "things", ["n"])',
            "new table, raw": 'op.execute("CREATE TABLE things (n int); '
            'CREATE INDEX ix ON things (n)")',
            "renamed": f'{_NEW_TABLE}op.rename_table("things", "stuff")\n'
            'op.create_index("ix", "stuff", ["n"])',
        },
    ),
    *_sql(
        "DM102",
        {
            "operation": 'op.create_index("ix", "items", ["n"], '
            "postgresql_concurrently=True)",
            "raw": 'op.execute("CREATE INDEX CONCURRENTLY ix ON items (n)")',
            "drop": 'op.drop_index("ix", "items", postgresql_concurrently=True)',
            "raw drop": 'op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix")',
        },
        {
            "block": f'{_BLOCK}op.create_index("ix", "items", ["n"], {_CONCURRENT})',
            "raw in a block": f'{_BLOCK}op.execute("DROP INDEX CONCURRENTLY ix")',
        },
    ),
    *_sql(
        "DM103",
        {
            "operation": 'op.add_column("items", sa.Column("m", sa.Integer, '
            "nullable=False))",
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.add_column(sa.Column("m", sa.Integer, nullable=False))',
            "raw": 'op.execute("ALTER TABLE items ADD COLUMN m int NOT NULL")',
        },
        {
            "default": 'op.add_column("items", sa.Column("m", sa.Integer, '
            'server_default="0", nullable=False))',
            "empty text": 'op.add_column("items", sa.Column("m", sa.Text, '
            'server_default="", nullable=False))',
            "nullable": 'op.add_column("items", sa.Column("m", sa.Integer))',
            "raw": "op.execute(\"ALTER TABLE items ADD m text DEFAULT 'x' NOT NULL\")",
            "new table": f'{_NEW_TABLE}op.add_column("things", sa.Column("m", '
            "sa.Integer, nullable=False))",
        },
    ),
    *_sql(
        "DM104",
        {
            "operation": 'op.alter_column("items", "n", nullable=False)',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.alter_column("n", nullable=False)',
            "raw": 'op.execute("ALTER TABLE items ALTER n SET NOT NULL")',
            "not validated": 'op.create_check_constraint("ck", "items", '
            '"n IS NOT NULL", postgresql_not_valid=True)\n'
            'op.alter_column("items", "n", nullable=False)',
        },
        {
            "validated": 'op.create_check_constraint("ck", "items", "n IS NOT NULL", '
            "postgresql_not_valid=True)\n"
            f'{_BLOCK}op.execute("ALTER TABLE items VALIDATE CONSTRAINT ck")\n'
            'op.alter_column("items", "n", nullable=False)',
            "raw": 'op.execute("ALTER TABLE items ADD CONSTRAINT ck CHECK (n IS NOT '
            "NULL) NOT VALID; ALTER TABLE items VALIDATE CONSTRAINT ck; "
            'ALTER TABLE items ALTER COLUMN n SET NOT NULL")',
            "new table": f'{_NEW_TABLE}op.alter_column("things", "n", nullable=False)',
            "dropped": 'op.alter_column("items", "n", nullable=True)',
        },
    ),
    *_sql(
        "DM105",
        {
            "bigint": 'op.alter_column("items", "n", type_=sa.BigInteger(), '
            "existing_type=sa.Integer())",
            "known from before": 'op.alter_column("items", "n", type_=sa.BigInteger())',
            "raw": 'op.execute("ALTER TABLE items ALTER COLUMN n TYPE bigint")',
            "shorter": 'op.alter_column("items", "name", type_=sa.String(20))',
            "zone": 'op.alter_column("items", "at", type_=sa.DateTime(timezone=True))',
            "expression": 'op.execute("ALTER TABLE items ALTER name TYPE text USING '
            'lower(name)")',
        },
        {
            "longer": 'op.alter_column("items", "name", type_=sa.String(80))',
            "text": 'op.alter_column("items", "name", type_=sa.Text())',
            "precision": 'op.alter_column("items", "price", type_=sa.Numeric(12, 4))',
            "utc": "op.execute(\"SET LOCAL TIME ZONE 'UTC'\")\n"
            'op.alter_column("items", "at", type_=sa.DateTime(timezone=True))',
            "plain cast": 'op.alter_column("items", "name", type_=sa.Text(), '
            'postgresql_using="name::text")',
            "new table": f'{_NEW_TABLE}op.alter_column("things", "n", '
            "type_=sa.BigInteger())",
        },
    ),
    *_sql(
        "DM106",
        {
            "uuid": 'op.add_column("items", sa.Column("u", sa.Uuid, '
            'server_default=sa.text("gen_random_uuid()")))',
            "raw": 'op.execute("ALTER TABLE items ADD u timestamptz DEFAULT '
            'clock_timestamp()")',
            "identity": 'op.add_column("items", sa.Column("s", sa.BigInteger, '
            "sa.Identity()))",
            "serial": 'op.execute("ALTER TABLE items ADD s bigserial")',
        },
        {
            "constant": 'op.add_column("items", sa.Column("m", sa.Integer, '
            'server_default="1"))',
            "now": 'op.add_column("items", sa.Column("t", sa.DateTime, '
            "server_default=sa.func.now()))",
            "afterwards": 'op.add_column("items", sa.Column("u", sa.Uuid))\n'
            'op.alter_column("items", "u", server_default='
            'sa.text("gen_random_uuid()"))',
        },
    ),
    *_sql(
        "DM107",
        {
            "operation": 'op.create_foreign_key("fk", "items", "users", ["owner_id"], '
            '["id"], ondelete="CASCADE")',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.create_foreign_key("fk", "users", ["owner_id"], ["id"])',
            "column": 'op.add_column("items", sa.Column("o", sa.BigInteger, '
            'sa.ForeignKey("users.id")))',
            "raw": 'op.execute("ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY '
            '(owner_id) REFERENCES users (id)")',
            "at once": 'op.create_foreign_key("fk", "items", "users", ["owner_id"], '
            '["id"], postgresql_not_valid=True)\n'
            'op.execute("ALTER TABLE items VALIDATE CONSTRAINT fk")',
        },
        {
            "not valid": 'op.create_foreign_key("fk", "items", "users", ["owner_id"], '
            '["id"], postgresql_not_valid=True)',
            "raw": 'op.execute("ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY '
            '(owner_id) REFERENCES users (id) NOT VALID")',
            "new null column": 'op.execute("ALTER TABLE items ADD o bigint REFERENCES '
            'users (id)")',
            "new table": 'op.create_table("things", sa.Column("id", sa.BigInteger, '
            'sa.ForeignKey("users.id")))',
            "validated": 'op.execute("ALTER TABLE items VALIDATE CONSTRAINT fk")',
        },
    ),
    *_sql(
        "DM108",
        {
            "operation": 'op.create_check_constraint("ck", "items", "n > 0")',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.create_check_constraint("ck", "n > 0")',
            "raw": 'op.execute("ALTER TABLE items ADD CHECK (n > 0)")',
            "column": 'op.add_column("items", sa.Column("m", sa.Integer, '
            'sa.CheckConstraint("m > 0")))',
        },
        {
            "not valid": 'op.create_check_constraint("ck", "items", "n > 0", '
            "postgresql_not_valid=True)",
            "raw": 'op.execute("ALTER TABLE items ADD CHECK (n > 0) NOT VALID")',
            "new table": f'{_NEW_TABLE}op.create_check_constraint("ck", "things", '
            '"n > 0")',
        },
    ),
    *_sql(
        "DM109",
        {
            "operation": 'op.create_unique_constraint("uq", "items", ["n"])',
            "unnamed": 'op.create_unique_constraint(None, "items", ["n", "name"])',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.create_unique_constraint("uq", ["n"])',
            "column": 'op.add_column("items", sa.Column("m", sa.Integer, unique=True))',
            "raw": 'op.execute("ALTER TABLE items ADD CONSTRAINT uq UNIQUE (n)")',
            "key": 'op.create_primary_key("pk", "items", ["n"])',
            "exclude": 'op.execute("ALTER TABLE items ADD EXCLUDE USING gist (n WITH '
            '=)")',
        },
        {
            "using index": 'op.execute("ALTER TABLE items ADD CONSTRAINT uq UNIQUE '
            'USING INDEX uq")',
            "new table": f'{_NEW_TABLE}op.create_unique_constraint("uq", "things", '
            '["n"])',
        },
    ),
    *_sql(
        "DM110",
        {
            "column": 'op.alter_column("items", "n", new_column_name="m")',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.alter_column("n", new_column_name="m")',
            "table": 'op.rename_table("items", "things")',
            "raw column": 'op.execute("ALTER TABLE items RENAME n TO m")',
            "raw table": "op.execute('ALTER TABLE \"items\" RENAME TO things')",
        },
        {
            "constraint": 'op.execute("ALTER TABLE items RENAME CONSTRAINT a TO b")',
            "new table": f'{_NEW_TABLE}op.rename_table("things", "stuff")',
        },
    ),
    *_sql(
        "DM111",
        {
            "operation": 'op.drop_column("items", "n")',
            "batch": 'with op.batch_alter_table("items") as batch:\n'
            '    batch.drop_column("n")',
            "raw": 'op.execute("ALTER TABLE items DROP COLUMN IF EXISTS n, DROP name")',
        },
        {
            "constraint": 'op.drop_constraint("ck", "items")',
            "raw constraint": 'op.execute("ALTER TABLE items DROP CONSTRAINT ck")',
            "new table": f'{_NEW_TABLE}op.drop_column("things", "n")',
        },
    ),
    *_sql(
        "DM112",
        {
            "table": 'op.drop_table("items")',
            "raw": 'op.execute("DROP TABLE IF EXISTS items, users CASCADE")',
            "schema": 'op.execute("DROP SCHEMA old CASCADE")',
        },
        {
            "view": 'op.execute("DROP VIEW newest")',
            "new table": f'{_NEW_TABLE}op.drop_table("things")',
        },
    ),
    *_sql(
        "DM113",
        {
            "operation": 'op.alter_column("items", "name", '
            'existing_type=sa.Enum("a", "b", name="e"), '
            'type_=sa.Enum("a", name="e"))',
            "new type": 'op.execute("ALTER TYPE e RENAME TO e_old")\n'
            "op.execute(\"CREATE TYPE e AS ENUM ('a')\")\n"
            'op.execute("DROP TYPE e_old")',
            "catalogue": "op.execute(\"DELETE FROM pg_enum WHERE enumlabel = 'b'\")",
        },
        {
            "added": "op.execute(\"ALTER TYPE e ADD VALUE 'c'\")",
            "more": 'op.alter_column("items", "name", '
            'existing_type=sa.Enum("a", name="e"), '
            'type_=sa.Enum("a", "b", name="e"))',
            "type of its own": 'op.execute("DROP TYPE e")',
        },
    ),
    *_sql(
        "DM114",
        {
            "raw": 'op.execute("DELETE FROM items WHERE n = 1")',
            "core": 'op.execute(sa.delete(sa.table("items")))',
            "truncate": 'op.execute("TRUNCATE TABLE items")',
            "with": 'op.execute("WITH a AS (SELECT 1) DELETE FROM items")',
        },
        {
            "new table": f'{_NEW_TABLE}op.execute("DELETE FROM things")',
            "text": "op.execute(\"COMMENT ON TABLE items IS 'DELETE FROM items'\")",
        },
    ),
    *_sql(
        "DM115",
        {
            "scale": 'op.alter_column("items", "price", type_=sa.Numeric(10, 2), '
            "existing_type=sa.Numeric(10, 4))",
            "whole": 'op.execute("ALTER TABLE items ALTER price TYPE int")',
            "cut": 'op.execute("ALTER TABLE items ALTER name TYPE varchar(5) USING '
            'substr(name, 1, 5)")',
            "smaller": 'op.alter_column("items", "n", type_=sa.SmallInteger(), '
            "existing_type=sa.Integer())",
            "day": 'op.execute("ALTER TABLE items ALTER at TYPE date")',
            "shorter": 'op.execute("ALTER TABLE items ALTER name TYPE varchar(5)")',
        },
        {
            "text enum": 'op.alter_column("items", "name", '
            "existing_type=sa.VARCHAR(length=1), "
            'type_=sa.Enum("a", "longer", name="e", native_enum=False))',
            "wider": 'op.alter_column("items", "price", type_=sa.Numeric(12, 4), '
            "existing_type=sa.Numeric(10, 4))",
            "bigint": 'op.execute("ALTER TABLE items ALTER n TYPE bigint")',
            "text": 'op.execute("ALTER TABLE items ALTER n TYPE text")',
        },
    ),
    *_sql(
        "DM116",
        {
            "raw": 'op.add_column("items", sa.Column("m", sa.Integer))\n'
            'op.execute("UPDATE items SET m = n")',
            "core": 'op.drop_index("ix", "items")\n'
            't = sa.table("items", sa.column("n"))\n'
            "op.execute(t.update().values(n=1))",
            "select": 'op.add_column("items", sa.Column("m", sa.Integer))\n'
            'op.execute("INSERT INTO users SELECT * FROM items")',
        },
        {
            "alone": 'op.execute("UPDATE items SET n = 1")',
            "new table": f'{_NEW_TABLE}op.execute("UPDATE things SET n = 1")',
            "rows": 'op.add_column("items", sa.Column("m", sa.Integer))\n'
            'op.execute("INSERT INTO users (id) VALUES (1)")',
        },
    ),
    *_sql(
        "DM117",
        {
            "do": 'op.execute("DO $$ BEGIN PERFORM 1; END $$")',
            "call": 'op.execute("CALL a_procedure()")',
            "copy": 'op.execute("COPY items FROM STDIN")',
        },
        {
            "known": 'op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")',
            "comment": "op.execute(\"-- DO it\\nCOMMENT ON TABLE items IS 'a;b'\")",
            "function": 'op.execute("CREATE FUNCTION f() RETURNS int AS $x$ SELECT 1; '
            '$x$ LANGUAGE sql")',
        },
    ),
    Case("DM118", "import", True, sql_head="from tests.unit.lint_models import Item"),
    Case(
        "DM118", "in upgrade", True, sql="from tests.unit.lint_models import Item\nItem"
    ),
    Case(
        "DM118",
        "table",
        False,
        sql='items = sa.table("items", sa.column("n"))\nop.execute(items.select())',
    ),
    Case("DM118", "no model", False, sql_head="from tests.unit.lint_models import N"),
    Case(
        "DM119",
        "query",
        True,
        sql_head="from tests.unit.lint_models import db",
        sql='db.session.execute("SELECT 1")',
    ),
    Case(
        "DM119",
        "in downgrade",
        True,
        sql_head="from tests.unit.lint_models import db",
        sql_down="db.session.commit()",
    ),
    Case("DM119", "bind", False, sql='op.get_bind().execute(sa.text("SELECT 1"))'),
    Case("DM119", "a word", False, sql='op.execute("SELECT 1")  # no db.session'),
    *_sql(
        "DM120",
        {
            "raw": 'op.execute("COMMIT")',
            "among others": 'op.execute("UPDATE items SET n = 1; COMMIT;")',
            "bind": "op.get_bind().commit()",
            "rollback": 'op.execute("ROLLBACK")',
        },
        {
            "block": f'{_BLOCK}op.execute("VACUUM items")',
            "savepoint": 'op.execute("SAVEPOINT a; ROLLBACK TO a; RELEASE a")',
        },
    ),
    *_sql(
        "DM121",
        {
            "index": f'op.create_index("ix_{"a" * 61}", "items", ["n"])',
            "column": f'op.add_column("items", sa.Column("{"ä" * 32}", sa.Integer))',
            "table": f'op.create_table("{"t" * 64}", sa.Column("n", sa.Integer))',
            "raw": f'op.execute("ALTER TABLE items RENAME n TO {"m" * 64}")',
            "constraint": 'op.create_table("t", sa.Column("n", sa.Integer), '
            f'sa.CheckConstraint("n > 0", name="{"c" * 64}"))',
        },
        {
            "63": f'op.add_column("items", sa.Column("{"a" * 63}", sa.Integer))',
            "dropped": f'op.drop_index("ix_{"a" * 63}", "items")',
            "op.f": f'op.create_index(op.f("ix_{"a" * 61}"), "items", ["n"])',
            "op.f in a table": 'op.create_table("t", sa.Column("n", sa.Integer), '
            f'sa.CheckConstraint("n > 0", name=op.f("{"c" * 64}")))',
        },
    ),
    *_sql(
        "DM122",
        {
            "column": 'op.add_column("items", sa.Column("j", sa.JSON))',
            "table": 'op.create_table("t", sa.Column("j", sa.JSON))',
            "raw": 'op.execute("CREATE TABLE t (j json NOT NULL)")',
            "type": 'op.execute("ALTER TABLE items ALTER name TYPE json USING null")',
        },
        {
            "jsonb": "from sqlalchemy.dialects.postgresql import JSONB\n"
            'op.add_column("items", sa.Column("j", JSONB()))',
            "raw": 'op.execute("ALTER TABLE items ADD j jsonb")',
        },
    ),
    Case(
        "DM123",
        "off in the script",
        True,
        sql_head="lock_timeout_s = 0",
        sql='op.drop_index("ix", "items")',
    ),
    *_sql(
        "DM123",
        {
            "in a block": f'{_BLOCK}op.drop_index("ix", "items")',
            "after a block": f'{_BLOCK}op.execute("VACUUM items")\n'
            'op.add_column("items", sa.Column("m", sa.Integer))',
        },
        {
            "of the app": 'op.add_column("items", sa.Column("m", sa.Integer))',
            "set": f'{_BLOCK}op.execute("VACUUM items")\n'
            "op.execute(\"SET LOCAL lock_timeout = '5s'\")\n"
            'op.add_column("items", sa.Column("m", sa.Integer))',
            "set for all": "op.execute(\"SET lock_timeout = '5s'\")\n"
            f'{_BLOCK}op.drop_index("ix", "items", if_exists=True)',
            "no such lock": f'{_BLOCK}op.execute("VACUUM items")',
        },
    ),
    *_sql(
        "DM124",
        {
            "integer": 'op.create_table("t", sa.Column("id", sa.Integer, '
            "primary_key=True))",
            "constraint": 'op.create_table("t", sa.Column("id", sa.Integer), '
            'sa.PrimaryKeyConstraint("id"))',
            "raw": 'op.execute("CREATE TABLE t (id serial PRIMARY KEY, n int)")',
        },
        {
            "big": 'op.create_table("t", sa.Column("id", sa.BigInteger, '
            "primary_key=True))",
            "text": 'op.create_table("t", sa.Column("id", sa.String(32), '
            "primary_key=True))",
            "two": 'op.create_table("t", sa.Column("a", sa.Integer, primary_key=True), '
            'sa.Column("b", sa.Integer, primary_key=True))',
            "raw": 'op.execute("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY '
            'PRIMARY KEY, n int)")',
        },
    ),
    *_sql(
        "DM125",
        {
            "index": f'{_BLOCK}op.create_index("ix", "items", ["n"], '
            "postgresql_concurrently=True)",
            "before": 'op.add_column("items", sa.Column("m", sa.Integer))\n'
            f'{_BLOCK}op.create_index("ix", "items", ["m"], {_CONCURRENT})',
        },
        {
            "there": f'{_BLOCK}op.create_index("ix", "items", ["n"], {_CONCURRENT})',
            "after": f'{_BLOCK}op.create_index("ix", "items", ["n"], {_CONCURRENT})\n'
            'op.add_column("items", sa.Column("m", sa.Integer))',
            "no block": 'op.create_index("ix", "items", ["n"])',
        },
    ),
]

_VIEWS = (
    'op.create_collection("v", viewOn="items", pipeline=[{"$unionWith": "other"}])\n'
    'op.create_collection("w", viewOn="v", pipeline=[])\n'
)
_INDEX = 'op.create_index("items", [("n", 1)], name="ix"'

MONGO = [
    *_mongo(
        "DM201",
        {"unique": f"{_INDEX}, unique=True)"},
        {
            "plain": f"{_INDEX})",
            "new field": 'op.add_field("items", "m")\n'
            'op.create_index("items", [("m", 1)], name="ix", unique=True, '
            'partialFilterExpression={"m": {"$type": "number"}})',
            "new": 'op.create_collection("things")\n'
            'op.create_index("things", [("n", 1)], name="ix", unique=True)',
        },
    ),
    Case(
        "DM201",
        "counted",
        True,
        mongo=f"{_INDEX}, unique=True)",
        facts={"duplicates": 3},
    ),
    Case(
        "DM201",
        "none counted",
        False,
        mongo=f"{_INDEX}, unique=True)",
        facts={"duplicates": 0},
    ),
    Case(
        "DM202",
        "update_many",
        True,
        mongo_head="def fill(db):\n    db.items.update_many({}, {'$set': {'n': 1}})",
        mongo="op.run(fill, undo=fill, idempotent=True)",
    ),
    Case(
        "DM202",
        "loop",
        True,
        mongo_head="def fill(db):\n    for d in db.items.find():\n"
        "        db.items.update_one({'_id': d['_id']}, {'$set': {'n': 1}})",
        mongo="op.run(fill, undo=fill, idempotent=True)",
    ),
    Case("DM202", "out", True, mongo="op.run(lambda db: [{'$out': 'b'}])"),
    Case("DM202", "update", False, mongo='op.update("items", {}, {"$set": {"n": 1}})'),
    Case(
        "DM202",
        "command",
        False,
        mongo_head="def fill(db):\n    db.command('ping')",
        mongo="op.run(fill)",
    ),
    *_mongo(
        "DM203",
        {
            "bare": "op.run(print)",
            "no undo": "op.run(print, idempotent=True)",
            "unsafe": "op.run(print, undo=print)",
        },
        {
            "both": "op.run(print, undo=print, idempotent=True)",
            "transaction": "op.run(print, undo=print, transactional=True)",
        },
    ),
    *_mongo(
        "DM204",
        {"adds up": 'op.update("items", {}, {"$inc": {"n": 1}})'},
        {
            "sets": 'op.update("items", {}, {"$set": {"n": 1}})',
            "excludes itself": 'op.update("items", {"m": {"$ne": 1}}, '
            '{"$inc": {"n": 1}, "$set": {"m": 1}})',
        },
    ),
    Case(
        "DM204",
        "kept, on a standalone",
        True,
        mongo='op.update("items", {}, {"$set": {"n": 1}}, keep=True)',
        facts={"has_transactions": False},
    ),
    Case(
        "DM204",
        "on a replica set",
        False,
        mongo='op.update("items", {}, {"$inc": {"n": 1}})',
        facts={"has_transactions": True},
    ),
    *_mongo(
        "DM205",
        {
            "collection": 'op.drop_collection("items", keep=False)',
            "field": 'op.drop_field("items", "n", keep=False)',
            "delete": 'op.delete("items", {"n": 1}, keep=False)',
            "convert": 'op.convert_field("items", "n", to="string", keep=False)',
        },
        {
            "collection": 'op.drop_collection("items")',
            "field": 'op.drop_field("items", "n")',
            "delete": 'op.delete("items", {"n": 1})',
        },
    ),
    Case("DM206", "large", True, mongo=f"{_INDEX})", facts={"documents": 2_000_000}),
    Case("DM206", "small", False, mongo=f"{_INDEX})", facts={"documents": 2_000}),
    Case("DM206", "no database", False, mongo=f"{_INDEX})"),
    *_mongo(
        "DM207",
        {
            "filter": 'op.delete("items", {"$where": "this.n > 1"})',
            "pipeline": 'op.update("items", {}, [{"$set": {"n": {"$function": '
            '{"body": "x", "args": [], "lang": "js"}}}}])',
            "run": 'op.run(lambda db: db.items.find({"$where": "true"}))',
        },
        {
            "expression": 'op.update("items", {"$expr": {"$gt": ["$n", "$m"]}}, '
            '{"$set": {"o": 1}})'
        },
    ),
    *_mongo(
        "DM208",
        {
            "overwrite": 'op.rename_field("items", "n", "m", overwrite=True)',
            "copy": 'op.copy_field("items", "n", "m", overwrite=True)',
            "made before": 'op.add_field("items", "m", default=1)\n'
            'op.rename_field("items", "n", "m")',
        },
        {
            "free": 'op.rename_field("items", "n", "m")',
            "taken away": 'op.add_field("items", "m", default=1)\n'
            'op.drop_field("items", "m")\nop.rename_field("items", "n", "m")',
        },
    ),
    Case(
        "DM208",
        "counted",
        True,
        mongo='op.rename_field("items", "n", "m")',
        facts={"having_both": 7},
    ),
    *_mongo(
        "DM209",
        {"strict": 'op.set_validator("items", {"n": {"$type": "int"}})'},
        {
            "moderate": 'op.set_validator("items", {"n": 1}, level="moderate")',
            "warn": 'op.set_validator("items", {"n": 1}, action="warn")',
            "removed": 'op.set_validator("items", None)',
            "new": 'op.create_collection("b")\nop.set_validator("b", {"n": 1})',
        },
    ),
    Case(
        "DM209",
        "all fit",
        False,
        mongo='op.set_validator("items", {"n": 1})',
        facts={"refused": 0},
    ),
    *_mongo(
        "DM210",
        {
            "by scripts": "for i in range(64):\n"
            '    op.create_index("items", [(f"f{i}", 1)], name=f"ix{i}")'
        },
        {
            "63": "for i in range(63):\n"
            '    op.create_index("items", [(f"f{i}", 1)], name=f"ix{i}")'
        },
    ),
    Case("DM210", "counted", True, mongo=f"{_INDEX})", facts={"indexes": 64}),
    *_mongo(
        "DM211",
        {
            "command": 'op.run(lambda db: db.client.admin.command({"shardCollection": '
            '"a.items"}))'
        },
        {"other": 'op.run(lambda db: db.command("ping"))'},
    ),
    Case(
        "DM211",
        "field",
        True,
        mongo='op.drop_field("items", "n")',
        facts={"shard_key": ("n",)},
    ),
    Case(
        "DM211",
        "another field",
        False,
        mongo='op.drop_field("items", "m")',
        facts={"shard_key": ("n",)},
    ),
    *_mongo(
        "DM212",
        {
            "hyphen": 'op.create_collection("my-items")',
            "digit": 'op.create_collection("2026")',
            "long": f'op.create_collection("{"a" * 200}")',
            "blank": 'op.add_field("items", "a b", default=1)',
            "renamed": 'op.rename_field("items", "n", "n ")',
        },
        {
            "plain": 'op.create_collection("my_items.old")',
            "umlaut": 'op.add_field("items", "größe", default=1)',
        },
    ),
    *_mongo(
        "DM214",
        {
            "renamed": f'{_VIEWS}op.rename_collection("items", "things")',
            "dropped": f'{_VIEWS}op.drop_collection("other")',
        },
        {
            "made again": f"{_VIEWS}"
            'op.rename_collection("items", "things"); op.drop_collection("v"); '
            'op.drop_collection("w")',
            "not read": f'{_VIEWS}op.rename_collection("users", "people")',
            "the collection made again": f"{_VIEWS}"
            'op.drop_collection("items"); op.create_collection("items")',
        },
    ),
    *_mongo("DM213", {"todo": 'op.todo("a trigger")'}, {"none": "pass"}),
]

_COLUMN = 'op.add_column("items", sa.Column("m", sa.Integer))'
_FIELD = 'op.add_field("items", "m")'

PAIRS = [
    Case("DM301", "no field", True, sql=_COLUMN),
    Case("DM301", "no column", True, mongo=_FIELD),
    Case("DM301", "no index", True, mongo=f"{_INDEX})"),
    Case(
        "DM301",
        "one index",
        True,
        sql='op.create_index("ix", "items", ["n", "name"])',
        mongo=f"{_INDEX})",
    ),
    Case("DM301", "the same", False, sql=_COLUMN, mongo=_FIELD),
    Case(
        "DM301",
        "in other words",
        False,
        sql=_COLUMN,
        mongo='op.update("items", {}, {"$set": {"m": 1}}, keep=True)',
    ),
    Case("DM301", "a function", False, sql=_COLUMN, mongo="op.run(print)"),
    Case("DM301", "raw SQL", False, sql='op.execute("DO $$ $$")', mongo=_FIELD),
    Case(
        "DM301",
        "of MongoDB alone",
        False,
        mongo='op.add_field("events", "m", default=1)',
    ),
    Case(
        "DM302",
        "columns",
        True,
        sql=f'{_COLUMN}\nop.drop_column("items", "n")',
        mongo=f'{_FIELD}\nop.drop_field("items", "n")',
    ),
    Case(
        "DM302",
        "fields",
        True,
        mongo=f'{_FIELD}\nop.drop_field("items", "n")',
    ),
    Case("DM302", "grows", False, sql=_COLUMN, mongo=_FIELD),
    Case(
        "DM302",
        "shrinks",
        False,
        sql='op.drop_column("items", "n")',
        mongo='op.drop_field("items", "n")',
    ),
    Case(
        "DM302",
        "another table",
        False,
        sql=f'{_COLUMN}\nop.drop_column("users", "email")',
    ),
    Case("DM303", "column stays", True, sql=_COLUMN, sql_down="pass"),
    Case("DM303", "table stays", True, sql=_NEW_TABLE, sql_down="pass"),
    Case(
        "DM303",
        "index stays",
        True,
        sql='op.create_index("ix", "items", ["n"])',
        sql_down="pass",
    ),
    Case(
        "DM303",
        "column is not back",
        True,
        sql='op.drop_column("items", "n")',
        sql_down="pass",
    ),
    Case(
        "DM303",
        "name is not back",
        True,
        sql='op.alter_column("items", "n", new_column_name="m")',
        sql_down="pass",
    ),
    Case(
        "DM303",
        "type is not back",
        True,
        sql='op.alter_column("items", "n", type_=sa.BigInteger())',
        sql_down="pass",
    ),
    Case("DM303", "field stays", True, mongo=_FIELD, mongo_down="pass"),
    Case("DM303", "key stays", True, mongo=f"{_INDEX})", mongo_down="pass"),
    Case(
        "DM303",
        "mirrored",
        False,
        sql=_COLUMN,
        sql_down='op.drop_column("items", "m")',
        mongo=_FIELD,
        mongo_down='op.drop_field("items", "m")',
    ),
    Case(
        "DM303",
        "with its column",
        False,
        sql=f'{_COLUMN}\nop.create_index("ix", "items", ["m"])',
        sql_down='op.drop_column("items", "m")',
    ),
    Case("DM303", "refused", False, sql=_COLUMN, sql_down="raise NotImplementedError"),
    Case("DM303", "by hand", False, sql=_COLUMN, sql_down='op.execute("DO $$ $$")'),
]

CASES = [*POSTGRES, *MONGO, *PAIRS]
