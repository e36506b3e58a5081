"""An app whose databases hold a bit of everything, to be backed up and restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.backups import BackupStore
from flask_dualmigrate.results import RunResult
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import mongo_snapshot, postgres_snapshot

R1 = """
from sqlalchemy.dialects import postgresql
op.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
op.execute("CREATE FUNCTION fine() RETURNS trigger LANGUAGE plpgsql AS "
           "$$ BEGIN RETURN NEW; END $$")
op.create_table(
    "items",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, server_default="100% \\\\ ;"),
    sa.Column("mood", postgresql.ENUM(name="mood", create_type=False)),
    sa.Column("number", sa.BigInteger, sa.Identity()),
    sa.CheckConstraint("length(name) < 100", name="ck_short"),
    comment="what; is 'sold'",
)
op.create_index("ix_items_name", "items", [sa.text("lower(name)")])
op.execute("CREATE TRIGGER tr_fine BEFORE INSERT ON items FOR EACH ROW "
           "EXECUTE FUNCTION fine()")
op.create_table(
    "orders",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("item_id", sa.Integer, sa.ForeignKey("items.id", name="fk_item")),
)
op.execute("CREATE VIEW cheap AS SELECT id, name FROM items")
op.execute("CREATE VIEW cheapest AS SELECT min(name) AS name FROM cheap")
op.execute("CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM items")
"""

R2 = """
op.add_column("items", sa.Column("status", sa.Text, server_default="new"))
op.create_table("late", sa.Column("id", sa.Integer, primary_key=True))
"""

R2_MONGO = """
op.add_field("item", "status", default="new")
op.create_index("item", [("status", 1)], name="ix_status")
op.create_collection("late")
"""

R2_DOWN = 'op.drop_table("late")\nop.drop_column("items", "status")'
R2_MONGO_DOWN = """
op.drop_collection("late")
op.drop_index("item", "ix_status")
op.drop_field("item", "status")
"""

ODD_IDS: list[Any] = [
    *(1, 2.5, "three", Int64(4), ObjectId("0" * 24), {"n": 5}, Binary(b"6"), True),
    *(None, MinKey(), MaxKey(), Decimal128("11.0")),
]


class Shop:
    """The app, its tree, its databases and its backups."""

    def __init__(
        self, app: Flask, tree: Tree, engine: sa.Engine, db: Database[Any]
    ) -> None:
        self.app = app
        self.tree = tree
        self.engine = engine
        self.db = db
        self.backups = BackupStore(Path(app.config["DUALMIGRATE_BACKUP_DIR"]))

    def holds(self) -> dict[str, Any]:
        """Return all that a restore has to bring back, the journals apart."""
        return {"postgres": self.side("postgres"), "mongo": self.side("mongo")}

    def side(self, name: str) -> Any:
        if name == "mongo":
            return mongo_snapshot(self.db)
        return postgres_snapshot(self.engine), self._more()

    def _more(self) -> list[Any]:
        """Return what hangs on the tables: views, sequences, comments, grants."""
        queries = (
            "SELECT table_name, view_definition FROM information_schema.views "
            "WHERE table_schema = 'public' ORDER BY 1",
            "SELECT relname, relkind::text, obj_description(oid), relacl::text "
            "FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relname !~ 'dualmigrate' "
            "ORDER BY 1",
            "SELECT sequencename, last_value FROM pg_sequences "
            "WHERE sequencename !~ 'dualmigrate' ORDER BY 1",
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) "
            "FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
            "AND conrelid::regclass::text !~ 'dualmigrate' ORDER BY 1, 2",
            "SELECT typname FROM pg_type WHERE typtype = 'e' ORDER BY 1",
            "SELECT * FROM counted",
        )
        with self.engine.connect() as connection:
            return [connection.execute(sa.text(query)).all() for query in queries]

    def write(self) -> None:
        """What the app writes after the backup, and a restore takes away."""
        with self.engine.begin() as connection:
            connection.execute(sa.text("UPDATE items SET name = 'changed'"))
            connection.execute(sa.text("INSERT INTO items (name) VALUES ('new')"))
        self.db.item.update_many({}, [{"$set": {"name": {"$concat": ["$name", "!"]}}}])
        self.db.item.insert_one({"_id": "new", "name": "new"})


def add_r2(tree: Tree, **more: Any) -> None:
    tree.add(
        "r2",
        postgres=more.pop("postgres", R2),
        postgres_down=R2_DOWN,
        mongo=more.pop("mongo", R2_MONGO),
        mongo_down=R2_MONGO_DOWN,
        **more,
    )
    init()


@contextmanager
def opened_shop(
    make_app: MakeApp,
    tmp_path: Path,
    engine: sa.Engine,
    db: Database[Any],
    *,
    rows: int = 9,
    more_config: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Shop]:
    """Make the app, apply r1, and fill both databases."""
    app = make_app(
        config={
            "DUALMIGRATE_BACKUP": "touched",
            "DUALMIGRATE_BACKUP_DIR": str(tmp_path / "backups"),
            **(more_config or {}),
        },
        **settings,
    )
    with app.app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1", postgres=R1, mongo='op.create_collection("item")')
        init()
        upgrade()
        if settings.get("active") != "mongo":
            _fill_postgres(engine, rows)
        if settings.get("active") != "postgres":
            _fill_mongo(db, rows)
        yield Shop(app, tree, engine, db)


def _fill_postgres(engine: sa.Engine, rows: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO items (name, mood) SELECT E'n\\t\\n\\\\.' || n, "
                "(ARRAY['sad', 'glad', NULL])[1 + n % 3]::mood "
                "FROM generate_series(1, :rows) n"
            ),
            {"rows": rows},
        )
        connection.execute(sa.text("INSERT INTO orders (item_id) VALUES (1), (2)"))
        connection.execute(sa.text("REFRESH MATERIALIZED VIEW counted"))
        connection.execute(sa.text("GRANT SELECT ON items TO pg_monitor"))


def _fill_mongo(db: Database[Any], rows: int) -> None:
    db.item.insert_many([{"_id": _id, "name": f"{n}"} for n, _id in enumerate(ODD_IDS)])
    db.item.insert_many(
        [
            {"_id": 100 + n, "name": f"n{n}", "b": Binary(b"\0" * 16), "n": n}
            for n in range(rows)
        ]
    )
    db.item.update_one({"_id": 1}, {"$set": {"at": Timestamp(0, 0), "a.b": Regex("x")}})
    db.command("collMod", "item", validator={"name": {"$type": "string"}})
    db.item.create_index([("name", 1), ("n", -1)], name="ix_name", unique=True)
    db.create_collection("other").insert_one({"_id": "untouched"})


def upgraded(**options: Any) -> str:
    """Upgrade; return the name of the backup that was made before."""
    result = upgrade(**options)
    assert isinstance(result, RunResult)
    assert result.backup is not None
    return result.backup
