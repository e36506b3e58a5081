"""Compare MongoDB's declared indexes with the existing ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..revisions import BackendName
from .definition import Definition, normalise, plain
from .values import (
    DeclaredIndex,
    DeclaredIndexes,
    Difference,
    FoundIndex,
    Key,
    Remedy,
    State,
    Verdict,
)

STAND_IN = "_rebuild_"
"""Name prefix of an index that stands in while another is rebuilt."""

_MODIFIABLE = frozenset({"expireAfterSeconds", "hidden"})


def settle_declarations(declared: Iterable[DeclaredIndexes]) -> DeclaredIndexes:
    """Merge several lists into one; the first declaration of a name wins.

    MongoDB accepts an index under one name only: if two names are declared for it, the
    first counts; if a name has two definitions, the first counts.
    """
    kept: dict[tuple[str, str], DeclaredIndex] = {}
    notes: list[str] = []
    for group in declared:
        notes += group.notes
        for index in group.indexes:
            _settle(index, kept, notes)
    return DeclaredIndexes(tuple(kept.values()), tuple(dict.fromkeys(notes)))


def edited_in_scripts(
    models: DeclaredIndexes,
    scripts: DeclaredIndexes,
    translated: Callable[[], DeclaredIndexes],
) -> DeclaredIndexes:
    """Return the models' indexes without those that a script created differently.

    The script wins if the models still say what it was generated from: then someone
    edited it. Otherwise the models have changed since. translated: what the scripts
    were generated from; called only if the two differ.
    """
    made = {(item.place, item.name): definition_of(item) for item in scripts.indexes}
    other = {
        key: item
        for item in models.indexes
        for key in [(item.place, item.name)]
        if key in made and made[key].differing(definition_of(item))
    }
    if not other:
        return models
    edited = {
        (item.place, item.name)
        for item in translated().indexes
        for wanted in [other.get((item.place, item.name))]
        if wanted and not definition_of(wanted).differing(definition_of(item))
    }
    left = (i for i in models.indexes if (i.place, i.name) not in edited)
    return DeclaredIndexes(tuple(left), models.notes)


def _settle(
    index: DeclaredIndex,
    kept: dict[tuple[str, str], DeclaredIndex],
    notes: list[str],
) -> None:
    mine = definition_of(index)
    there = kept.get((index.place, index.name))
    if there is not None:
        if definition_of(there).differing(mine):
            who, first = ", ".join(index.sources), ", ".join(there.sources)
            notes.append(
                f"{index.place}.{index.name}: {who} defines it differently "
                f"from {first}, which is used"
            )
            return
        kept[index.place, index.name] = _with_sources(there, index.sources)
        return
    for other in kept.values():
        if other.place == index.place and definition_of(other).identity == (
            mine.identity
        ):
            notes.append(
                f"{index.place}.{index.name} ({', '.join(index.sources)}) is "
                f"{other.name} under another name: MongoDB keeps only one"
            )
            return
    kept[index.place, index.name] = index


def _with_sources(index: DeclaredIndex, more: Sequence[str]) -> DeclaredIndex:
    sources = tuple(dict.fromkeys((*index.sources, *more)))
    return DeclaredIndex(index.place, index.name, index.key, index.options, sources)


def definition_of(
    index: DeclaredIndex | FoundIndex, collation: Mapping[str, Any] | None = None
) -> Definition:
    return normalise(index.key, index.options, collation=collation)


def compare(
    declared: Sequence[DeclaredIndex],
    found: Sequence[FoundIndex],
    *,
    collations: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Difference, ...]:
    """Compare the indexes of some collections, without _id_.

    declared: names are unique in a collection. collations: collection -> its default.
    """
    places = sorted({i.place for i in declared} | {i.place for i in found})
    return tuple(
        difference
        for place in places
        for difference in _Place(
            place,
            {item.name: item for item in declared if item.place == place},
            {item.name: item for item in found if item.place == place},
            (collations or {}).get(place),
        ).differences()
    )


class _Place:
    """One collection: its declared and existing indexes, by name."""

    def __init__(
        self,
        place: str,
        declared: Mapping[str, DeclaredIndex],
        found: Mapping[str, FoundIndex],
        collation: Mapping[str, Any] | None,
    ) -> None:
        self.place = place
        self.declared = declared
        self.found = found
        self.wanted = {n: definition_of(i, collation) for n, i in declared.items()}
        self.there = {n: definition_of(i) for n, i in found.items()}

    def differences(self) -> Iterator[Difference]:
        reported: set[str] = set()
        leaving: dict[str, str] = {}  # undeclared -> the declared one it blocks
        for name, index in sorted(self.declared.items()):
            other = name if name in self.found else self._in_the_way(name)
            if other is None:
                yield self._say(name, Verdict.MISSING, index, None, Remedy.CREATE)
                continue
            reported.add(other)
            if other == name:
                difference = self._same_name(name)
                leaving |= dict.fromkeys(difference.also, name)
                yield difference
            else:
                yield self._twin(name, other)
        for name in sorted(self.found.keys() - reported):
            yield self._undeclared(name, leaving.get(name))

    def _in_the_way(self, name: str) -> str | None:
        """Return an undeclared index that keeps a declared one from being built."""
        wanted = self.wanted[name]
        for other, there in self.there.items():
            if other in self.declared or other.startswith(STAND_IN):
                continue
            if there.identity == wanted.identity or (there.is_text and wanted.is_text):
                return other
        return None

    def _same_name(self, name: str) -> Difference:
        index, found = self.declared[name], self.found[name]
        if found.state is State.BUILDING:
            return self._say(name, Verdict.BUILDING, index, found, Remedy.WAIT)
        wanted, there = self.wanted[name], self.there[name]
        names = wanted.differing(there)
        if not names:
            return self._say(name, Verdict.OK, index, found)
        changes = _changes(wanted, names)
        why = [_difference(each, index, found) for each in names]
        if changes:
            remedy = Remedy.MODIFY
            return self._conflict(name, found, remedy, why, changes=changes)
        remedy, twin = _replace(wanted), self._in_the_way(name)
        if twin is None or remedy is Remedy.NONE:
            return self._conflict(name, found, remedy, why)
        why.append(f"{twin}, which is not declared, has to be dropped first")
        return self._conflict(name, found, remedy, why, also=(twin,))

    def _twin(self, name: str, other: str) -> Difference:
        index, found = self.declared[name], self.found[other]
        same = self.there[other].identity == self.wanted[name].identity
        why = (
            f"{other} is the same index under another name"
            if same
            else f"{other} is a text index, and MongoDB allows one per collection"
        )
        if found.state is State.BUILDING:
            why = f"{why}, and is being built"
            return self._say(name, Verdict.BUILDING, index, found, Remedy.WAIT, why)
        return self._conflict(name, found, _replace(self.wanted[name]), [why])

    def _undeclared(self, name: str, wanted_by: str | None) -> Difference:
        found = self.found[name]
        if found.state is State.BUILDING:
            why = "it is not declared, and it is being built"
            return self._say(name, Verdict.BUILDING, None, found, Remedy.WAIT, why)
        why = ""
        if wanted_by is not None:
            why = f"it is the index {wanted_by} under another name"
        if name.startswith(STAND_IN):
            why = f"left by an interrupted rebuild of {name.removeprefix(STAND_IN)}"
        return self._say(
            name, Verdict.UNDECLARED, None, found, Remedy.DROP, why or None
        )

    def _conflict(
        self,
        name: str,
        found: FoundIndex,
        remedy: Remedy,
        why: list[str],
        *,
        changes: Mapping[str, Any] | None = None,
        also: tuple[str, ...] = (),
    ) -> Difference:
        if remedy is Remedy.NONE:
            why = [*why, "nothing can stand in for it: `index drop`, then `index sync`"]
        return dataclasses.replace(
            self._say(name, Verdict.CONFLICT, self.declared[name], found, remedy),
            why="; ".join(why),
            changes=changes or {},
            also=also,
        )

    def _say(
        self,
        name: str,
        verdict: Verdict,
        declared: DeclaredIndex | None,
        found: FoundIndex | None,
        remedy: Remedy = Remedy.NONE,
        why: str | None = None,
    ) -> Difference:
        place = (BackendName.MONGO, self.place, name)
        return Difference(*place, verdict, declared, found, why, remedy)


def _changes(wanted: Definition, names: Sequence[str]) -> dict[str, Any]:
    """Return what collMod can change; empty if it cannot change all of it."""
    if not _MODIFIABLE.issuperset(names):
        return {}
    if "expireAfterSeconds" in names and "expireAfterSeconds" not in wanted.options:
        return {}  # collMod turns another index into a TTL index, but not the reverse
    return {name: wanted.options.get(name, False) for name in names}


def _replace(wanted: Definition) -> Remedy:
    """Return REPLACE, or NONE if MongoDB accepts no index that could stand in."""
    return Remedy.REPLACE if wanted.can_be_stood_in_for else Remedy.NONE


def _difference(name: str, index: DeclaredIndex, found: FoundIndex) -> str:
    if name == "key":
        return f"key is {key_text(found.key)}, declared: {key_text(index.key)}"
    return f"{name} is {_value(found, name)}, declared: {_value(index, name)}"


def key_text(key: Key) -> str:
    return "(" + ", ".join(f"{name} {way}" for name, way in key) + ")"


def _value(index: DeclaredIndex | FoundIndex, name: str) -> str:
    value = plain(index.options.get(name))
    return "not set" if value in (None, False) and value != 0 else repr(value)
