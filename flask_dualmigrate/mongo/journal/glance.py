"""A glance at the journal: are these revisions applied, and is nothing else the matter?

It is taken at each start of an app. So it imports the driver alone, and reads no more
of a document than it looks at.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from ..server.errors import driver_errors
from .names import ENTRIES, META, PAIR, RESTORE

_LOOKED_AT = ("status", "direction", "awaits_partner", "partial")


def pair_if_applied(db: Database[Any], ids: Collection[str]) -> set[str] | None:
    """Return the pair's id, if there is one, as a set of at most one.

    None if the journal does not plainly say that exactly these revisions are applied,
    and nothing is begun: then it has to be read as a whole.
    """
    ours = db.with_options(
        read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("majority")
    )
    with driver_errors("read its journal"):
        entries = list(ours[ENTRIES].find({}, dict.fromkeys(_LOOKED_AT, True)))
        meta = {doc["_id"]: doc for doc in ours[META].find({})}
    applied = {doc["_id"] for doc in entries if doc.get("status") == "applied"}
    if applied != set(ids) or RESTORE in meta or not all(map(_is_settled, entries)):
        return None
    return {str(doc["pair_id"]) for key, doc in meta.items() if key == PAIR}


def _is_settled(doc: dict[str, Any]) -> bool:
    """Return whether a document is of an attempt that was done, or undone."""
    is_open = doc.get("awaits_partner") or doc.get("partial")
    is_up = doc.get("direction", "upgrade") == "upgrade"
    done = ("applied", "rolled_back") if is_up else ("rolled_back",)
    return not is_open and doc.get("status") in done
