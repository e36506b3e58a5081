"""`index …` on PostgreSQL: what is there, what is declared, what is done about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import (
    OperationError,
    UsageError,
    check,
    index_diff,
    index_drop,
    index_list,
    index_rebuild,
    index_sync,
    init,
)
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.indexes import BuildProgress, State, Verdict
from flask_dualmigrate.verbs import index as index_commands
from flask_dualmigrate.verbs.index import IndexDiffResult
from tests.integration.conftest import MakeApp

TABLE = "CREATE TABLE items (id serial PRIMARY KEY, a text, b text, n int)"
Execute = Callable[..., None]


@pytest.fixture
def execute(engine: sa.Engine) -> Execute:
    """Return a function that runs statements, each by itself."""

    def run(*statements: str) -> None:
        with engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                connection.exec_driver_sql(statement)

    return run


@pytest.fixture
def with_models(make_app: MakeApp, execute: Execute) -> Iterator[Callable[..., Flask]]:
    """Return a function that pushes an app whose items have some indexes."""
    contexts = []

    def make(*arguments: Any, **settings: Any) -> Flask:
        db = SQLAlchemy()
        sa.Table(
            "items",
            db.metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            *(sa.Column(name, sa.Text) for name in ("a", "b")),
            sa.Column("n", sa.Integer),
            *arguments,
        )
        app = make_app(db=db, active="postgres", **settings)
        contexts.append(app.app_context())
        contexts[-1].push()
        init()
        execute(TABLE)
        return app

    yield make
    for context in reversed(contexts):
        context.pop()


def verdicts(result: IndexDiffResult) -> dict[str, str]:
    return {item.name: str(item.verdict) for item in result.differences}


def definitions() -> dict[str, str]:
    return {
        index.name: str(index.options["definition"]).partition(" USING ")[2]
        for index in index_list("items").indexes
        if not index.options.get("primary_key")
    }


def ix_a(*key: Any, **options: Any) -> sa.Index:
    return sa.Index("ix_a", *(key or ["a"]), **options)


def test_a_list_tells_key_options_size_and_use(
    with_models: Callable[..., Flask], execute: Execute
) -> None:
    with_models()
    execute(
        "CREATE UNIQUE INDEX ix ON items (lower(a), b DESC) INCLUDE (n) WHERE n > 0",
        "CREATE TABLE dualmigrate_x (id int PRIMARY KEY)",
        "CREATE TABLE alembic_version (id int PRIMARY KEY)",
        "CREATE SCHEMA audit",
        "CREATE TABLE audit.logs (id int UNIQUE)",
    )

    by_name = {index.name: index for index in index_list().indexes}

    assert by_name.keys() == {"ix", "items_pkey", "logs_id_key"}
    ix = by_name["ix"]
    assert ix.key == (("lower(a)", 1), ("b", -1))
    assert ix.options["unique"] is True
    assert ix.options["include"] == ["n"]
    assert ix.options["where"] == "(n > 0)"
    assert (ix.uses, ix.state) == (0, State.READY)
    assert ix.size_bytes
    assert by_name["logs_id_key"].place == "audit.logs"
    assert by_name["logs_id_key"].constraint == "logs_id_key"


CASES: dict[str, tuple[Callable[[], Any], list[str], dict[str, str]]] = {
    "missing": (ix_a, [], {"ix_a": "MISSING"}),
    "ok": (ix_a, ["CREATE INDEX ix_a ON items (a)"], {"ix_a": "OK"}),
    "other column": (
        ix_a,
        ["CREATE INDEX ix_a ON items (b)"],
        {"ix_a": "CONFLICT"},
    ),
    "not unique": (
        lambda: ix_a(unique=True),
        ["CREATE INDEX ix_a ON items (a)"],
        {"ix_a": "CONFLICT"},
    ),
    "partial, with a percent sign": (
        lambda: ix_a(postgresql_where=sa.text("a LIKE '50%'")),
        [],
        {"ix_a": "MISSING"},
    ),
    "missing constraint": (
        lambda: sa.UniqueConstraint("a", "b", name="uq", deferrable=True),
        [],
        {"uq": "MISSING"},
    ),
    "changed constraint": (
        lambda: sa.UniqueConstraint("a", "b", name="uq"),
        ["ALTER TABLE items ADD CONSTRAINT uq UNIQUE (a)"],
        {"uq": "CONFLICT"},
    ),
    "unnamed constraint": (
        lambda: sa.UniqueConstraint("a"),
        ["ALTER TABLE items ADD UNIQUE (a)"],
        {"items_a_key": "OK"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_sync_makes_what_is_there_what_is_declared(
    with_models: Callable[..., Flask], execute: Execute, case: str
) -> None:
    make, there, expected = CASES[case]
    with_models(make())
    execute("INSERT INTO items (a, b) VALUES ('x', 'y')", *there)
    assert verdicts(index_diff()) == expected

    assert index_sync().ok

    assert index_diff().ok
    assert definitions().keys() == expected.keys()
    assert index_sync().actions == ()


def test_nothing_undeclared_is_dropped_unless_it_is_asked_for(
    with_models: Callable[..., Flask], execute: Execute
) -> None:
    with_models()
    execute(
        "CREATE INDEX stray ON items (a)",
        "ALTER TABLE items ADD CONSTRAINT uq UNIQUE (b)",
    )
    assert verdicts(index_diff()) == {"stray": "UNDECLARED", "uq": "UNDECLARED"}

    index_sync()
    assert definitions().keys() == {"stray", "uq"}

    index_sync(drop_undeclared=True)
    assert definitions() == {}


def test_what_a_stopped_sync_left_is_undeclared_and_no_models_difference(
    with_models: Callable[..., Flask], execute: Execute
) -> None:
    with_models(ix_a())
    execute("CREATE INDEX ix_a ON items (b)", "CREATE INDEX _rebuild_ix_a ON items (a)")
    assert not [f.text for f in check().findings if "_rebuild_" in f.text]
    assert verdicts(index_diff()) == {"ix_a": "CONFLICT", "_rebuild_ix_a": "UNDECLARED"}

    index_sync()

    assert verdicts(index_diff()) == {"ix_a": "OK"}


def test_a_table_that_is_not_there_is_left_to_a_revision(
    with_models: Callable[..., Flask], execute: Execute
) -> None:
    with_models(ix_a())
    execute("DROP TABLE items")

    result = index_sync()

    assert not result.ok
    assert result.actions == ()
    assert result.remaining[0].why == "the table does not exist"


def test_double_keys_are_one_clear_error_and_the_next_sync_mends_it(
    with_models: Callable[..., Flask], execute: Execute
) -> None:
    with_models(ix_a(unique=True))
    execute("INSERT INTO items (a) VALUES ('x'), ('x')")

    with pytest.raises(OperationError, match=r"ix_a of items.*\(a\)=\(x\)"):
        index_sync()

    (index,) = [each for each in index_list().indexes if each.name == "ix_a"]
    assert index.state is State.INVALID
    (difference,) = index_diff().differences
    assert difference.verdict is Verdict.CONFLICT
    assert "INVALID" in str(difference.why)
    execute("UPDATE items SET a = id::text")
    assert index_sync().ok
    assert index_diff().ok


def test_a_rebuild_drops_what_a_failed_one_left(
    with_models: Callable[..., Flask], execute: Execute, engine: sa.Engine
) -> None:
    with_models(ix_a())
    execute(
        "INSERT INTO items (a) VALUES ('x'), ('x')", "CREATE INDEX ix_a ON items (a)"
    )
    with pytest.raises(sa.exc.DBAPIError):
        execute("CREATE UNIQUE INDEX CONCURRENTLY ix_a_ccnew ON items (a)")
    before = _file(engine)

    index_rebuild("items", "ix_a")

    assert _file(engine) != before
    assert verdicts(index_diff()) == {"ix_a": "OK"}


def _file(engine: sa.Engine) -> Any:
    with engine.connect() as connection:
        return connection.execute(
            sa.text("SELECT pg_relation_filepath('ix_a')")
        ).scalar_one()


def test_the_index_of_a_primary_key_is_rebuilt(
    with_models: Callable[..., Flask],
) -> None:
    with_models()

    index_rebuild("items", "items_pkey")

    assert [index.name for index in index_list().indexes] == ["items_pkey"]


def test_what_postgresql_does_not_do_concurrently_is_told(
    with_models: Callable[..., Flask], execute: Execute
) -> None:
    with_models(ix_a())
    execute(
        "DROP TABLE items",
        "CREATE TABLE items (id serial, a text, b text, n int) PARTITION BY RANGE (id)",
    )

    with pytest.raises(OperationError, match="in a revision"):
        index_sync()


@pytest.mark.parametrize(
    ("place", "name", "said"),
    [
        ("items", "nope", "no index nope"),
        ("items", "items_pkey", "belongs to the constraint items_pkey"),
        ("nowhere", "ix", "Table nowhere does not exist"),
    ],
)
def test_what_cannot_be_dropped_is_refused(
    with_models: Callable[..., Flask], place: str, name: str, said: str
) -> None:
    with_models()

    with pytest.raises(UsageError, match=said):
        index_drop(place, name)


@pytest.fixture
def old_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that CREATE INDEX CONCURRENTLY waits for, on `items`."""
    with engine.connect() as connection:
        yield connection


