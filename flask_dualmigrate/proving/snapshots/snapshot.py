"""What a database contains at one moment: things with attributes, and records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Thing = tuple[str, str]
"""Its kind and its name: ("column", "users.email")."""


@dataclasses.dataclass(frozen=True)
class Records:
    """The rows of a table, or the documents of a collection.

    fields: column -> type; empty for a collection. by_key: key as text -> values.
    rest: the rows of a table without a key.
    made: columns whose values the database generates, such as from a sequence.
    """

    kind: str
    by_key: Mapping[str, Mapping[str, Any]]
    rest: tuple[Mapping[str, Any], ...] = ()
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    made: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.by_key) + len(self.rest)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that is compared. things: the schema; records: by table or collection."""

    things: Mapping[Thing, Mapping[str, str]]
    records: Mapping[str, Records]

    def count(self) -> int:
        return sum(map(len, self.records.values()))
