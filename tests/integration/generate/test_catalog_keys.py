"""Primary keys, MATCH of foreign keys, exclusion constraints, by the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from flask_dualmigrate.generate.proposals import Comparison
from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import compared, pair


def models(*items: Any, keys: tuple[str, ...] = ("id",)) -> MetaData:
    metadata = MetaData()
    Table("rooms", metadata, Column("id", sa.Integer, primary_key=True))
    Table(
        "stays",
        metadata,
        *(
            Column(name, sa.Integer, primary_key=name in keys, nullable=False)
            for name in ("id", "at")
        ),
        Column("room", sa.Integer),
        Column("name", sa.String(20)),
        *items,
    )
    return metadata


def foreign(match: str | None = None, name: str | None = "fk_it") -> MetaData:
    key = ForeignKeyConstraint(
        ["room"], ["rooms.id"], name=name, match=match, ondelete="CASCADE"
    )
    return models(key)


def exclusion(*parts: Any, name: str | None = "ex_it", **options: Any) -> MetaData:
    return models(ExcludeConstraint(*parts, using="btree", name=name, **options))


LOWER = (sa.text("lower(name)"), "=")
WAYS: dict[str, tuple[MetaData, MetaData]] = {
    "match": (foreign(), foreign("FULL")),
    "no match of a key without a name": (foreign("FULL", None), foreign(None, None)),
    "exclusion": (models(), exclusion(("room", "="))),
    "other parts": (exclusion(("room", "=")), exclusion(LOWER)),
    "a condition": (
        exclusion(("room", "="), where=sa.text("at > 1")),
        exclusion(("room", "="), where=sa.text("at > 2 AND name <> 'a:b%'")),
    ),
    "deferred": (
        exclusion(("room", "=")),
        exclusion(("room", "="), deferrable=True, initially="DEFERRED"),
    ),
    "without a name": (
        exclusion(("room", "="), name=None),
        exclusion(("room", "="), ("at", "="), name=None),
    ),
    "another key": (models(), models(keys=("at",))),
    "a longer key": (models(), models(keys=("id", "at"))),
    "a key where none was": (models(keys=()), models()),
}


def there(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = 'stays'::regclass AND contype <> 'n' ORDER BY 1"
        )
        return list(found.scalars())


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_compared_made_and_taken_back(
    make_app: Callable[..., Flask], engine: sa.Engine, way: str
) -> None:
    old, new = WAYS[way]
    evolution = Evolution(make_app, collections={"stays": None})
    evolution.to(old)
    before = there(engine)
    if "without a name" not in way:
        assert compared(engine, old) == Comparison(())

    assert compared(engine, new).differences
    evolution.to(new)
    found = compared(engine, new)
    assert found.differences == ()
    if way != "without a name":  # nobody knows that the former one was ours
        assert found.not_compared == ()
        assert there(engine) != before
    evolution.down(new)
    assert there(engine) == before


def test_a_key_that_others_point_to_is_left_to_a_person(engine: sa.Engine) -> None:
    foreign().create_all(engine)
    changed = MetaData()
    Table(
        "rooms",
        changed,
        Column("id", sa.Integer, primary_key=True),
        Column("no", sa.Integer, primary_key=True),
    )

    told = "rimary key of rooms: (id) -> (id, no) (by hand: foreign keys point to it)"
    assert compared(engine, changed).differences[-1] == f"p{told}"
    lines = pair(engine, changed).postgres.splitlines()
    notes = [line.strip(" #") for line in lines if line.strip().startswith("#")]
    assert f"P{told}." in " ".join(notes)


def test_an_exclusion_that_the_models_do_not_have_is_left_and_told(
    engine: sa.Engine,
) -> None:
    exclusion(("room", "=")).create_all(engine)

    told = "exclusion constraint ex_it of stays, which the models do not have"
    assert compared(engine, models()) == Comparison((), (told,))
