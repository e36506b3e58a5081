"""Histories that do not fit: refused, and both databases stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from tests.support.bad_input import Row
from tests.support.bad_servers import Live

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "--yes")


@dataclass(frozen=True)
class Story:
    """What happened before a command that is refused.

    upgraded: to head before it. active: the sides in use.
    """

    row: Row
    happened: Callable[[Live], object]
    upgraded: bool = True
    active: str = "both"


def sql(statement: str) -> Callable[[Live], object]:
    def happen(live: Live) -> None:
        with live.engine.begin() as connection:
            connection.execute(sa.text(statement))

    return happen


def forget(*collections: str) -> Callable[[Live], object]:
    def happen(live: Live) -> None:
        for name in collections:
            live.mongo_db[name].drop()

    return happen


def edit(revision_id: str = "b2b2", side: str = "mongo") -> Callable[[Live], object]:
    def happen(live: Live) -> None:
        with live.bench.tree.path(side, revision_id).open("a") as file:
            file.write("# edited\n")

    return happen


def delete(revision_id: str) -> Callable[[Live], object]:
    def happen(live: Live) -> None:
        for side in ("mongo", "postgres"):
            live.bench.tree.path(side, revision_id).unlink()
        live.bench.cli("init")

    return happen


def insert(live: Live) -> None:
    """A revision between b2b2 and c3c3, which are applied."""
    live.bench.tree.ids = ["a1a1", "b2b2"]
    live.add("b9b9")
    for side in ("mongo", "postgres"):
        path = live.bench.tree.path(side, "c3c3")
        path.write_text(path.read_text().replace("'b2b2'", "'b9b9'"))
    live.bench.cli("init")


def alone(
    active: str, id: str, *says: str, happened: Callable[[Live], object]
) -> Story:
    """Return what an app that uses one side alone is refused."""
    return Story(Row(f"{id}-alone", UP, says, code=3), happened, active=active)


def stories(*found: Story) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("story", found, ids=[one.row.id for one in found])


STORIES = (
    Story(
        Row(
            "edited-mongo",
            UP,
            ("MongoDB script of b2b2 was edited", "Restore the file", "new revision"),
            code=3,
        ),
        edit(),
    ),
    Story(
        Row("edited-postgres", UP, ("PostgreSQL script of b2b2 was edited",), code=3),
        edit(side="postgres"),
    ),
    Story(
        Row("deleted", UP, ("ahead of this code", "c3c3", "Deploy"), code=3),
        delete("c3c3"),
    ),
    Story(
        Row("deleted-down", DOWN, ("ahead of this code", "c3c3"), code=3),
        delete("c3c3"),
    ),
    Story(Row("inserted", UP, ("b9b9", "c3c3"), code=3), insert),
    *(
        alone(
            side,
            f"edited-{side}",
            f"{label} script of c3c3 was edited",
            "repair c3c3 --accept-checksum",
            happened=edit("c3c3", side),
        )
        for side, label in (("mongo", "MongoDB"), ("postgres", "PostgreSQL"))
    ),
    *(
        alone(
            side,
            f"deleted-{side}",
            f"{label} database is ahead",
            "c3c3",
            happened=delete("c3c3"),
        )
        for side, label in (("mongo", "MongoDB"), ("postgres", "PostgreSQL"))
    ),
    alone(
        "postgres",
        "two-rows",
        "two rows",
        "stamp --backend postgres c3c3",
        happened=sql("INSERT INTO alembic_version VALUES ('a1a1')"),
    ),
    alone(
        "postgres",
        "no-rows",
        "says nothing",
        "stamp --backend postgres base",
        happened=sql("DELETE FROM alembic_version"),
    ),
    alone(
        "postgres",
        "tampered-version",
        "'; DROP TABLE x'",
        happened=sql("UPDATE alembic_version SET version_num = '; DROP TABLE x'"),
    ),
    alone(
        "mongo",
        "tampered-status",
        "MongoDB",
        "c3c3",
        "_migrations",
        happened=lambda live: live.mongo_db["_migrations"].update_one(
            {"_id": "c3c3"}, {"$set": {"status": 7}}
        ),
    ),
    alone(
        "mongo",
        "no-journal",
        "MongoDB has lost its history",
        "_migrations",
        "stamp --backend mongo base",
        happened=lambda live: live.mongo_db["_migrations"].drop(),
    ),
    alone(
        "mongo",
        "mongo-ahead",
        "MongoDB database is ahead",
        "f9f9",
        happened=lambda live: live.mongo_db["_migrations"].insert_one(
            {"_id": "f9f9", "status": "applied"}
        ),
    ),
    Story(
        Row("null-version", UP, ("PostgreSQL", "''"), code=3),
        sql(
            "ALTER TABLE alembic_version DROP CONSTRAINT alembic_version_pkc; "
            "ALTER TABLE alembic_version ALTER version_num DROP NOT NULL; "
            "UPDATE alembic_version SET version_num = NULL"
        ),
    ),
    Story(
        Row(
            "postgres-ahead",
            UP,
            ("PostgreSQL database is ahead", "f9f9", "Deploy"),
            code=3,
        ),
        sql("UPDATE alembic_version SET version_num = 'f9f9'"),
    ),
    Story(
        Row("tampered-version", UP, ("PostgreSQL", "DROP TABLE x; -- garbage"), code=3),
        sql("UPDATE alembic_version SET version_num = '; DROP TABLE x; -- garbage'"),
    ),
    Story(
        Row("empty-version", UP, ("PostgreSQL", "''"), code=3),
        sql("UPDATE alembic_version SET version_num = ''"),
    ),
    Story(
        Row(
            "two-rows",
            UP,
            (
                "PostgreSQL",
                "two rows",
                "a1a1 is an ancestor of c3c3",
                "stamp --backend postgres c3c3",
            ),
            code=3,
        ),
        sql("INSERT INTO alembic_version VALUES ('a1a1')"),
    ),
    Story(
        Row(
            "no-rows",
            UP,
            (
                "PostgreSQL says nothing",
                "journal c3c3",
                "stamp --backend postgres base",
                "stamp --backend postgres c3c3",
            ),
            code=3,
        ),
        sql("DELETE FROM alembic_version"),
    ),
    Story(
        Row(
            "version-moved",
            UP,
            (
                "PostgreSQL says a1a1, and its journal c3c3",
                "stamp --backend postgres a1a1",
            ),
            code=3,
        ),
        sql("UPDATE alembic_version SET version_num = 'a1a1'"),
    ),
    Story(
        Row("mongo-ahead", UP, ("MongoDB database is ahead", "f9f9"), code=3),
        lambda live: live.mongo_db["_migrations"].insert_one(
            {"_id": "f9f9", "status": "applied"}
        ),
    ),
    Story(
        Row("tampered-status", UP, ("MongoDB", "c3c3", "_migrations"), code=3),
        lambda live: live.mongo_db["_migrations"].update_one(
            {"_id": "c3c3"}, {"$set": {"status": "garbage"}}
        ),
    ),
    Story(
        Row("tampered-document", UP, ("MongoDB", "7", "_migrations"), code=3),
        lambda live: live.mongo_db["_migrations"].insert_one({"_id": 7}),
    ),
    Story(
        Row(
            "journal-dropped",
            UP,
            (
                "MongoDB has no history",
                "c3c3",
                "_migrations",
                "MONGO_URI",
                "stamp --backend mongo c3c3",
            ),
            code=3,
        ),
        forget("_migrations"),
    ),
    Story(
        Row(
            "journal-dropped-whole",
            UP,
            ("MongoDB has no history", "stamp --backend mongo c3c3"),
            code=3,
        ),
        forget("_migrations", "_migrations_meta", "_migrations_lock"),
    ),
    Story(
        Row(
            "postgres-emptied",
            UP,
            (
                "PostgreSQL has no history",
                "c3c3",
                "DATABASE_URL",
                "stamp --backend postgres c3c3",
            ),
            code=3,
        ),
        sql("DROP TABLE dualmigrate_journal, dualmigrate_meta, alembic_version"),
    ),
    Story(
        Row(
            "journal-dropped-postgres",
            UP,
            (
                "PostgreSQL is at c3c3 and has no journal",
                "checksums",
                "dualmigrate_journal",
                "stamp --backend postgres c3c3",
            ),
            code=3,
        ),
        sql("DROP TABLE dualmigrate_journal"),
    ),
    Story(
        Row(
            "journal-dropped-postgres-whole",
            DOWN,
            ("PostgreSQL is at c3c3 and has no journal",),
            code=3,
        ),
        sql("DROP TABLE dualmigrate_journal, dualmigrate_meta"),
    ),
    Story(
        Row(
            "tampered-journal-row",
            UP,
            ("PostgreSQL", "does not belong to it", "dualmigrate_journal, id 1"),
            code=3,
        ),
        sql("UPDATE dualmigrate_journal SET status = 'garbage' WHERE id = 1"),
    ),
    Story(
        Row(
            "other-pair",
            UP,
            ("do not belong together", "DATABASE_URL", "MONGO_URI"),
            code=3,
        ),
        sql("UPDATE dualmigrate_meta SET value = 'other' WHERE key = 'pair_id'"),
    ),
    Story(
        Row("other-pair-down", DOWN, ("do not belong together",), code=3),
        sql("UPDATE dualmigrate_meta SET value = 'other' WHERE key = 'pair_id'"),
    ),
    Story(
        Row("other-pair-stamp", ("stamp", "a1a1"), ("do not belong together",), code=3),
        sql("UPDATE dualmigrate_meta SET value = 'other' WHERE key = 'pair_id'"),
    ),
    Story(
        Row(
            "filled-postgres-without-history",
            UP,
            ("PostgreSQL", "no history", "t_a1a1", "stamp"),
            code=3,
        ),
        sql("CREATE TABLE t_a1a1 (id int)"),
        False,
    ),
    Story(
        Row("past-base", ("downgrade", "-5", "--yes"), ("-5", "history")),
        lambda live: None,
    ),
    Story(Row("past-head", ("upgrade", "+1", "--yes"), ("+1",)), lambda live: None),
    Story(
        Row("stamp-over-history", ("stamp", "a1a1"), ("This removes data", "--yes")),
        lambda live: None,
    ),
)


@stories(*STORIES)
def test_a_history_that_does_not_fit_is_refused(story: Story, live: Live) -> None:
    if story.active != "both":
        live.bench = live.app(active=story.active)
    if story.upgraded:
        done = live.bench.cli(*UP)
        assert done.exit_code == 0, done.output
    story.happened(live)
    live.bench.try_(story.row)
