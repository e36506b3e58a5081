"""What the tests of `index …` on MongoDB ask over and over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.verbs import index
from flask_dualmigrate.verbs.index import IndexDiffResult, IndexSyncResult
from tests.integration.conftest import Tree

Db = Database[dict[str, Any]]
MakeModels = Callable[..., Flask]


def verdicts(result: IndexDiffResult) -> dict[str, str]:
    return {item.name: str(item.verdict) for item in result.differences}


def sync(**options: Any) -> IndexSyncResult:
    return index.sync_indexes(environment_of(), **options)


def spec(db: Db, name: str, collection: str = "item") -> dict[str, Any]:
    specs = {each["name"]: dict(each) for each in db[collection].list_indexes()}
    return specs[name]


def names(db: Db, collection: str = "item") -> set[str]:
    return {each["name"] for each in db[collection].list_indexes()} - {"_id_"}


def ix_a(*key: Any, **options: Any) -> sa.Index:
    return sa.Index("ix_a", *(key or ["a"]), **options)


def file_of(db: Db, name: str) -> str:
    """Return the file that an index is kept in: another one if it was built anew."""
    (entry,) = db.item.aggregate([{"$listCatalog": {}}])
    return str(entry["idxIdent"][name])


def apply_script(mongo: str, *more: str) -> None:
    """Write revisions by hand and apply them."""
    directory = environment_of().config.directory
    tree = Tree(Path(directory))
    for number, body in enumerate((mongo, *more)):
        tree.add(f"r{number}", mongo=body)
    init()
    upgrade()
