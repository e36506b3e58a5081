"""What a backup of one side must contain, and what it does contain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..backups import MongoPart, PostgresPart, Scope
from ..revisions import BackendName


@dataclasses.dataclass(frozen=True)
class BackupItem:
    """A table or a collection that a backup must contain. schema: None in MongoDB.

    size_bytes: as the server counts it. existed: False if it does not exist yet: the
    plan creates it. own: it belongs to the journal, and is not the app's data.
    """

    name: str
    schema: str | None = None
    size_bytes: int = 0
    is_empty: bool = True
    existed: bool = True
    own: bool = False

    @property
    def full_name(self) -> str:
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


@dataclasses.dataclass(frozen=True)
class Extent:
    """What a backup of one side must contain.

    scope: ALL: the whole database; why: the reason, if no one asked for all of it.
    """

    backend: BackendName
    scope: Scope
    items: tuple[BackupItem, ...]
    why: str | None = None

    @property
    def data(self) -> tuple[BackupItem, ...]:
        """The part that holds data of the app."""
        return tuple(each for each in self.items if not (each.is_empty or each.own))

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.items)


@dataclasses.dataclass(frozen=True)
class Dumped:
    """What one side wrote into a backup. versions: of its server and its program."""

    part: PostgresPart | MongoPart
    versions: Mapping[str, str]
