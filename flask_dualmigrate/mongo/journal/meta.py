"""`_migrations_meta`: what a database says about itself: its pair, its history.

The entries of `_migrations` say which revisions were run. If there are none, this
distinguishes a new database from one that lost them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pymongo import DeleteOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from ...backend.restorer import Unfinished
from .names import HISTORY, META, PAIR, RESTORE, SERVER

COLLECTION = META
_UNUSED = "unused"
"""In the pair's document: no entry was written since."""

Doc = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Meta:
    """The contents of `_migrations_meta`.

    pair_id: of both sides. unused: nothing was run or marked since that was written.
    has_history: there have been entries. restoring: a restore that was begun. tried:
    which server was tried.
    """

    pair_id: str | None = None
    unused: bool = False
    has_history: bool = False
    restoring: Unfinished | None = None
    tried: str | None = None


class MetaStore:
    """Reads and writes Meta. db: the durable view of the database."""

    def __init__(self, db: Database[Doc]) -> None:
        self._documents = db[COLLECTION]

    def read(self) -> Meta:
        found = {doc["_id"]: doc for doc in self._documents.find({})}
        pair, restore = found.get(PAIR, {}), found.get(RESTORE)
        return Meta(
            pair_id=str(pair["pair_id"]) if pair else None,
            unused=bool(pair.get(_UNUSED)),
            has_history=HISTORY in found,
            restoring=None if restore is None else unfinished_of(restore),
            tried=found.get(SERVER, {}).get("tried"),
        )

    def set_pair_id(self, pair_id: str, *, unused: bool) -> None:
        """Write the pair's id. unused: there is no entry yet.

        A run that is stopped between the two writes must not look like a lost history.
        """
        new: Doc = {"pair_id": pair_id, **({_UNUSED: True} if unused else {})}
        self._documents.update_one({"_id": PAIR}, {"$setOnInsert": new}, upsert=True)

    def note_tried(self, server: str) -> None:
        """Write which server was tried; another one is tried again."""
        self._documents.update_one(
            {"_id": SERVER}, {"$set": {"tried": server}}, upsert=True
        )

    def pair_anew(self, pair_id: str, session: ClientSession) -> None:
        """Write a new id in place of the existing one."""
        self._documents.update_one(
            {"_id": PAIR}, {"$set": {"pair_id": pair_id}}, session=session
        )

    def note_history(
        self, has_entries: bool, session: ClientSession | None = None
    ) -> None:
        """Write whether there are entries: if there are none later, they were lost."""
        if not has_entries:
            self._documents.bulk_write([DeleteOne({"_id": HISTORY})], session=session)
            return
        unused = {"_id": PAIR, _UNUSED: True}
        mark = {"$set": {"has_entries": True}}
        self._documents.bulk_write(
            [
                UpdateOne({"_id": HISTORY}, mark, upsert=True),
                UpdateOne(unused, {"$unset": {_UNUSED: ""}}),
            ],
            session=session,
        )


def unfinished_of(doc: Doc) -> Unfinished:
    """Return the record of a restore in the form the core uses."""
    names = [field.name for field in dataclasses.fields(Unfinished)]
    return Unfinished(**{name: doc[name] for name in names})
