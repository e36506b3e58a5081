"""Whether the databases match the code that serves, as a value."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Readiness:
    """Whether the databases match what this code needs.

    pending: ids of the revisions that some side in use still needs, oldest first.
    half_done: ids of those that were begun and neither finished nor undone.
    ahead: ids of what the databases have beyond this code. They are reported, but do
    not prevent readiness: while a release is rolled out, the last one keeps serving.
    paired: False if each of the two was migrated with a different partner.
    """

    pending: tuple[str, ...] = ()
    half_done: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    paired: bool = True

    @property
    def ready(self) -> bool:
        return self.paired and not self.pending and not self.half_done
