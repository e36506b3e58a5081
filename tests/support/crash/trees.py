"""Trees whose scripts do harm where they run twice, or not at all.

Each function returns what to write below the heads of the scripts; see `Tree.add`.
"""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from tests.support.trees import Tree

DOCUMENTS = 10
BATCH = 4

_MORE = """
def verify(db):
    assert db.item.count_documents({}) == 10

def grow(document):
    return {**document, "grown": document.get("grown", 0) + 1}

def shrink(document):
    return {**document, "grown": document["grown"] - 1}

def count_in(db, session):
    db.calls.update_one({"_id": "transactional"}, {"$inc": {"n": 1}}, session=session)

def count_out(db, session):
    db.calls.update_one({"_id": "transactional"}, {"$inc": {"n": -1}}, session=session)

def mark(db):
    db.calls.update_one({"_id": "idempotent"}, {"$set": {"n": 1}})

def unmark(db):
    db.calls.update_one({"_id": "idempotent"}, {"$set": {"n": 0}})

def bump(db):
    db.calls.update_one({"_id": "unsafe"}, {"$inc": {"n": 1}})

def drop(db):
    db.calls.update_one({"_id": "unsafe"}, {"$inc": {"n": -1}})
"""

FAIL = """
import pathlib
if pathlib.Path(__file__).parents[2].joinpath("fail").exists():
    raise RuntimeError("told to fail")
"""


def seed(db: Database[Any]) -> None:
    """Put what the scripts work on."""
    db.item.insert_many(
        [{"_id": n, "n": 100 * n, "old": f"o{n}"} for n in range(DOCUMENTS)]
    )
    names = ("transactional", "idempotent", "unsafe")
    db.calls.insert_many([{"_id": name, "n": 0} for name in names])


def write_two(tree: Tree) -> None:
    """Two revisions of nearly everything."""
    tree.add(
        "r1",
        postgres="""
            op.create_table("account", sa.Column("id", sa.Integer, primary_key=True),
                            sa.Column("balance", sa.Integer))
            op.execute("INSERT INTO account SELECT n, n FROM generate_series(1, 3) n")
        """,
        postgres_down='op.drop_table("account")',
        mongo=f"""
            op.update("item", {{}}, {{"$inc": {{"n": 1}}}},
                      undo={{"$inc": {{"n": -1}}}}, batch_size={BATCH})
            op.create_index("item", [("n", 1)], name="ix_n")
        """,
        mongo_down=f"""
            op.drop_index("item", "ix_n")
            op.update("item", {{}}, {{"$inc": {{"n": -1}}}},
                      undo={{"$inc": {{"n": 1}}}}, batch_size={BATCH})
        """,
        mongo_more=_MORE,
        postgres_more="""
            def verify(connection):
                assert connection.exec_driver_sql("SELECT 1 FROM account").rowcount == 3
        """,
    )
    tree.add(
        "r2",
        postgres="""
            op.add_column("account", sa.Column("note", sa.Text))
            op.execute("UPDATE account SET balance = balance + 10")
        """,
        postgres_down="""
            op.execute("UPDATE account SET balance = balance - 10")
            op.drop_column("account", "note")
        """,
        mongo=f"""
            op.drop_field("item", "old", batch_size={BATCH})
            op.transform("item", grow, undo=shrink, batch_size={BATCH})
            op.run(count_in, undo=count_out, transactional=True)
            op.run(bump, undo=drop)
            op.run(mark, undo=unmark, idempotent=True)
        """,
        mongo_down=f"""
            op.run(unmark, undo=mark, idempotent=True)
            op.run(drop, undo=bump)
            op.run(count_out, undo=count_in, transactional=True)
            op.transform("item", shrink, undo=grow, batch_size={BATCH})
            op.add_field("item", "old", batch_size={BATCH})
        """,
        mongo_more=_MORE,
    )


def write_failing(tree: Tree) -> None:
    """One revision whose PostgreSQL half fails, up and down, while `fail` is there."""
    tree.add(
        "r1",
        postgres=f"""
            op.create_table("account", sa.Column("id", sa.Integer, primary_key=True))
            {indented(FAIL)}
        """,
        postgres_down=f"""
            op.drop_table("account")
            {indented(FAIL)}
        """,
        mongo=f"""
            op.update("item", {{}}, {{"$inc": {{"n": 1}}}},
                      undo={{"$inc": {{"n": -1}}}}, batch_size={BATCH})
            op.create_index("item", [("n", 1)], name="ix_n")
            op.drop_field("item", "old")
            op.run(count_in, undo=count_out, transactional=True)
            op.create_collection("made")
            op.insert("made", [{{"_id": 1}}])
        """,
        mongo_down=f"""
            op.drop_collection("made")
            op.run(count_out, undo=count_in, transactional=True)
            op.add_field("item", "old")
            op.drop_index("item", "ix_n")
            op.update("item", {{}}, {{"$inc": {{"n": -1}}}},
                      undo={{"$inc": {{"n": 1}}}}, batch_size={BATCH})
        """,
        mongo_more=_MORE,
    )


