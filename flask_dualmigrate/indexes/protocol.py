"""The protocol through which the verbs use a side's indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..revisions import BackendName
from .values import BuildProgress, Difference, Listing

OnBuild = Callable[[BuildProgress], None]
"""Called about once a second with the progress of a build."""


class IndexSide(Protocol):
    """The indexes of one side. Hold the side's lock to change them."""

    name: BackendName

    def read(self, place: str | None) -> Listing:
        """Return the indexes of one collection or table; None: of all.

        Raises UsageError if the place does not exist or cannot have indexes.
        """

    def diff(self, place: str | None) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        """Compare declared and existing indexes; return differences and notes."""

    def fix(self, difference: Difference, on_build: OnBuild) -> None:
        """Apply the difference's remedy; never drop an index on its own initiative."""

    def drop(self, place: str, name: str, *, hidden_for_s: float = 0.0) -> None:
        """Drop an index; if the side can hide indexes, hide it first."""

    def rebuild(self, place: str, name: str, on_build: OnBuild) -> None:
        """Rebuild an index without ever being without it."""

    def wait(self, difference: Difference, on_build: OnBuild) -> None:
        """Wait until the current build has ended."""

    def require(self, place: str, name: str, *, to_drop: bool = True) -> str:
        """Return a description of an index.

        Raises UsageError if it cannot be dropped or, with to_drop=False, rebuilt.
        """
