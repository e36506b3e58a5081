"""A revision of operations beside which an app writes, and what they work on."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pymongo.database import Database

from tests.support.crash.trees import FAIL
from tests.support.trees import Tree

ITEMS = range(10)
LABELS = (1, 2, 3)
BINNED = (1, 2, 3)
ROWS = (1, 2, 3)
BATCH = 4

_MORE = """
def grow(document):
    return {**document, "g": document["g"] + 1}

def shrink(document):
    return {**document, "g": document["g"] - 1}

def count_in(db, session):
    db.calls.update_one({"_id": "calls"}, {"$inc": {"n": 1}}, session=session)

def count_out(db, session):
    db.calls.update_one({"_id": "calls"}, {"$inc": {"n": -1}}, session=session)
"""


def old_shape(number: int) -> dict[str, Any]:
    """Return a document as it is before the revision."""
    texts = {name: f"{name}-{number}" for name in ("name", "alias", "old")}
    return {"n": 0, "m": 0, "g": 0, "qty": str(number), **texts}


def seed_beside(db: Database[Any], engine: sa.Engine) -> None:
    """Put what the revision works on."""
    db.item.insert_many([{"_id": number, **old_shape(number)} for number in ITEMS])
    db.bin.insert_many([{"_id": n, "gone": True, "v": f"v-{n}"} for n in BINNED])
    db.calls.insert_one({"_id": "calls", "n": 0})
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE account (id integer PRIMARY KEY, balance integer)"
        )
        for row in ROWS:
            connection.exec_driver_sql(f"INSERT INTO account VALUES ({row}, 0)")


def write_beside(tree: Tree) -> None:
    """One revision of most operations; its PostgreSQL half fails while `fail` is."""
    tree.add(
        "r1",
        postgres="""
            op.add_column("account", sa.Column("note", sa.Text))
            op.execute("UPDATE account SET balance = balance + 1")
            fail_if_wanted()
        """,
        postgres_down="""
            op.execute("UPDATE account SET balance = balance - 1")
            op.drop_column("account", "note")
            fail_if_wanted()
        """,
        mongo=f"""
            op.update("item", {{}}, {{"$inc": {{"n": 1}}}},
                      undo={{"$inc": {{"n": -1}}}}, batch_size={BATCH})
            op.update("item", {{}}, {{"$inc": {{"m": 1}}}},
                      keep=True, batch_size={BATCH})
            op.transform("item", grow, undo=shrink, batch_size={BATCH})
            op.add_field("item", "status", default="new", batch_size={BATCH})
            op.copy_field("item", "name", "title", overwrite=True)
            op.rename_field("item", "alias", "nick", batch_size={BATCH})
            op.convert_field("item", "qty", to="int")
            op.drop_field("item", "old", batch_size={BATCH})
            op.delete("bin", {{"gone": True}})
            op.insert("label", [{{"_id": n, "text": "made"}} for n in {LABELS}])
            op.run(count_in, undo=count_out, transactional=True)
            op.create_index("item", [("n", 1)], name="ix_n")
        """,
        mongo_down=f"""
            op.drop_index("item", "ix_n")
            op.run(count_out, undo=count_in, transactional=True)
            op.delete("label", {{"_id": {{"$in": {[*LABELS]}}}}})
            op.insert("bin", [])
            op.add_field("item", "old", batch_size={BATCH})
            op.convert_field("item", "qty", to="string")
            op.rename_field("item", "nick", "alias", batch_size={BATCH})
            op.drop_field("item", "title")
            op.drop_field("item", "status", batch_size={BATCH})
            op.transform("item", shrink, undo=grow, batch_size={BATCH})
            op.update("item", {{}}, {{"$inc": {{"m": -1}}}},
                      keep=True, batch_size={BATCH})
            op.update("item", {{}}, {{"$inc": {{"n": -1}}}},
                      undo={{"$inc": {{"n": 1}}}}, batch_size={BATCH})
        """,
        postgres_more=FAIL,
        mongo_more=_MORE,
    )
