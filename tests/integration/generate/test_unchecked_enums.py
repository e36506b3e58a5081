"""A text enum without a CHECK: its labels are compared with those of the scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database
from sqlalchemy import Column, Enum, MetaData, Table

from flask_dualmigrate import check
from tests.support.generate.evolution import Evolution


def models(*labels: str, length: int = 6, more: tuple[Any, ...] = ()) -> MetaData:
    metadata = MetaData()
    state = Enum(*labels, native_enum=False, name="state", length=length)
    key = Column("id", sa.Integer, primary_key=True)
    Table("tasks", metadata, key, Column("state", state), *more)
    return metadata


def looked_at(evolution: Evolution, metadata: MetaData) -> tuple[list[str], list[str]]:
    with evolution.app(metadata):
        found = check()
    labels = [text for text in found.not_compared if "labels" in text]
    return [finding.text for finding in found.findings], labels


def enumerated(mongo_db: Database[Any]) -> list[str]:
    (validator,) = (
        item["options"]["validator"]
        for item in mongo_db.list_collections(filter={"name": "tasks"})
    )
    return list(validator["$jsonSchema"]["properties"]["state"]["enum"])


@pytest.mark.parametrize("length", [6, 9], ids=["as long", "longer"])
def test_a_new_label_is_found_written_and_taken_back(
    make_app: Callable[..., Flask], mongo_db: Database[Any], length: int
) -> None:
    old, new = models("open", "closed"), models("open", "done", length=length)
    wider = models("open", "done", length=length, more=(Column("n", sa.Integer),))
    evolution = Evolution(make_app, config={"DUALMIGRATE_VALIDATORS": "error"})
    evolution.to(old)
    assert looked_at(evolution, old) == ([], [])

    (found,), _ = looked_at(evolution, new)
    if length == 6:
        assert found == (
            "The models differ from the database: change labels of column tasks.state: "
            "add 'done', remove 'closed'"
        )
    evolution.to(new)
    assert looked_at(evolution, new) == ([], [])
    assert enumerated(mongo_db) == ["open", "done", None]
    evolution.to(wider)
    assert enumerated(mongo_db) == ["open", "done", None]
    evolution.down(wider, "-2")
    assert enumerated(mongo_db) == ["open", "closed", None]


def test_labels_that_no_script_says_are_told_as_not_compared(
    make_app: Callable[..., Flask],
) -> None:
    plain = MetaData()
    key = Column("id", sa.Integer, primary_key=True)
    Table("tasks", plain, key, Column("state", sa.String(6)))
    evolution = Evolution(make_app)
    evolution.to(plain)

    found, told = looked_at(evolution, models("open", "closed"))

    assert found == []
    assert told == [
        "labels of column tasks.state, an enum without a CHECK: no script defines them"
    ]
