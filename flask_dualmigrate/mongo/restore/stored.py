"""The MongoDB part of a backup: collections in mongodump's layout."""

from __future__ import annotations

import dataclasses
import gzip
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from bson.errors import BSONError
from bson.json_util import JSONOptions, loads

from ...backups import BackupFolder, Manifest
from ...backups.layout import BUCKETS, mongo_data, mongo_metadata
from ...errors import IntegrityError

_METADATA = ".metadata.json.gz"
_BATCH_BYTES = 8 * 1024**2
_BATCH_DOCUMENTS = 10_000
_LONGEST_DOCUMENT = 16 * 1024**2 + 16 * 1024
_OPTIONS = JSONOptions(tz_aware=True)
_NOT_SUCH = (ValueError, KeyError, TypeError, AttributeError, BSONError)
_BROKEN = (OSError, EOFError, zlib.error, struct.error)


@dataclasses.dataclass(frozen=True)
class Stored:
    """One collection. kind: collection, view or timeseries, as the server names it."""

    name: str
    kind: str
    options: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]

    @property
    def data(self) -> str:
        """The collection that holds its documents: for a time series, the buckets."""
        return f"{BUCKETS}{self.name}" if self.kind == "timeseries" else self.name

    @property
    def built(self) -> tuple[Mapping[str, Any], ...]:
        """The indexes to build, without those created with the collection."""
        return tuple(
            index
            for index in self.indexes
            if index["key"] != {"_id": 1} and not index.get("clustered")
        )


class StoredCollections:
    """The MongoDB part of one backup."""

    def __init__(self, folder: BackupFolder, manifest: Manifest) -> None:
        assert manifest.mongo is not None
        self.part = manifest.mongo
        self._folder = folder
        self._files = [file.path for file in manifest.files]
        self._counts: dict[str, int] = {}

    @cached_property
    def all(self) -> dict[str, Stored]:
        """The collections, by name; IntegrityError if one's metadata is broken."""
        head = f"mongo/{self.part.database}/"
        found = [
            self._read(path)
            for path in self._files
            if path.startswith(head) and path.endswith(_METADATA)
        ]
        return {stored.name: stored for stored in found}

    def check(self) -> None:
        """Raise IntegrityError for what cannot be restored; read no documents."""
        known = {mongo_metadata(self.part.database, name) for name in self.all}
        known |= {
            mongo_data(self.part.database, stored.data) for stored in self.all.values()
        }
        for path in self._files:
            if path.startswith("mongo/") and path not in known:
                raise IntegrityError(
                    f"The backup has {path}, which does not belong to a "
                    f"collection of the database {self.part.database}",
                    hint="Restore another backup.",
                )
        for stored in self.all.values():
            if stored.kind not in ("collection", "view", "timeseries"):
                raise IntegrityError(
                    f"The backup has a {stored.kind} {stored.name}, which this version "
                    "cannot restore",
                    hint="Use the version of Flask-DualMigrate that made it.",
                )
        for each in self.part.collections or ():
            if each.existed and each.name not in self.all:
                raise IntegrityError(
                    f"The backup's manifest lists the collection {each.name}, "
                    "but no file contains it",
                    hint="Restore another backup.",
                )

    def problems(self) -> Iterator[str]:
        """Read everything as a restore does; yield what is wrong, one line each."""
        try:
            self.check()
            for stored in self.all.values():
                read = sum(len(batch) for batch in self.batches(stored))
                if read != self.count(stored):
                    said = self.count(stored)
                    yield f"{stored.name}: {read:,} documents, not {said:,}"
        except IntegrityError as error:
            yield error.what

    def _read(self, path: str) -> Stored:
        try:
            with self._folder.read(path) as file:
                facts = loads(gzip.decompress(file.read()), json_options=_OPTIONS)
            stored = Stored(
                name=facts["collectionName"],
                kind=facts["type"],
                options=dict(facts["options"]),
                indexes=tuple(map(dict, facts["indexes"])),
            )
            if mongo_metadata(self.part.database, stored.name) != path:
                raise ValueError(f"it is about {stored.name!r}")
            return stored
        except (*_BROKEN, *_NOT_SUCH) as error:
            raise self._broken(path, error) from error

    @cached_property
    def made(self) -> frozenset[str]:
        """Names of the collections that the plan creates: they did not exist."""
        listed = self.part.collections or ()
        return frozenset(each.name for each in listed if not each.existed)

    def count(self, stored: Stored) -> int:
        """Return how many documents of a collection the backup holds."""
        for each in self.part.collections or ():
            if each.name == stored.name:
                return each.documents
        if stored.kind == "view":
            return 0
        if stored.name not in self._counts:
            found = sum(len(batch) for batch in self.batches(stored))
            self._counts[stored.name] = found
        return self._counts[stored.name]

    def batches(self, stored: Stored) -> Iterator[list[bytes]]:
        """Yield the documents of a collection, a few megabytes at a time.

        Raises IntegrityError if the file ends in the middle of one, or is invalid.
        """
        path = mongo_data(self.part.database, stored.data)
        if path not in self._files:
            return  # nothing was in it
        with self._folder.read(path) as file, gzip.open(file) as documents:
            batch: list[bytes] = []
            size_bytes = 0
            for document in self._documents(documents, path):
                batch.append(document)
                size_bytes += len(document)
                if size_bytes >= _BATCH_BYTES or len(batch) >= _BATCH_DOCUMENTS:
                    yield batch
                    batch, size_bytes = [], 0
            if batch:
                yield batch

    def _documents(self, source: Any, path: str) -> Iterator[bytes]:
        with self._damage_reported(path):
            while head := source.read(4):
                (size,) = struct.unpack("<i", head)
                if not 5 <= size <= _LONGEST_DOCUMENT:
                    raise EOFError(f"a document of {size} bytes")
                rest = source.read(size - 4)
                if len(rest) < size - 4:
                    raise EOFError("it ends in the middle of a document")
                yield head + rest

    @contextmanager
    def _damage_reported(self, path: str) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            raise self._broken(path, error) from error

    def _broken(self, path: str, error: Exception) -> IntegrityError:
        return IntegrityError(
            f"{path} in the backup cannot be read: {error}",
            where=str(self._folder.path),
            hint="Restore another backup; see: flask db-migrate backup list",
        )


def unreadable(folder: BackupFolder, manifest: Manifest) -> Iterator[str]:
    """Yield what could not be restored of a backup's MongoDB part, one line each."""
    if manifest.mongo is not None:
        yield from StoredCollections(folder, manifest).problems()
