"""`restore` in `_migrations_meta`: how far a restore is, so that it can continue.

It contains everything needed after the point of no return: the backup may be gone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import bson
from pymongo.collection import Collection
from pymongo.database import Database

from ...backend.restorer import Unfinished
from ...runtime.crashpoints import around
from ..journal.journal import durable
from ..journal.meta import COLLECTION as META
from ..journal.meta import unfinished_of
from ..journal.names import RESTORE as KEY

SIDE = "_migrations_restore_"
"""The prefix of the names of the side collections."""

Doc = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Put:
    """One collection that comes back.

    way: rename the side collection over it; copy the documents of the side collection
    into it, if MongoDB cannot rename; or view: recreate it. side: where its documents
    wait; "": it has none. data: where they belong.
    """

    name: str
    way: str
    side: str = ""
    data: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    indexes: tuple[Mapping[str, Any], ...] = ()

    def to_document(self) -> Doc:
        # As bytes: a validator contains names with dots and dollars.
        more = bson.encode({"options": self.options, "indexes": list(self.indexes)})
        return {
            "name": self.name,
            "way": self.way,
            "side": self.side,
            "data": self.data,
            "more": more,
        }

    @classmethod
    def of(cls, document: Doc) -> Put:
        values = {**document, **bson.decode(document["more"])}
        del values["more"]
        return cls(**{**values, "indexes": tuple(values["indexes"])})


@dataclasses.dataclass(frozen=True)
class Gone:
    """One collection that was made since. aside: its new name; "": dropped."""

    name: str
    aside: str = ""
    documents: int = 0


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of one restore.

    unfinished: in the form the core uses. revision: the first one of the plan that the
    backup was made for. made_since: names of the collections to remove; gone: what
    becomes of each. entries: those of the catalog of asides that must stay in it.
    """

    unfinished: Unfinished
    revision: str = ""
    puts: tuple[Put, ...] = ()
    made_since: tuple[str, ...] = ()
    gone: tuple[Gone, ...] = ()
    entries: tuple[Doc, ...] = ()


class RestoreRecord:
    """Reads and writes the record of one database."""

    def __init__(self, db: Database[Any]) -> None:
        self._meta: Collection[Doc] = durable(db)[META]

    @around("mongo.restore.begin")
    def begin(self, unfinished: Unfinished) -> None:
        """Record that a restore is begun, replacing one that decided nothing."""
        self._meta.replace_one(
            {"_id": KEY}, dataclasses.asdict(unfinished), upsert=True
        )

    @around("mongo.restore.loaded")
    def loaded(self, puts: list[Put], made_since: list[str], revision: str) -> None:
        """Record what waits in side collections, and all that `decide` needs."""
        self._set(
            {
                "puts": [put.to_document() for put in puts],
                "made_since": made_since,
                "revision": revision,
            }
        )

    @around("mongo.restore.decide")
    def decide(self, gone: list[Gone], entries: list[Doc]) -> None:
        """Record that it will be switched: from here on there is no way back."""
        found = [dataclasses.asdict(each) for each in gone]
        self._set({"switching": True, "gone": found, "entries": entries})

    @around("mongo.restore.end")
    def end(self) -> None:
        self._meta.delete_one({"_id": KEY})

    def read(self) -> Record | None:
        document = self._meta.find_one({"_id": KEY})
        return None if document is None else record_of(document)

    def _set(self, fields: Doc) -> None:
        self._meta.update_one({"_id": KEY}, {"$set": fields})


def record_of(document: Doc) -> Record:
    return Record(
        unfinished_of(document),
        document.get("revision", ""),
        tuple(map(Put.of, document.get("puts", ()))),
        tuple(document.get("made_since", ())),
        tuple(Gone(**each) for each in document.get("gone", ())),
        tuple(document.get("entries", ())),
    )
