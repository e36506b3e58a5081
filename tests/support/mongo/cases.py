"""A table of all operations on MongoDB: what each does to a seed, and its way back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pymongo.client_session import ClientSession

from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Insert,
    Operation,
    RenameCollection,
    RenameField,
    Run,
    SetValidator,
    Transform,
    Update,
)
from tests.support.mongo.seed import IDS, Db, Doc, item

BATCH = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """An operation, and the one that a downgrade script has for it.

    check: asserts what the operation did. exact: the reverse gives back every byte.
    """

    id: str
    operation: Operation
    check: Callable[[Db], None]
    reverse: Operation | None = None
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
            AddField("item", "status", default="new", batch_size=BATCH),
            check_count("item", {"status": "new"}, total),
            DropField("item", "status", batch_size=BATCH),
        ),
        Case(
            "add_field to some",
            AddField("item", "note", default=["x"], batch_size=BATCH),
            check_count("item", {"note": {"$exists": True}}, total),
            None,
        ),
        Case(
            "add_field computed",
            AddField("item", "twice", using=TWICE, batch_size=BATCH),
            check_count("item", {"$expr": {"$eq": ["$twice", TWICE]}}, total),
            DropField("item", "twice", batch_size=BATCH),
        ),
        Case(
            "add_field embedded",
            AddField("item", "address.country.code", default="at", batch_size=BATCH),
            check_count("item", {"address.country": {"code": "at"}}, total),
            None,
        ),
        Case(
            "drop_field",
            DropField("item", "note", batch_size=BATCH),
            check_count("item", {"note": {"$exists": True}}, 0),
            AddField("item", "note", batch_size=BATCH),
        ),
        Case(
            "drop_field embedded",
            DropField("item", "address.city", batch_size=BATCH),
            check_count("item", {"address.city": {"$exists": True}}, 0),
            AddField("item", "address.city", batch_size=BATCH),
        ),
        Case(
            "rename_field",
            RenameField("item", "name", "title", batch_size=BATCH),
            check_renamed_in_place,
            RenameField("item", "title", "name", batch_size=BATCH),
        ),
        Case(
            "rename_field embedded",
            RenameField("item", "address.city", "address.town", batch_size=BATCH),
            check_count("item", {"address.town": {"$exists": True}}, with_address),
            RenameField("item", "address.town", "address.city", batch_size=BATCH),
        ),
        Case(
            "rename_field over another",
            RenameField("item", "note", "last", overwrite=True, batch_size=BATCH),
            check_count("item", {"note": {"$exists": True}}, 0),
            None,
        ),
        Case(
            "rename_field into a document",
            RenameField("item", "name", "address.name", batch_size=BATCH),
            check_count("item", {"address.name": {"$exists": True}}, total),
            None,
        ),
        Case(
            "rename_field out of a document over another",
            RenameField(
                "item", "address.zip", "last", overwrite=True, batch_size=BATCH
            ),
            check_count("item", {"last": {"$type": "long"}}, with_address),
            None,
        ),
        Case(
            "copy_field",
            CopyField("item", "note", "remark", batch_size=BATCH),
            check_count("item", {"remark": {"$exists": True}}, with_note),
            DropField("item", "remark", batch_size=BATCH),
        ),
        Case(
            "copy_field over another",
            CopyField("item", "note", "name", overwrite=True, batch_size=BATCH),
            check_count("item", {"name": {"$type": "string"}}, total - with_note),
            None,
        ),
        Case(
            "convert_field",
            ConvertField("item", "price", to="int", batch_size=BATCH),
            check_count("item", {"price": {"$type": "int"}}, total),
            ConvertField("item", "price", to="string", batch_size=BATCH),
        ),
        Case(
            "convert_field embedded",
            ConvertField("item", "address.zip", to="string", batch_size=BATCH),
            check_count("item", {"address.zip": {"$type": "string"}}, with_address),
            ConvertField("item", "address.zip", to="int", batch_size=BATCH),
        ),
        Case(
            "convert_field with nulls",
            ConvertField("item", "name", to="int", on_error="null", batch_size=BATCH),
            check_count("item", {"name": None}, total),
            ConvertField("item", "name", to="string", batch_size=BATCH),
        ),
        Case(
            "update with undo",
            Update(
                "item",
                {"n": {"$gte": 2}},
                {"$inc": {"n": 10}},
                undo={"$inc": {"n": -10}},
                batch_size=BATCH,
            ),
            check_count("item", {"n": {"$gte": 12}}, total - 2),
            Update("item", {"n": {"$gte": 12}}, {"$inc": {"n": -10}}, batch_size=BATCH),
        ),
        Case(
            "update with keep",
            Update(
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
            Transform("item", raise_price, keep=True, batch_size=BATCH),
            check_count("item", {"price.was": {"$exists": True}}, 10),
            None,
        ),
        Case(
            "insert",
            Insert("item", tuple(item(n, n) for n in range(100, 110))),
            check_count("item", {"_id": {"$gte": 100, "$lt": 110}}, 10),
            Delete("item", {"_id": {"$gte": 100, "$lt": 110}}, batch_size=BATCH),
        ),
        Case(
            "insert into a new collection",
            Insert("fresh", ({"_id": "x", "a": 1},)),
            check_count("fresh", {}, 1),
            DropCollection("fresh"),
        ),
        Case(
            "delete",
            Delete("item", {"note": {"$exists": True}}, batch_size=BATCH),
            check_count("item", {}, total - with_note),
            None,
        ),
        Case(
            "run in a transaction",
            Run(count_up, undo=count_down, transactional=True),
            check_count("item", {"n": {"$gte": 100}}, total),
            Run(count_down, transactional=True),
        ),
    ]


def collection_operations() -> list[Case]:
    """Operations that are done again after a crash, with the same result."""
    return [
        Case(
            "create_collection",
            CreateCollection("made", {"capped": True, "size": 4096}),
            check_collections(there="made"),
            DropCollection("made"),
        ),
        Case(
            "create_collection that is there",
            CreateCollection("item"),
            check_collections(there="item"),
            None,
        ),
        Case(
            "drop_collection",
            DropCollection("item"),
            check_collections(gone="item"),
            CreateCollection("item"),
        ),
        Case(
            "rename_collection",
            RenameCollection("item", "article"),
            check_collections(there="article", gone="item"),
            RenameCollection("article", "item"),
        ),
        Case(
            "set_validator",
            SetValidator("item", {"n": {"$gte": 0}}, level="moderate"),
            check_validator,
            SetValidator("item", None),
        ),
        Case(
            "create_index",
            CreateIndex("item", (("n", 1), ("name", -1)), "ix_n", {"sparse": True}),
            check_indexes(there="ix_n"),
            DropIndex("item", "ix_n"),
        ),
        Case(
            "create_index on a new collection",
            CreateIndex("fresh", (("n", 1),), "ix_n", {"unique": True}),
            check_collections(there="fresh"),
            DropCollection("fresh"),
        ),
        Case(
            "drop_index",
            DropIndex("item", "ix_city"),
            check_indexes(there="ix_name", gone="ix_city"),
            CreateIndex(
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
            DropIndex("item", "ix_text"),
            check_indexes(gone="ix_text"),
            CreateIndex("item", (("name", "text"), ("note", "text")), "ix_text"),
        ),
        Case(
            "run again",
            Run(mark, undo=unmark, idempotent=True),
            check_count("item", {"marked": True}, len(IDS)),
            Run(unmark, idempotent=True),
        ),
    ]


CASES = {case.id: case for case in [*item_operations(), *collection_operations()]}
