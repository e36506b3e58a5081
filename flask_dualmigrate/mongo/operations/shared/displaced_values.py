"""Moving values aside that cannot go back where they came from.

The app has a newer value there, or a unique index refuses the old one.
"""

from __future__ import annotations

from collections.abc import Sequence

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...batches.raw_collection import Target
from ...batches.step_under_way import Work
from ...batches.undo import documents
from ...expressions.id_list import IdList
from ...expressions.paths import FieldPath
from ...expressions.ranges import both, ids_in
from ...expressions.raw_bson import as_document, id_of, there_in
from .kept_fields import enter_values, name_aside

OURS_BACK = "ours_back"
"""The aside of what an undoing cannot move back; `ours`: of what a downgrade cannot."""


def name_ours_back(work: Work, collection: str, path: FieldPath) -> None:
    """Choose and create, once, an aside for the values that cannot go back."""
    if OURS_BACK not in work.before:
        name = name_aside(work, collection, path.text)
        work.save(before={**work.before, OURS_BACK: name})
    enter_values(work, work.before[OURS_BACK], collection, path)


def set_ours_aside(
    work: Work,
    aside: str | None,
    path: FieldPath,
    found: Sequence[RawBSONDocument],
    session: ClientSession,
) -> None:
    """Move a field's values aside if there is no longer room for them.

    found: as `shape_of` reads them.
    """
    if not found or aside is None:
        return
    kept = [
        RawBSONDocument(
            as_document(
                id_of(document).bytes,
                there_in(document, "ours").named("value").bytes,
                there_in(document, "from").named("at").bytes,
            )
        )
        for document in found
    ]
    Target(work, aside, session).replace(kept, upsert=True)
    query = both(ids_in(IdList.of(found)), {"$expr": path.present})
    name = str(work.record.subject["collection"])
    Target(work, name, session).update(query, [{"$unset": [path.text]}])


def note_ours(
    work: Work, collection: str, old: FieldPath, new: FieldPath, *, key: str = "ours"
) -> None:
    """Note how many values could not move from one field to the other."""
    if (aside := work.before.get(key)) is None:
        return
    if count := work.db[aside].count_documents({}):
        it, its = ("it", "its") if count == 1 else ("them", "their")
        work.note(
            f"{documents(count)} of {collection} got another {new.text} since, or a "
            f"unique index refuses {it}: {its} former one, which was {old.text}, is in "
            f'{aside}. To put {it} back by hand, set {new.text} to the "value" that is '
            "kept there under the same _id"
        )
