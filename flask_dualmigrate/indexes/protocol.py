"""The protocol that the verbs know a side's indexes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..revisions import BackendName
from .values import BuildProgress, Difference, Listing

OnBuild = Callable[[BuildProgress], None]
"""Called with the progress of a build, about once a second."""


class IndexSide(Protocol):
    """The indexes of one side. What changes them wants the side's lock held."""

    name: BackendName

    def read(self, place: str | None) -> Listing:
        """Return the indexes of one collection or table, None: of all.

        Raises UsageError for a place that is not there, or has no indexes.
        """

    def diff(self, place: str | None) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        """Compare what is declared with what is there; return notes with it."""

    def mend(self, difference: Difference, on_build: OnBuild) -> None:
        """Do what the difference's remedy says; never a drop of its own."""

    def drop(self, place: str, name: str, *, hidden_for_s: float = 0.0) -> None:
        """Drop an index; where the side can hide it, it is hidden first."""

    def rebuild(self, place: str, name: str, on_build: OnBuild) -> None:
        """Rebuild an index without ever being without it."""

    def wait(self, difference: Difference, on_build: OnBuild) -> None:
        """Return when the build that is under way has ended."""

    def require(self, place: str, name: str, *, to_drop: bool = True) -> str:
        """Return an index in words.

        Raises UsageError if it cannot be dropped or, with to_drop=False, rebuilt.
        """
