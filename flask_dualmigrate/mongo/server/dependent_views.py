"""Views: which ones read a collection, and how to rename one.

A view refers to names. It does not follow when what it reads is renamed or dropped: it
is empty from then on, without an error from the server. Source: MongoDB manual, Views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.database import Database

from ...ops.views import readers_of, sources_of
from .views import NATIVE, collection_info, command, drop, rename


def views_on(db: Database[Any], collection: str) -> tuple[str, ...]:
    """Return the views that read a collection, directly or through others, sorted.

    Views that were dropped and are kept aside are left out.
    """
    listed = db.with_options(codec_options=NATIVE).list_collections(
        filter={"type": "view", "name": {"$not": {"$regex": "^_aside_"}}}
    )
    reads = {info["name"]: sources_of(info["options"]) for info in listed}
    return tuple(sorted(readers_of(collection, reads)))


def told_of_views(views: Sequence[str], collection: str, *, gone: str) -> str:
    """Say what becomes of views whose collection is gone. gone: how, in words."""
    if len(views) == 1:
        return (
            f"the view {views[0]} reads {collection}, which is {gone}: it is empty "
            f"while {collection} does not exist"
        )
    return (
        f"the views {', '.join(views)} read {collection}, which is {gone}: they are "
        f"empty while {collection} does not exist"
    )


def move(db: Database[Any], old: str, new: str) -> None:
    """Rename a collection, or a view, which MongoDB cannot rename.

    It can be repeated after a crash, with the same result.
    """
    info = collection_info(db, old)
    if info is None or info["type"] != "view":
        rename(db, old, new)
        return
    if collection_info(db, new) is None:
        command(db, {"create": new, **info["options"]})
    drop(db, old)
