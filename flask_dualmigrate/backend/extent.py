"""What a backup of one side is to hold, and what it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ..backups import MongoPart, PostgresPart, Scope
from ..revisions import BackendName


@dataclasses.dataclass(frozen=True)
class BackupItem:
    """A table or a collection that a backup is to hold. schema: None in MongoDB.

    size_bytes: as the server counts it. existed: False if it is not there: the plan
    makes it. own: it is of the journal, and no data of the app's.
    """

    name: str
    schema: str | None = None
    size_bytes: int = 0
    is_empty: bool = True
    existed: bool = True
    own: bool = False


@dataclasses.dataclass(frozen=True)
class Extent:
    """What a backup of one side is to hold.

    scope: ALL: the whole database; why: the reason, where no one asked for all of it.
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
