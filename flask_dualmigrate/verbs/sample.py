"""A sample of a table's rows, and of the documents that correspond to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..environment import Environment
from ..revisions import BackendName
from .same_values import Canonical, canonical, variants
from .survey import PairedValues

SAMPLE = 1000
"""Rows of a table to sample, half of them from each end of its key."""


Keys = Mapping[Canonical, tuple[Any, Canonical]]
"""A BSON key -> the row key that it stands for."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows and documents by key, if both have one, and which fields correspond.

    fields: column -> field.
    """

    table: str
    collection: str
    fields: Mapping[str, str]
    rows: Mapping[Canonical, Mapping[str, Any]]
    documents: Mapping[Canonical, Mapping[str, Any]]
    keys: Keys

    @classmethod
    def of(
        cls,
        env: Environment,
        table: str,
        collection: str,
        keys: Keys | None = None,
    ) -> Sample | None:
        """Return a sample; None if the table has no single-column key.

        keys: of the documents that were examined before.
        """
        fields = {pair.column: pair.field for pair in env.models.paired_fields(table)}
        key = env.models.key_of(table)
        if key is None:
            return None
        sides = env.backends
        found = sides[BackendName.POSTGRES].values(table, key, [*fields], only=SAMPLE)
        rows = {canonical(row[key]): row for row in found}
        wanted = {
            canonical(item): (item, canonical(row[key]))
            for row in found
            for item in variants(row[key])
        }
        wanted = {**wanted, **(keys or {})}
        field = fields[key]
        documents = {
            wanted[canonical(document[field])][1]: document
            for document in sides[BackendName.MONGO].values(
                collection,
                field,
                [*fields.values()],
                only=[item for item, _ in wanted.values()],
            )
        }
        return cls(table, collection, fields, rows, documents, wanted)

    def equal(self, column: str) -> frozenset[Canonical]:
        """Return the keys of the rows whose value equals their document's."""
        field = self.fields[column]
        return frozenset(
            key
            for key, row in self.rows.items()
            if column in row and key in self.documents
            if canonical(row[column]) == canonical(self.documents[key].get(field))
        )

    def compare(self, later: Sample, total: int) -> Iterator[PairedValues]:
        """Yield each column that was equal somewhere, with its later state."""
        for column, field in self.fields.items():
            there = later.rows.keys() & later.documents.keys()
            compared = {
                key
                for key in self.equal(column) & there
                if column in later.rows[key] and not self._is_key(column)
            }
            different = compared - later.equal(column)
            if compared:
                yield PairedValues(
                    self.table,
                    column,
                    self.collection,
                    field,
                    compared=len(compared),
                    rows=len(self.rows),
                    total=total,
                    different=len(different),
                    example=_words(min(different, key=str)) if different else None,
                )

    def _is_key(self, column: str) -> bool:
        return self.fields[column] == "_id"


def _words(key: Any) -> str:
    return str(key[-1])
