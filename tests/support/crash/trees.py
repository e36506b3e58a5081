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

def fail_if_wanted():
    if pathlib.Path(__file__).parents[2].joinpath("fail").exists():
        raise RuntimeError("told to fail")
"""

Ways = tuple[str, str]
"""An operation, and the one that takes it back."""

INDEX = (
    'op.create_index("item", [("n", 1)], name="ix_n")',
    'op.drop_index("item", "ix_n")',
)
COUNT = (
    "op.run(count_in, undo=count_out, transactional=True)",
    "op.run(count_out, undo=count_in, transactional=True)",
)
BUMP = "op.run(bump, undo=drop)", "op.run(drop, undo=bump)"
BALANCE = ', sa.Column("balance", sa.Integer)'


def account(more: str = "") -> dict[str, str]:
    """Return both functions of an Alembic script. more: columns."""
    key = 'sa.Column("id", sa.Integer, primary_key=True)'
    up, down = f'op.create_table("account", {key}{more})', 'op.drop_table("account")'
    return {"postgres": up, "postgres_down": down}


def added(collection: str = "item", **pace: int) -> Ways:
    """Return an update that must run once for each document."""
    more = "".join(f", {name}={value}" for name, value in pace.items())
    one, back = (
        f'op.update("{collection}", {{}}, {{"$inc": {{"n": {n}}}}}, '
        f'undo={{"$inc": {{"n": {-n}}}}}{more})'
        for n in (1, -1)
    )
    return one, back


def mongo_of(*operations: Ways) -> dict[str, str]:
    """Return both functions of a Mongo script."""
    up, down = zip(*operations, strict=True)
    return {"mongo": "\n".join(up), "mongo_down": "\n".join(reversed(down))}


def seed(db: Database[Any]) -> None:
    """Put what the scripts work on."""
    db.item.insert_many(
        [{"_id": n, "n": 100 * n, "old": f"o{n}"} for n in range(DOCUMENTS)]
    )
    names = ("transactional", "idempotent", "unsafe")
    db.calls.insert_many([{"_id": name, "n": 0} for name in names])


def write_two(tree: Tree) -> None:
    """Two revisions of nearly everything."""
    rows = 'op.execute("INSERT INTO account SELECT n, n FROM generate_series(1, 3) n")'
    tree.add(
        "r1",
        postgres=f"{account(BALANCE)['postgres']}\n{rows}",
        postgres_down=account()["postgres_down"],
        **mongo_of(added(batch_size=BATCH), INDEX),
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
        **mongo_of(
            (
                f'op.drop_field("item", "old", batch_size={BATCH})',
                f'op.add_field("item", "old", batch_size={BATCH})',
            ),
            (
                f'op.transform("item", grow, undo=shrink, batch_size={BATCH})',
                f'op.transform("item", shrink, undo=grow, batch_size={BATCH})',
            ),
            COUNT,
            BUMP,
            (
                "op.run(mark, undo=unmark, idempotent=True)",
                "op.run(unmark, undo=mark, idempotent=True)",
            ),
        ),
        mongo_more=_MORE,
    )


def write_failing(tree: Tree) -> None:
    """One revision whose PostgreSQL half fails, up and down, while `fail` is there."""
    tree.add(
        "r1",
        **{name: f"{code}\nfail_if_wanted()" for name, code in account().items()},
        postgres_more=FAIL,
        **mongo_of(
            added(batch_size=BATCH),
            INDEX,
            ('op.drop_field("item", "old")', 'op.add_field("item", "old")'),
            COUNT,
            ('op.create_collection("made")', 'op.drop_collection("made")'),
            ('op.insert("made", [{"_id": 1}])', ""),
        ),
        mongo_more=_MORE,
    )


def write_one(tree: Tree) -> None:
    """One small revision, of which every pair of points can be visited."""
    mongo = mongo_of(added(batch_size=DOCUMENTS), INDEX)
    tree.add("r1", **account(), **mongo, mongo_more=_MORE)


def write_unsafe(tree: Tree) -> None:
    """One revision with an unsafe function between two other operations."""
    mongo = mongo_of(added(batch_size=DOCUMENTS), BUMP, INDEX)["mongo"]
    tree.add("r1", **account(), mongo=mongo, mongo_more=_MORE)


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
        **mongo_of(
            (
                'op.rename_collection("calls", "called")',
                'op.rename_collection("called", "calls")',
            ),
            added("called"),
        ),
    )


PARTED = 2400


def write_parted(tree: Tree) -> None:
    """One revision that walks a larger collection in two parts."""
    documents = f'[{{"_id": n, "n": 0}} for n in range({PARTED})]'
    tree.add("r1", mongo=f'op.insert("many", {documents})')
    up, _ = added("many", batch_size=300, workers=2)
    tree.add("r2", postgres=account()["postgres"], mongo=up)


CHAOS_DOCUMENTS = 1500


def seed_many(db: Database[Any]) -> None:
    db.item.insert_many(
        [{"_id": n, "n": n, "old": f"o{n}"} for n in range(CHAOS_DOCUMENTS)]
    )
    db.calls.insert_many([{"_id": name, "n": 0} for name in ("transactional",)])


def write_long(tree: Tree) -> None:
    """Three revisions that take a second or two, of non-idempotent operations."""
    more = _MORE.replace("== 10", f"== {CHAOS_DOCUMENTS}")
    rows = 'op.execute("INSERT INTO account SELECT n, n FROM generate_series(1, 99) n")'
    tree.add(
        "r1",
        postgres=f"{account(BALANCE)['postgres']}\n{rows}",
        mongo="\n".join((added(batch_size=25)[0], INDEX[0])),
        mongo_more=more,
    )
    tree.add(
        "r2",
        postgres="""
            op.execute("UPDATE account SET balance = balance + 10")
            op.execute("SELECT pg_sleep(0.2)")
            op.add_column("account", sa.Column("note", sa.Text))
        """,
        mongo=f'op.transform("item", grow, undo=shrink, batch_size=25)\n{COUNT[0]}',
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
