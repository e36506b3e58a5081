"""An index that PostgreSQL cannot be asked about: its counterpart stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database
from sqlalchemy import Column, Index, MetaData, Table, text

from flask_dualmigrate import index_diff, index_sync
from tests.support.generate.evolution import Evolution


def models(below: int) -> MetaData:
    metadata = MetaData()
    Table(
        "goods",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("stock", sa.Integer),
        Index("ix_it", "stock", postgresql_where=text(f"stock < {below}")),
    )
    return metadata


def test_a_sync_leaves_both_where_one_cannot_be_compared(
    make_app: Callable[..., Flask], engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    evolution = Evolution(make_app)
    evolution.to(models(3))
    name = engine.url.database
    with engine.begin() as connection:  # so that there are no temporary tables
        connection.exec_driver_sql(
            f'ALTER DATABASE "{name}" SET default_transaction_read_only TO on'
        )

    with evolution.app(models(5)):
        found = index_diff()
        synced = index_sync()

    verdicts = {item.backend: item.verdict for item in found.differences}
    assert verdicts == {"mongo": "CONFLICT", "postgres": "NOT COMPARED"}
    assert "PostgreSQL's ix_it could not be compared" in str(synced.remaining[0].why)
    assert synced.actions == ()
    there = mongo_db.goods.index_information()["ix_it"]["partialFilterExpression"]
    assert there == {"stock": {"$lt": 3}}
