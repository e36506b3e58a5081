"""Sequences, wide keys and partitions: made, used, taken back, and clean again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, MetaData, Sequence, Table

from flask_dualmigrate.generate import differences
from tests.support.generate.generated import pair, run

Models = Callable[[], MetaData]


def models(*columns: Any, key: Any = Integer, **others: list[Any]) -> MetaData:
    """Return models with a table `tickets`, and others by name."""
    metadata = MetaData()
    Table("tickets", metadata, Column("id", key, primary_key=True), *columns)
    for name, parts in others.items():
        Table(name, metadata, Column("id", Integer, primary_key=True), *parts)
    return metadata


def numbered(*, nullable: bool = False) -> Column[Any]:
    sequence = Sequence("Ticket numbers", start=1000, increment=5)
    return Column("number", BigInteger, sequence, nullable=nullable)


def by_the_database() -> MetaData:
    metadata = MetaData()
    sequence = Sequence("counted", start=7, metadata=metadata)
    default = sequence.next_value()
    Table(
        "tickets",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("number", BigInteger, server_default=default),
    )
    return metadata


def alone() -> MetaData:
    metadata = models()
    Sequence("alone", metadata=metadata, data_type=Integer())
    return metadata


def of_two() -> MetaData:
    shared = Sequence("shared")
    return models(Column("a", Integer, shared), others=[Column("b", Integer, shared)])


def sequences(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_sequence_names())


def insert(engine: sa.Engine, metadata: MetaData) -> Any:
    """Insert a row as an app does, and return it."""
    table = metadata.tables["tickets"]
    with engine.begin() as connection:
        connection.execute(table.insert().values({}))
        return connection.execute(table.select()).mappings().all()[-1]


CASES: dict[str, tuple[Models, Models]] = {
    "with its table": (MetaData, lambda: models(numbered())),
    "with its column": (models, lambda: models(numbered(nullable=True))),
    "of a key": (MetaData, lambda: key_of_its_own()),
    "of the database's default": (models, by_the_database),
    "with no column": (models, alone),
    "of two columns": (MetaData, of_two),
}


def key_of_its_own() -> MetaData:
    metadata = MetaData()
    Table(
        "tickets",
        metadata,
        Column("id", Integer, Sequence("keys"), primary_key=True),
    )
    return metadata


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_sequence_comes_and_goes(
    before: Models, after: Models, engine: sa.Engine
) -> None:
    before().create_all(engine)
    was = sequences(engine)
    made = pair(engine, after())
    run(engine, made.postgres)
    wanted = {item.name for item in after()._sequences.values()}
    assert wanted <= sequences(engine)
    insert(engine, after())
    assert clean(engine, after())
    gone = pair(engine, before())
    run(engine, made.postgres, "downgrade")
    assert sequences(engine) == was
    run(engine, made.postgres)
    insert(engine, after())
    run(engine, gone.postgres)
    assert clean(engine, before())
    run(engine, gone.postgres, "downgrade")
    insert(engine, after())
    assert clean(engine, after())


def clean(engine: sa.Engine, metadata: MetaData) -> bool:
    with engine.connect() as connection:
        assert differences(connection, metadata, options={}) == ()
    return True


def test_a_sequence_starts_where_the_model_says(engine: sa.Engine) -> None:
    metadata = models(numbered())
    run(engine, pair(engine, metadata).postgres)
    assert insert(engine, metadata)["number"] == 1000
    assert insert(engine, metadata)["number"] == 1005


def test_what_an_optional_sequence_names_is_left_to_the_key(engine: sa.Engine) -> None:
    metadata = MetaData()
    key = Column("id", Integer, Sequence("mine", optional=True), primary_key=True)
    Table("tickets", metadata, key)
    run(engine, pair(engine, metadata).postgres)
    assert sequences(engine) == {"tickets_id_seq"}
    assert insert(engine, metadata)["id"] == 1


@pytest.mark.parametrize("identity", [False, True], ids=["serial", "identity"])
def test_a_key_that_becomes_wide_is_counted_beyond_two_billion(
    identity: bool, engine: sa.Engine
) -> None:
    def with_key(type_: Any) -> MetaData:
        metadata = MetaData()
        parts = [sa.Identity()] if identity else []
        Table("tickets", metadata, Column("id", type_, *parts, primary_key=True))
        return metadata

    narrow, wide = with_key(Integer), with_key(BigInteger)
    run(engine, pair(engine, narrow).postgres)
    insert(engine, narrow)
    made = pair(engine, wide)
    run(engine, made.postgres)
    run(engine, made.postgres, "downgrade")
    insert(engine, narrow)
    run(engine, made.postgres)
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT setval('tickets_id_seq', 2147483647)"))
    assert insert(engine, wide)["id"] == 2147483648
    assert clean(engine, wide)


def test_a_sequence_that_stayed_narrow_under_a_wide_key_is_found(
    engine: sa.Engine,
) -> None:
    models().create_all(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE tickets ALTER id TYPE bigint"))
    made = pair(engine, models(key=BigInteger))
    assert made.detected == (
        "change type of sequence tickets_id_seq: integer to bigint",
    )
    run(engine, made.postgres)
    assert clean(engine, models(key=BigInteger))


PARTED = [
    "CREATE TABLE metrics_2026 PARTITION OF metrics FOR VALUES FROM (0) TO (10) "
    "PARTITION BY RANGE (id)",
    "CREATE TABLE metrics_2026_1 PARTITION OF metrics_2026 FOR VALUES FROM (0) TO (5)",
    "CREATE SCHEMA parts CREATE TABLE rest (id int NOT NULL, value int)",
    "ALTER TABLE metrics ATTACH PARTITION parts.rest DEFAULT",
    "CREATE TABLE older (more int) INHERITS (notes)",
    "CREATE TABLE oldest () INHERITS (older)",
]


def parted(*more: Any) -> MetaData:
    metadata = MetaData()
    Table(
        "metrics",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("value", Integer, index=True),
        *more,
        postgresql_partition_by="RANGE (id)",
    )
    Table("notes", metadata, Column("id", Integer, primary_key=True))
    Table("log", metadata, Column("id", Integer, primary_key=True), schema="parts")
    return metadata


def test_parts_made_beside_the_models_are_left_alone(engine: sa.Engine) -> None:
    base = parted()
    base.remove(base.tables["parts.log"])
    run(engine, pair(engine, base).postgres)
    with engine.begin() as connection:
        for statement in PARTED:
            connection.execute(sa.text(statement))
    run(engine, pair(engine, parted()).postgres)
    assert clean(engine, parted())
    made = pair(engine, parted(Column("more", Integer)))
    assert made.detected == ("add column metrics.more",)
    assert "drop_collection" not in made.mongo
    run(engine, made.postgres)
    run(engine, made.postgres, "downgrade")
    assert clean(engine, parted())


def test_parts_go_with_a_table_that_goes(engine: sa.Engine) -> None:
    base = parted()
    base.remove(base.tables["parts.log"])
    run(engine, pair(engine, base).postgres)
    with engine.begin() as connection:
        connection.execute(sa.text(PARTED[0]))
    base.remove(base.tables["metrics"])
    made = pair(engine, base)
    assert "metrics_2026" not in made.postgres
    run(engine, made.postgres)
    assert clean(engine, base)
