"""An app that writes while it is migrated, and keeps an exact account of it."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from pymongo.errors import OperationFailure

from tests.support.crash.beside_tree import BINNED, ITEMS, LABELS, ROWS, old_shape
from tests.support.crash.world import World

STEP = 1000
"""What the app adds to a number; the revision adds 1."""

COUNTED = ("n", "m", "g")
_PAUSE_S = 0.004
_MOST = 60
_PATIENCE_MS = 150
_GAVE_UP = {50, 112, 11000}
"""MaxTimeMSExpired, WriteConflict, DuplicateKey: nothing was written."""


@dataclasses.dataclass
class Account:
    """What the app wrote, and was told that it is written.

    added: how often it added to a field, by collection or table, _id and field.
    last: the last value that it gave a field, likewise. ours: the `_id`s of items that
    it inserted; gone: of those that it deleted.
    """

    added: Counter[tuple[str, int, str]] = dataclasses.field(default_factory=Counter)
    last: dict[tuple[str, int, str], str] = dataclasses.field(default_factory=dict)
    ours: set[int] = dataclasses.field(default_factory=set)
    gone: set[int] = dataclasses.field(default_factory=set)

    @property
    def written(self) -> int:
        counted = sum(self.added.values()) + len(self.last)
        return counted + len(self.ours) + len(self.gone)

    def alive(self) -> list[int]:
        return sorted({*ITEMS, *self.ours} - self.gone)

    def has_changed(self, _id: int, field: str) -> bool:
        """Return whether it wrote what an operation wrote: `n`, or the whole."""
        keys = {*self.added, *self.last}
        return any(
            name == "item" and key == _id and (field != "n" or other == "n")
            for name, key, other in keys
        )


class App:
    """Writes one thing at a time, as chance has it, in the old shape and the new."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.account = Account()
        self._db, self._engine, self._chance = world.mongo, world.engine, chance
        self._tokens = 50_000

    def write(self, times: int) -> None:
        """Write to MongoDB so often, and to PostgreSQL once."""
        for _ in range(times):
            self._write_one()
        self._pay()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in a thread until the block is left, at most _MOST times."""
        end, failed = threading.Event(), []

        def work() -> None:
            try:
                for _ in range(_MOST):
                    if end.wait(_PAUSE_S):
                        return
                    self._write_one()
                    if self._chance.random() < 0.05:
                        self._pay()
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
        if failed:
            raise failed[0]

    def _write_one(self) -> None:
        kinds = [self._add] * 3 + [self._set] * 5
        kinds += [self._set_name, self._insert, self._relabel, self._put_in_bin]
        # Some are to be left in the end.
        if len(self.account.alive()) > len(ITEMS) - 3:
            kinds.append(self._delete)
        self._chance.choice(kinds)()

    def _add(self) -> None:
        _id, field = self._one(), self._chance.choice(COUNTED)
        if self._update("item", {"_id": _id}, {"$inc": {field: STEP}}):
            self.account.added["item", _id, field] += 1

    def _set(self) -> None:
        _id, token = self._one(), self._token()
        field = self._chance.choice(("status", "title", "qty", "old"))
        value = int(token) if field == "qty" and self._chance.random() < 0.5 else token
        if self._update("item", {"_id": _id}, {"$set": {field: value}}):
            self.account.last["item", _id, field] = token

    def _set_name(self) -> None:
        """Write the field that is renamed, under the name that it has."""
        _id, token = self._one(), self._token()
        for name in ("nick", "alias"):
            query = {"_id": _id, name: {"$exists": True}}
            if self._update("item", query, {"$set": {name: token}}):
                self.account.last["item", _id, "alias"] = token
                return

    def _insert(self) -> None:
        _id = int(self._token())
        document = {"_id": _id, **old_shape(_id)}
        self._db["item"].insert_one(document)
        self.account.ours.add(_id)

    def _delete(self) -> None:
        _id = self._one()
        if self._command("item", {"query": {"_id": _id}, "remove": True}):
            self.account.gone.add(_id)

    def _relabel(self) -> None:
        _id, token = self._chance.choice(LABELS), self._token()
        if self._update("label", {"_id": _id}, {"$set": {"text": token}}):
            self.account.last["label", _id, "text"] = token

    def _put_in_bin(self) -> None:
        """Insert under an _id whose document the revision may have deleted."""
        _id, token = self._chance.choice(BINNED), self._token()
        update = {"$setOnInsert": {"v": token}}
        more = {"query": {"_id": _id}, "update": update, "upsert": True}
        if self._command("bin", more, done="upserted"):
            self.account.last["bin", _id, "v"] = token

    def _pay(self) -> None:
        """Add to a row; not at all, where what a killed run left at work locks it."""
        row = self._chance.choice(ROWS)
        statement = "UPDATE account SET balance = balance + %s WHERE id = %s"
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql("SET lock_timeout = '300ms'")
                connection.exec_driver_sql(statement, (STEP, row))
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            return
        self.account.added["account", row, "balance"] += 1

    def _update(self, name: str, query: dict[str, Any], update: dict[str, Any]) -> bool:
        return self._command(name, {"query": query, "update": update})

    def _command(self, name: str, more: dict[str, Any], *, done: str = "n") -> bool:
        """Write one document; return whether that was done.

        What a killed run left at work, a transaction, is not waited for.
        """
        command = {"findAndModify": name, "maxTimeMS": _PATIENCE_MS, **more}
        try:
            answer = self._db.command(command)
        except OperationFailure as error:
            if error.code not in _GAVE_UP:
                raise
            return False
        return bool(answer["lastErrorObject"].get(done))

    def _one(self) -> int:
        return self._chance.choice(self.account.alive())

    def _token(self) -> str:
        self._tokens += 1
        return str(self._tokens)
