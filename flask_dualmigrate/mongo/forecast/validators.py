"""What a validator that the script sets would refuse in a later sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...errors import OperationError
from ...ops import SetValidator
from ..batches.step_under_way import Work
from ..expressions.ranges import both, ids_in
from ..server.failures import shown


@dataclass(frozen=True)
class ComingValidator:
    """A validator that a collection will have once the sample's operation runs.

    collection: as it is called now.
    """

    work: Work
    collection: str
    operation: SetValidator

    def misfits(
        self, ids: Sequence[Any], session: ClientSession
    ) -> list[RawBSONDocument]:
        """Return the documents that it does not accept as they are."""
        misfit = {"$nor": [self.work.native(self.operation.validator)]}
        query = both(ids_in(ids), misfit)
        return list(self.work.db[self.collection].find(query, session=session))

    def check(
        self,
        ids: Sequence[Any],
        session: ClientSession,
        *,
        before: Sequence[RawBSONDocument] = (),
    ) -> None:
        """Raise OperationError for a written document that does not fit.

        before: those that did not fit before the write; `moderate` accepts these.
        """
        unchanged = {document.raw for document in before}
        moderate = self.operation.level == "moderate"
        exempt = [document["_id"] for document in before if moderate]
        for document in self.misfits(ids, session):
            if document.raw not in unchanged and document["_id"] not in exempt:
                raise OperationError(
                    "The validator set above refuses the document with _id "
                    f"{shown(document['_id'])}"
                )


def coming_validator(
    work: Work, collection: str, operation: SetValidator | None
) -> ComingValidator | None:
    """Return the validator that an operation sets; None if it refuses nothing."""
    if operation is None or not operation.validator:
        return None
    if operation.action != "error" or operation.level == "off":
        return None
    return ComingValidator(work, collection, operation)
