"""A table of all operations on MongoDB that a collection of any size can be put to.

Its documents are those of `seed.item`: number n of them has `note` if n is odd,
and `address` unless five divides n.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask_dualmigrate import ops
from tests.support.mongo.cases import TWICE, count_down, count_up, mark, unmark
from tests.support.mongo.seed import Db, Doc, item

AnyOperation = TypeVar("AnyOperation", bound=ops.Operation)
Which = Callable[[int], bool]
Check = Callable[[Db, int], None]
LARGE = 100_000
SIZES = {"empty": 0, "small": 20, "large": LARGE}
NEW = 2500
"""Documents that `insert` inserts, whatever is there: three batches."""

CITY: Mapping[str, Any] = {
    "partialFilterExpression": {"n": {"$lt": 1000}},
    "collation": {"locale": "de", "strength": 2},
}


@dataclasses.dataclass(frozen=True)
class Sized:
    """An operation, and the one that a downgrade script has for it.

    writes: the numbers of the documents that it writes. check: asserts what it did to
    a collection of so many documents. reverse: gives back every byte; None: another
    operation is not its reverse, or does not promise that.
    """

    id: str
    operation: ops.Operation
    writes: Which
    check: Check
    reverse: ops.Operation | None = None

    def __str__(self) -> str:
        return self.id

    def written(self, size: int) -> int:
        """Return how many documents it writes where there are so many."""
        return NEW if self.operation.verb == "insert" else number(self.writes, size)

    def paced(self, size: int) -> Sized:
        """Return the case with both operations paced for a size."""
        return dataclasses.replace(
            self,
            operation=paced(self.operation, size),
            reverse=self.reverse and paced(self.reverse, size),
        )


def paced(operation: AnyOperation, size: int) -> AnyOperation:
    """Return an operation in batches of which a collection of that size has many."""
    if getattr(operation, "batch_size", 0) is not None:
        return operation
    changes: Any = {"batch_size": 5000 if size == LARGE else 4}
    return dataclasses.replace(operation, **changes)


def number(which: Which, size: int) -> int:
    return sum(which(n) for n in range(size))


def every(n: int) -> bool:
    return True


def none(n: int) -> bool:
    return False


def odd(n: int) -> bool:
    return n % 2 == 1


def even(n: int) -> bool:
    return n % 2 == 0


def with_address(n: int) -> bool:
    return n % 5 != 0


def finds(
    query: Doc, which: Which, *, collection: str = "item", more: int = 0
) -> Check:
    """Return a check of how many documents a query finds: those, and `more`."""

    def check(db: Db, size: int) -> None:
        found = db[collection].count_documents(query)
        assert found == number(which, size) + more

    return check


def has_index(name: str, *, there: bool = True) -> Check:
    def check(db: Db, size: int) -> None:
        assert (name in db.item.index_information()) is there

    return check


def has_collection(name: str, *, there: bool = True) -> Check:
    def check(db: Db, size: int) -> None:
        assert (name in db.list_collection_names()) is there

    return check


def has_validator(db: Db, size: int) -> None:
    (info,) = db.list_collections(filter={"name": "item"})
    assert info["options"]["validator"] == {"n": {"$gte": 0}}


def raised(doc: Doc) -> Doc:
    return {**doc, "n": doc["n"] + 10}


def lowered(doc: Doc) -> Doc:
    return {**doc, "n": doc["n"] - 10}


def there(field: str) -> Doc:
    return {field: {"$exists": True}}


UP_10, DOWN_10 = {"$inc": {"n": 10}}, {"$inc": {"n": -10}}
EVENS = {"n": {"$mod": [2, 0]}}


def field_operations() -> list[Sized]:
    return [
        Sized(
            "add_field",
            ops.AddField("item", "status", default="new"),
            every,
            finds({"status": "new"}, every),
            ops.DropField("item", "status"),
        ),
        Sized(
            "add_field computed by two workers",
            ops.AddField("item", "twice", using=TWICE, workers=2),
            every,
            finds({"$expr": {"$eq": ["$twice", TWICE]}}, every),
            ops.DropField("item", "twice", workers=2),
        ),
        Sized(
            "drop_field",
            ops.DropField("item", "note"),
            odd,
            finds(there("note"), none),
            ops.AddField("item", "note"),
        ),
        Sized(
            "rename_field",
            ops.RenameField("item", "name", "title"),
            every,
            finds(there("title"), every),
            ops.RenameField("item", "title", "name"),
        ),
        Sized(
            "rename_field into a document",
            ops.RenameField("item", "name", "address.name"),
            every,
            finds(there("address.name"), every),
        ),
        Sized(
            "copy_field over another",
            ops.CopyField("item", "note", "name", overwrite=True),
            odd,
            finds({"name": {"$type": "string"}}, even),
        ),
        Sized(
            "copy_field",
            ops.CopyField("item", "note", "remark"),
            odd,
            finds(there("remark"), odd),
            ops.DropField("item", "remark"),
        ),
        Sized(
            "convert_field to int by two workers",
            ops.ConvertField("item", "price", to="int", workers=2),
            every,
            finds({"price": {"$type": "int"}}, every),
            ops.ConvertField("item", "price", to="string", workers=2),
        ),
        Sized(
            "convert_field to string",
            ops.ConvertField("item", "address.zip", to="string"),
            with_address,
            finds({"address.zip": {"$type": "string"}}, with_address),
            ops.ConvertField("item", "address.zip", to="long"),
        ),
    ]


def document_operations() -> list[Sized]:
    ids = [f"new {n}" for n in range(NEW)]
    return [
        Sized(
            "update with undo",
            ops.Update("item", EVENS, UP_10, undo=DOWN_10),
            even,
            finds({"n": {"$gte": 10}}, lambda n: even(n) or n >= 10),
            ops.Update("item", EVENS, DOWN_10),
        ),
        Sized(
            "update with keep",
            ops.Update("item", {}, ({"$unset": ["n", "note"]},), keep=True),
            every,
            finds(there("n"), none),
        ),
        Sized(
            "transform with undo by two workers",
            ops.Transform("item", raised, undo=lowered, workers=2),
            every,
            finds({"n": {"$gte": 10}}, every),
            ops.Transform("item", lowered),
        ),
        Sized(
            "transform with keep",
            ops.Transform("item", raised, EVENS, keep=True),
            even,
            finds({"n": {"$gte": 10}}, lambda n: even(n) or n >= 10),
        ),
        Sized(
            "insert",
            ops.Insert("item", tuple(item(-n, _id) for n, _id in enumerate(ids, 1))),
            none,
            finds({}, every, more=NEW),
            ops.Delete("item", {"_id": {"$in": ids}}, batch_size=1000),
        ),
        Sized(
            "delete by two workers",
            ops.Delete("item", EVENS, workers=2),
            even,
            finds({}, odd),
            ops.Insert("item", ()),
        ),
        Sized(
            "run in a transaction",
            ops.Run(count_up, undo=count_down, transactional=True),
            none,
            finds({"n": {"$gte": 100}}, every),
            ops.Run(count_down, transactional=True),
        ),
        Sized(
            "run again",
            ops.Run(mark, undo=unmark, idempotent=True),
            none,
            finds({"marked": True}, every),
            ops.Run(unmark, idempotent=True),
        ),
    ]


def collection_operations() -> list[Sized]:
    city = (("address.city", 1), ("n", -1))
    return [
        Sized(
            "create_collection",
            ops.CreateCollection("made", {"capped": True, "size": 4096}),
            none,
            has_collection("made"),
            ops.DropCollection("made"),
        ),
        Sized(
            "drop_collection",
            ops.DropCollection("item"),
            none,
            has_collection("item", there=False),
            ops.CreateCollection("item"),
        ),
        Sized(
            "rename_collection",
            ops.RenameCollection("item", "article"),
            none,
            finds({}, every, collection="article"),
            ops.RenameCollection("article", "item"),
        ),
        Sized(
            "set_validator",
            ops.SetValidator("item", {"n": {"$gte": 0}}),
            none,
            has_validator,
            ops.SetValidator("item", None),
        ),
        Sized(
            "create_index",
            ops.CreateIndex("item", (("n", 1),), "ux_n", {"unique": True}),
            none,
            has_index("ux_n"),
            ops.DropIndex("item", "ux_n"),
        ),
        Sized(
            "drop_index",
            ops.DropIndex("item", "ix_city"),
            none,
            has_index("ix_city", there=False),
            ops.CreateIndex("item", city, "ix_city", CITY),
        ),
    ]


CASES = [*field_operations(), *document_operations(), *collection_operations()]