def test_a_build_is_seen_told_and_waited_for(
    with_models: Callable[..., Flask],
    execute: Execute,
    old_transaction: sa.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_dualmigrate.postgres.indexes.progress._WATCH_S", 0.05)
    with_models(ix_a())
    old_transaction.exec_driver_sql("INSERT INTO items (a) VALUES ('x')")
    statement = "CREATE INDEX CONCURRENTLY ix_a ON items (a)"
    builder = threading.Thread(target=execute, args=(statement,))
    builder.start()
    while verdicts(index_diff()) != {"ix_a": "BUILDING"}:
        time.sleep(0.02)
    told: list[BuildProgress] = []

    def on_build(progress: BuildProgress) -> None:
        told.append(progress)
        old_transaction.rollback()

    result = index_commands.sync_indexes(environment_of(), on_build=on_build)

    builder.join()
    assert result.ok
    assert result.actions == ()
    assert "waiting for writers" in told[0].phase
    assert index_diff().ok


def test_a_build_gives_up_on_an_old_transaction_in_time(
    with_models: Callable[..., Flask], old_transaction: sa.Connection
) -> None:
    with_models(ix_a(), config={"DUALMIGRATE_LOCK_TIMEOUT_S": 0.5})
    old_transaction.exec_driver_sql("INSERT INTO items (a) VALUES ('x')")

    with pytest.raises(OperationError, match="older transaction"):
        index_sync()

    old_transaction.rollback()
    assert index_sync().ok


def test_another_database_than_postgresql_is_refused(make_app: MakeApp) -> None:
    app = make_app(active="postgres", urls={"postgres": "sqlite://"})

    with app.app_context(), pytest.raises(UsageError, match="not for sqlite"):
        index_list()
