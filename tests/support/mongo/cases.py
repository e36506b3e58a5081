"""A table of all operations on MongoDB: what each does to a seed, and its way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pymongo.client_session import ClientSession

from flask_dualmigrate import ops
from tests.support.mongo.seed import IDS, Db, Doc, item

BATCH = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """An operation, and the one that a downgrade script has for it.

    check: asserts what the operation did. exact: the reverse gives back every byte.
    """

    id: str
    operation: ops.Operation
    check: Callable[[Db], None]
    reverse: ops.Operation | None = None
    exact: bool = True

    def __str__(self) -> str:
        return self.id


def check_count(collection: str, query: Doc, count: int) -> Callable[[Db], None]:
    def check(db: Db) -> None:
        assert db[collection].count_documents(query) == count

    return check


def check_collections(*, there: str = "", gone: str = "") -> Callable[[Db], None]:
    def check(db: Db) -> None:
        names = set(db.list_collection_names())
        assert set(there.split()) <= names
        assert not names & set(gone.split())

    return check


def check_indexes(*, there: str = "", gone: str = "") -> Callable[[Db], None]:
    def check(db: Db) -> None:
        names = set(db.item.index_information())
        assert set(there.split()) <= names
        assert not names & set(gone.split())

    return check


def check_validator(db: Db) -> None:
    (info,) = db.list_collections(filter={"name": "item"})
    assert info["options"]["validator"] == {"n": {"$gte": 0}}
    assert info["options"]["validationLevel"] == "moderate"


def check_renamed_in_place(db: Db) -> None:
    for number, _id in enumerate(IDS):
        names = ["title" if name == "name" else name for name in item(number, _id)]
        (doc,) = db.item.aggregate([{"$match": {"_id": _id}}])
        assert list(doc) == names


def raise_price(doc: Doc) -> Doc | None:
    """Change two documents of three."""
    if doc["n"] % 3 == 0:
        return None
    doc["price"] = {"was": doc["price"], "note": doc.get("note")}
    return doc


def mark(db: Db) -> None:
    db.item.update_many({}, {"$set": {"marked": True}})


def unmark(db: Db) -> None:
    db.item.update_many({}, {"$unset": {"marked": ""}})


def count_up(db: Db, session: ClientSession) -> None:
    db.item.update_many({}, {"$inc": {"n": 100}}, session=session)


def count_down(db: Db, session: ClientSession) -> None:
    db.item.update_many({}, {"$inc": {"n": -100}}, session=session)


TWICE = {"$multiply": ["$n", 2]}


def item_operations() -> list[Case]:
    """Operations on documents and fields, batch by batch."""
    total = len(IDS)
    with_note = sum("note" in item(n, 0) for n in range(total))
    with_address = sum("address" in item(n, 0) for n in range(total))
    return [
        Case(
            "add_field",
            ops.AddField("item", "status", default="new", batch_size=BATCH),
            check_count("item", {"status": "new"}, total),
            ops.DropField("item", "status", batch_size=BATCH),
        ),
        Case(
            "add_field to some",
            ops.AddField("item", "note", default=["x"], batch_size=BATCH),
            check_count("item", {"note": {"$exists": True}}, total),
            None,
        ),
        Case(
            "add_field computed",
            ops.AddField("item", "twice", using=TWICE, batch_size=BATCH),
            check_count("item", {"$expr": {"$eq": ["$twice", TWICE]}}, total),
            ops.DropField("item", "twice", batch_size=BATCH),
        ),
        Case(
            "add_field embedded",
            ops.AddField(
                "item", "address.country.code", default="at", batch_size=BATCH
            ),
            check_count("item", {"address.country": {"code": "at"}}, total),
            None,
        ),
        Case(
            "drop_field",
            ops.DropField("item", "note", batch_size=BATCH),
            check_count("item", {"note": {"$exists": True}}, 0),
            ops.AddField("item", "note", batch_size=BATCH),
        ),
        Case(
            "drop_field embedded",
            ops.DropField("item", "address.city", batch_size=BATCH),
            check_count("item", {"address.city": {"$exists": True}}, 0),
            ops.AddField("item", "address.city", batch_size=BATCH),
        ),
        Case(
            "rename_field",
            ops.RenameField("item", "name", "title", batch_size=BATCH),
            check_renamed_in_place,
            ops.RenameField("item", "title", "name", batch_size=BATCH),
        ),
        Case(
            "rename_field embedded",
            ops.RenameField("item", "address.city", "address.town", batch_size=BATCH),
            check_count("item", {"address.town": {"$exists": True}}, with_address),
            ops.RenameField("item", "address.town", "address.city", batch_size=BATCH),
        ),
        Case(
            "rename_field over another",
            ops.RenameField("item", "note", "last", overwrite=True, batch_size=BATCH),
            check_count("item", {"note": {"$exists": True}}, 0),
            None,
        ),
        Case(
            "rename_field into a document",
            ops.RenameField("item", "name", "address.name", batch_size=BATCH),
            check_count("item", {"address.name": {"$exists": True}}, total),
            None,
        ),
        Case(
            "rename_field out of a document over another",
            ops.RenameField(
                "item", "address.zip", "last", overwrite=True, batch_size=BATCH
            ),
            check_count("item", {"last": {"$type": "long"}}, with_address),
            None,
        ),
        Case(
            "copy_field",
            ops.CopyField("item", "note", "remark", batch_size=BATCH),
            check_count("item", {"remark": {"$exists": True}}, with_note),
            ops.DropField("item", "remark", batch_size=BATCH),
        ),
        Case(
            "copy_field over another",
            ops.CopyField("item", "note", "name", overwrite=True, batch_size=BATCH),
            check_count("item", {"name": {"$type": "string"}}, total - with_note),
            None,
        ),
        Case(
            "convert_field",
            ops.ConvertField("item", "price", to="int", batch_size=BATCH),
            check_count("item", {"price": {"$type": "int"}}, total),
            ops.ConvertField("item", "price", to="string", batch_size=BATCH),
        ),
        Case(
            "convert_field embedded",
            ops.ConvertField("item", "address.zip", to="string", batch_size=BATCH),
            check_count("item", {"address.zip": {"$type": "string"}}, with_address),
            ops.ConvertField("item", "address.zip", to="int", batch_size=BATCH),
        ),
        Case(
            "convert_field with nulls",
            ops.ConvertField(
                "item", "name", to="int", on_error="null", batch_size=BATCH
            ),
            check_count("item", {"name": None}, total),
            ops.ConvertField("item", "name", to="string", batch_size=BATCH),
        ),
        Case(
            "update with undo",
            ops.Update(
                "item",
                {"n": {"$gte": 2}},
                {"$inc": {"n": 10}},
                undo={"$inc": {"n": -10}},
                batch_size=BATCH,
            ),
            check_count("item", {"n": {"$gte": 12}}, total - 2),
            ops.Update(
                "item", {"n": {"$gte": 12}}, {"$inc": {"n": -10}}, batch_size=BATCH
            ),
        ),
        Case(
            "update with keep",
            ops.Update(
                "item",
                {},
                ({"$replaceWith": {"_id": "$_id", "name": "$name"}},),
                keep=True,
                batch_size=BATCH,
            ),
            check_count("item", {"n": {"$exists": False}}, total),
            None,
        ),
        Case(
            "transform with keep",
            ops.Transform("item", raise_price, keep=True, batch_size=BATCH),
            check_count("item", {"price.was": {"$exists": True}}, 10),
            None,
        ),
        Case(
            "insert",
            ops.Insert("item", tuple(item(n, n) for n in range(100, 110))),
            check_count("item", {"_id": {"$gte": 100, "$lt": 110}}, 10),
            ops.Delete("item", {"_id": {"$gte": 100, "$lt": 110}}, batch_size=BATCH),
        ),
        Case(
            "insert into a new collection",
            ops.Insert("fresh", ({"_id": "x", "a": 1},)),
            check_count("fresh", {}, 1),
            ops.DropCollection("fresh"),
        ),
        Case(
            "delete",
            ops.Delete("item", {"note": {"$exists": True}}, batch_size=BATCH),
            check_count("item", {}, total - with_note),
            None,
        ),
        Case(
            "run in a transaction",
            ops.Run(count_up, undo=count_down, transactional=True),
            check_count("item", {"n": {"$gte": 100}}, total),
            ops.Run(count_down, transactional=True),
        ),
    ]


def collection_operations() -> list[Case]:
    """Operations that are done again after a crash, with the same result."""
    return [
        Case(
            "create_collection",
            ops.CreateCollection("made", {"capped": True, "size": 4096}),
            check_collections(there="made"),
            ops.DropCollection("made"),
        ),
        Case(
            "create_collection that is there",
            ops.CreateCollection("item"),
            check_collections(there="item"),
            None,
        ),
        Case(
            "drop_collection",
            ops.DropCollection("item"),
            check_collections(gone="item"),
            ops.CreateCollection("item"),
        ),
        Case(
            "rename_collection",
            ops.RenameCollection("item", "article"),
            check_collections(there="article", gone="item"),
            ops.RenameCollection("article", "item"),
        ),
        Case(
            "set_validator",
            ops.SetValidator("item", {"n": {"$gte": 0}}, level="moderate"),
            check_validator,
            ops.SetValidator("item", None),
        ),
        Case(
            "create_index",
            ops.CreateIndex("item", (("n", 1), ("name", -1)), "ix_n", {"sparse": True}),
            check_indexes(there="ix_n"),
            ops.DropIndex("item", "ix_n"),
        ),
        Case(
            "create_index on a new collection",
            ops.CreateIndex("fresh", (("n", 1),), "ix_n", {"unique": True}),
            check_collections(there="fresh"),
            ops.DropCollection("fresh"),
        ),
        Case(
            "drop_index",
            ops.DropIndex("item", "ix_city"),
            check_indexes(there="ix_name", gone="ix_city"),
            ops.CreateIndex(
                "item",
                (("address.city", 1), ("n", -1)),
                "ix_city",
                {
                    "partialFilterExpression": {"n": {"$gt": 3}},
                    "collation": {"locale": "de", "strength": 2},
                },
            ),
        ),
        Case(
            "drop_index of text",
            ops.DropIndex("item", "ix_text"),
            check_indexes(gone="ix_text"),
            ops.CreateIndex("item", (("name", "text"), ("note", "text")), "ix_text"),
        ),
        Case(
            "run again",
            ops.Run(mark, undo=unmark, idempotent=True),
            check_count("item", {"marked": True}, len(IDS)),
            ops.Run(unmark, idempotent=True),
        ),
    ]


CASES = {case.id: case for case in [*item_operations(), *collection_operations()]}
