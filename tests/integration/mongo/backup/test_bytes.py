"""A backup of MongoDB holds every byte, and `verify` reads it as a restore does."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bson import json_util
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import backup_create, backup_verify, restore
from flask_dualmigrate.backups import BackupStore, layout
from flask_dualmigrate.errors import DualMigrateError, IntegrityError
from flask_dualmigrate.mongo.batches.raw_collection import insert_exactly
from flask_dualmigrate.mongo.server.views import exact_view
from tests.support.mongo.bson_values import VALUES, Documents, field, number, raw
from tests.support.mongo.runs import image

Db = Database[Any]


def backed_up(db: Db, *, seed: int = 1) -> str:
    """Back up a collection with values of all types; return the backup's name."""
    documents = Documents(Random(seed), ("v", "u")).some(60)
    each = [
        raw(number("_id", 99 + n), field("v", name)) for n, name in enumerate(VALUES)
    ]
    twice = raw(number("_id", 98), number("v", 1), number("v", 2))
    insert_exactly(exact_view(db)["c"], [*documents, *each, twice], bypass=True)
    db.command("collMod", "c", validator={"v": {"$exists": True}})
    return backup_create(backend="mongo").backup.name


def test_values_of_all_types_come_back_byte_for_byte(shop: Flask, mongo_db: Db) -> None:
    name = backed_up(mongo_db)
    before = image(mongo_db)
    mongo_db["c"].delete_many({})

    restore(name, backend="mongo")

    assert backup_verify(name).ok
    assert image(mongo_db) == before


def packed(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: gzip.compress(change(gzip.decompress(data)))


def told(**changes: Any) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        facts = json_util.loads(data)
        return json_util.dumps({**facts, **changes}).encode()

    return packed(change)


DATA = layout.mongo_data
FACTS = layout.mongo_metadata
DAMAGES: dict[str, tuple[Any, Callable[[bytes], bytes], str]] = {
    "cut": (DATA, packed(lambda data: data[:-7]), "ends in the middle"),
    "no gzip": (DATA, lambda data: data[3:], "cannot be read"),
    "another name": (FACTS, told(collectionName="item"), "it is about 'item'"),
    "no options": (FACTS, told(options=3), "cannot be read"),
    "another kind": (FACTS, told(type="queue"), "a queue c"),
}


@pytest.mark.parametrize(("layer", "change", "problem"), DAMAGES.values(), ids=DAMAGES)
def test_what_could_not_be_restored_is_found_though_its_checksum_fits(
    shop: Flask,
    mongo_db: Db,
    backups: BackupStore,
    layer: Any,
    change: Callable[[bytes], bytes],
    problem: str,
) -> None:
    name = backed_up(mongo_db)
    before = image(mongo_db)
    rewrite(backups.root / name, layer(mongo_db.name, "c"), change)

    (checked,) = backup_verify(name).backups
    with pytest.raises(IntegrityError, match=problem):
        restore(name, backend="mongo")

    assert problem in "".join(checked.problems)
    assert image(mongo_db) == before


def rewrite(folder: Path, relative: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file of a backup, and what the manifest says of it."""
    path = folder / relative
    path.write_bytes(change(path.read_bytes()))
    manifest = json.loads((folder / layout.MANIFEST).read_text())
    for file in manifest["files"]:
        if file["path"] == relative:
            file["size_bytes"] = path.stat().st_size
            file["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / layout.MANIFEST).write_text(json.dumps(manifest))


ODD: list[Any] = [None, -1, 10**30, "", "../x", "a\0b", [], {}, True, 1.5, "x" * 500]


def tampered(facts: Any) -> Iterator[Any]:
    """Yield a manifest with one of its values changed or left out, each in turn."""
    for path in _paths(facts):
        for odd in ODD:
            yield _with(facts, path, odd)


def _paths(facts: Any) -> Iterator[tuple[Any, ...]]:
    pairs = facts.items() if isinstance(facts, dict) else enumerate(facts)
    for key, value in pairs:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in _paths(value))


def _with(facts: Any, path: tuple[Any, ...], value: Any) -> Any:
    key, *rest = path
    changed = facts.copy()
    changed[key] = _with(facts[key], tuple(rest), value) if rest else value
    return changed


def test_a_manifest_of_any_content_is_refused_or_read_and_never_raises_another_error(
    shop: Flask, mongo_db: Db, backups: BackupStore
) -> None:
    name = backed_up(mongo_db)
    before = image(mongo_db)
    path = backups.root / name / layout.MANIFEST
    facts = json.loads(path.read_text())
    everything = list(tampered(facts))

    for other in Random(1).sample(everything, 60):
        path.write_text(json.dumps(other))
        with suppress(DualMigrateError):
            restore(name, backend="mongo")
        (checked,) = backup_verify(name).backups
        assert image(mongo_db) == before, (other, checked)
