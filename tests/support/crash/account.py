"""Holding what both databases have against what an app wrote beside a revision.

What the app wrote last is there, and what it added is there once. What it did not write
is migrated once, or undone exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from tests.support.crash.app import COUNTED, STEP, Account
from tests.support.crash.beside_tree import BINNED, ITEMS, LABELS, ROWS, old_shape
from tests.support.crash.world import World

Doc = dict[str, Any]
_FIELDS = ("status", "title", "qty", "old", "alias")


class Stands(StrEnum):
    """Where a side stands with the revision."""

    UP = "applied"
    DOWN = "not applied"
    OPEN = "half done"


def mongo_stands(world: World) -> Stands:
    entry = world.mongo["_migrations"].find_one({"_id": "r1"})
    if entry is None:
        return Stands.DOWN
    if entry["status"] == "running" or entry["awaits_partner"] or entry["partial"]:
        return Stands.OPEN
    return Stands.UP if entry["status"] == "applied" else Stands.DOWN


def postgres_stands(world: World) -> Stands:
    with world.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT to_regclass('alembic_version')")
        if found.scalar() is None:
            return Stands.DOWN
        rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        return Stands.UP if rows.first() else Stands.DOWN


def faults(world: World, account: Account, *, undone: bool) -> list[str]:
    """Return what was lost or doubled, a line each.

    undone: nothing but undoing took the revision back, so that what the app wrote
    is to be where it wrote it; else a downgrade may have kept it aside.
    """
    audit = _Audit(world, account, undone)
    return [*audit.items(), *audit.others(), *audit.rows()]


class _Audit:
    def __init__(self, world: World, account: Account, undone: bool) -> None:
        self._world, self._account, self._undone = world, account, undone
        self._stands = mongo_stands(world)
        self._asides = _aside_texts(world)

    def items(self) -> Iterator[str]:
        found = {doc["_id"]: doc for doc in self._world.mongo["item"].find()}
        alive = {*self._account.alive()}
        for _id in sorted(found.keys() - alive):
            yield f"item {_id} was deleted by the app, and is there: {found[_id]}"
        for _id in sorted(alive - found.keys()):
            yield f"item {_id} is lost"
        for _id in sorted(alive & found.keys()):
            faults = [*self._counts(found[_id]), *self._values(found[_id])]
            yield from (f"item {_id}: {fault} in {found[_id]}" for fault in faults)

    def _counts(self, doc: Doc) -> Iterator[str]:
        for field in COUNTED:
            added = self._account.added["item", doc["_id"], field]
            rest = doc[field] - added * STEP
            allowed = self._allowed(doc["_id"], field)
            if rest not in allowed:
                yield f"{field} is {added} times the app's and {rest}, not {allowed}"

    def _allowed(self, _id: int, field: str) -> set[int]:
        """Return how often an operation may have met a document."""
        if _id in self._account.ours:
            # It meets those that it finds; a downgrade may find others.
            return {0, 1} if self._undone else {-1, 0, 1}
        if self._stands is Stands.OPEN:
            return {0, 1}
        if self._account.has_changed(_id, field):
            # Undoing leaves what the app has written since, and says how many.
            return {1} if self._undone and self._stands is Stands.UP else {0, 1}
        return {1} if self._stands is Stands.UP else {0}

    def _values(self, doc: Doc) -> Iterator[str]:
        for field in _FIELDS:
            token = self._account.last.get(("item", doc["_id"], field))
            if token is not None:
                if not self._has(doc, field, token):
                    yield f"the app's {field} {token} is lost"
            elif doc["_id"] not in self._account.ours:
                yield from self._untouched(doc, field)

    def _has(self, doc: Doc, field: str, token: str) -> bool:
        names = ("alias", "nick") if field == "alias" else (field,)
        if any(str(doc.get(name)) == token for name in names):
            return True
        if self._stands is Stands.DOWN and self._undone:
            return False
        return token in self._asides

    def _untouched(self, doc: Doc, field: str) -> Iterator[str]:
        if self._stands is Stands.OPEN:
            return
        wanted = _shape(doc["_id"], up=self._stands is Stands.UP)
        names = ("alias", "nick") if field == "alias" else (field,)
        for name in names:
            if doc.get(name) != wanted.get(name):
                yield f"{name} is not {wanted.get(name)!r}"

    def others(self) -> Iterator[str]:
        yield from self._kept("label", LABELS, "text", made=Stands.UP, value="made")
        yield from self._kept("bin", BINNED, "v", made=Stands.DOWN, value="v-{}")
        calls = self._world.mongo["calls"].find_one({"_id": "calls"}) or {}
        wanted = {Stands.UP: {1}, Stands.DOWN: {0}}.get(self._stands, {0, 1})
        if calls.get("n") not in wanted:
            yield f"calls is {calls}, not {wanted}"

    def _kept(
        self, name: str, ids: tuple[int, ...], field: str, *, made: Stands, value: str
    ) -> Iterator[str]:
        """Look at documents that are there while the revision stands so."""
        found = {doc["_id"]: doc.get(field) for doc in self._world.mongo[name].find()}
        for _id in ids:
            token = self._account.last.get((name, _id, field))
            there, wanted = found.get(_id), value.format(_id)
            if token is not None:
                if token != there and token not in self._asides:
                    yield f"{name} {_id}: the app's {token} is lost, it is {there}"
            elif self._stands is made and there != wanted:
                yield f"{name} {_id} is {there}, not {wanted}"
            elif self._stands not in (made, Stands.OPEN) and there is not None:
                yield f"{name} {_id} is {there}, and should not be there"

    def rows(self) -> Iterator[str]:
        wanted = 1 if postgres_stands(self._world) is Stands.UP else 0
        with self._world.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT id, balance FROM account")
            found = {row.id: row.balance for row in rows}
        for row in ROWS:
            expected = wanted + self._account.added["account", row, "balance"] * STEP
            if found.get(row) != expected:
                yield f"row {row} has {found.get(row)}, not {expected}"


def _shape(_id: int, *, up: bool) -> Doc:
    """Return a document as the revision leaves it, or as it was."""
    assert _id in ITEMS
    old = old_shape(_id)
    if not up:
        return old
    new = {"status": "new", "title": old["name"], "nick": old["alias"]}
    return {"qty": int(old["qty"]), **new}


def _aside_texts(world: World) -> set[str]:
    """Return each value that is kept aside, as text.

    Before-images are none: they are copies of what is there.
    """
    texts: set[str] = set()
    for name in world.mongo.list_collection_names():
        image = name.startswith(("_aside_catalog", "_aside_r1_item.documents"))
        if name.startswith("_aside_") and not image:
            for document in world.mongo[name].find():
                texts |= set(map(str, document.values()))
    return texts