def write_one(tree: Tree) -> None:
    """One small revision, of which every pair of points can be visited."""
    tree.add(
        "r1",
        postgres="""
            op.create_table("account", sa.Column("id", sa.Integer, primary_key=True))
        """,
        postgres_down='op.drop_table("account")',
        mongo=f"""
            op.update("item", {{}}, {{"$inc": {{"n": 1}}}},
                      undo={{"$inc": {{"n": -1}}}}, batch_size={DOCUMENTS})
            op.create_index("item", [("n", 1)], name="ix_n")
        """,
        mongo_down=f"""
            op.drop_index("item", "ix_n")
            op.update("item", {{}}, {{"$inc": {{"n": -1}}}},
                      undo={{"$inc": {{"n": 1}}}}, batch_size={DOCUMENTS})
        """,
        mongo_more=_MORE,
    )


def write_unsafe(tree: Tree) -> None:
    """One revision with an unsafe function between two other operations."""
    tree.add(
        "r1",
        postgres="""
            op.create_table("account", sa.Column("id", sa.Integer, primary_key=True))
        """,
        postgres_down='op.drop_table("account")',
        mongo=f"""
            op.update("item", {{}}, {{"$inc": {{"n": 1}}}},
                      undo={{"$inc": {{"n": -1}}}}, batch_size={DOCUMENTS})
            op.run(bump, undo=drop)
            op.create_index("item", [("n", 1)], name="ix_n")
        """,
        mongo_more=_MORE,
    )


def write_concurrent(tree: Tree) -> None:
    """Two revisions, the second of which builds its index outside of a transaction."""
    write_one(tree)
    tree.add(
        "r2",
        postgres="""
            with op.get_context().autocommit_block():
                op.create_index("ix_account", "account", ["id"], if_not_exists=True,
                                postgresql_concurrently=True)
        """,
        postgres_down="""
            with op.get_context().autocommit_block():
                op.drop_index("ix_account", if_exists=True,
                              postgresql_concurrently=True)
        """,
        mongo="""
            op.rename_collection("calls", "called")
            op.update("called", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})
        """,
        mongo_down="""
            op.update("called", {}, {"$inc": {"n": -1}}, undo={"$inc": {"n": 1}})
            op.rename_collection("called", "calls")
        """,
    )


PARTED = 2400


def write_parted(tree: Tree) -> None:
    """One revision that walks a larger collection in two parts."""
    tree.add(
        "r1",
        mongo=f"""
            op.insert("many", [{{"_id": n, "n": 0}} for n in range({PARTED})])
        """,
    )
    tree.add(
        "r2",
        postgres="""
            op.create_table("account", sa.Column("id", sa.Integer, primary_key=True))
        """,
        mongo="""
            op.update("many", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}},
                      batch_size=300, workers=2)
        """,
    )


CHAOS_DOCUMENTS = 1500


def seed_many(db: Database[Any]) -> None:
    db.item.insert_many(
        [{"_id": n, "n": n, "old": f"o{n}"} for n in range(CHAOS_DOCUMENTS)]
    )
    db.calls.insert_many([{"_id": name, "n": 0} for name in ("transactional",)])


def write_long(tree: Tree) -> None:
    """Three revisions that take a second or two, of non-idempotent operations."""
    more = _MORE.replace("== 10", f"== {CHAOS_DOCUMENTS}")
    tree.add(
        "r1",
        postgres="""
            op.create_table("account", sa.Column("id", sa.Integer, primary_key=True),
                            sa.Column("balance", sa.Integer))
            op.execute("INSERT INTO account SELECT n, n FROM generate_series(1, 99) n")
        """,
        mongo="""
            op.update("item", {}, {"$inc": {"n": 1}},
                      undo={"$inc": {"n": -1}}, batch_size=25)
            op.create_index("item", [("n", 1)], name="ix_n")
        """,
        mongo_more=more,
    )
    tree.add(
        "r2",
        postgres="""
            op.execute("UPDATE account SET balance = balance + 10")
            op.execute("SELECT pg_sleep(0.2)")
            op.add_column("account", sa.Column("note", sa.Text))
        """,
        mongo="""
            op.transform("item", grow, undo=shrink, batch_size=25)
            op.run(count_in, undo=count_out, transactional=True)
        """,
        mongo_more=more,
    )
    tree.add(
        "r3",
        postgres="""
            op.execute("UPDATE account SET balance = balance + 100, note = 'x'")
        """,
        mongo="""
            op.drop_field("item", "old", batch_size=25)
            op.update("item", {}, {"$inc": {"n": 1}}, keep=True, batch_size=25)
        """,
        mongo_more=more,
    )


def indented(code: str) -> str:
    return code.strip().replace("\n", "\n" + " " * 12)
