"""docs/security.md: accounts with just those rights do all that they are for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.support.bad_input import CANARY, Bench
from tests.support.bad_servers import GuardedMongo, Live

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
MORE = """
op.create_table("a", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Enum("x", "y", name="kind")), sa.Column("n", sa.Integer))
op.execute("INSERT INTO a (kind, n) SELECT 'x', n FROM generate_series(1, 9) n")
op.alter_column("a", "n", type_=sa.BigInteger())
op.create_index("ix_a_n", "a", ["n"])
"""
MORE_DOWN = 'op.drop_table("a")\nop.execute("DROP TYPE kind")'
INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_a_kind", "a", ["kind"], postgresql_concurrently=True,
        if_not_exists=True)
"""
INDEX_DOWN = """
with op.get_context().autocommit_block():
    op.drop_index("ix_a_kind", "a", postgresql_concurrently=True, if_exists=True)
"""
EACH = """
op.insert("a", [{"_id": n, "n": n, "s": str(n)} for n in range(30)])
op.create_collection("b", capped=True, size=4096)
op.add_field("a", "new", default=1)
op.rename_field("a", "new", "newer")
op.copy_field("a", "n", "m")
op.convert_field("a", "s", to="int")
op.update("a", {}, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}})
op.transform("a", twice, undo=half)
op.delete("a", {"_id": {"$gt": 20}})
op.drop_field("a", "m")
op.create_index("a", "n", name="ix_n")
op.set_validator("a", {"n": {"$gte": 0}})
op.drop_collection("b")
op.rename_collection("a", "c")
op.run(count, name="count", idempotent=True)
"""
EACH_DOWN = """
op.rename_collection("c", "a")
op.create_collection("b", capped=True, size=4096)
op.set_validator("a", None)
op.drop_index("a", "ix_n")
op.drop_collection("a")
op.drop_collection("b")
"""
FUNCTIONS = """
def twice(document):
    return {**document, "n": document["n"] * 2}


def half(document):
    return {**document, "n": document["n"] // 2}


def count(db):
    db.c.count_documents({})
"""


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found


class Shop:
    """The two accounts of the page, under the name of a test's database."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.name = live.name
        self.migrator, self.app = f"{live.name}_migrator", f"{live.name}_app"

    def own(self, text: str) -> str:
        """Return statements of the page, for this database."""
        text = re.sub(r"\bshop(?=_|\b)", self.name, text)
        password = CANARY.replace("'", "''")
        return re.sub(r"'(put|and) another one here'", lambda _: f"'{password}'", text)

    def create(self) -> None:
        self.sql(blocks("sql")[0])
        for found in blocks("js"):
            for command in re.findall(r"runCommand\((\{.*?^\})\)", found, re.S | re.M):
                asked = json.loads(self.own(command))
                if "pwd" in asked:
                    asked["pwd"] = CANARY
                self._live.mongo_db.command(asked)

    def sql(self, text: str) -> None:
        with self._live.engine.begin() as connection:
            for statement in filter(str.strip, self.own(text).split(";\n")):
                connection.exec_driver_sql(
                    statement.strip().rstrip(";").replace("%", "%%")
                )

    def bench(self, user: str) -> Bench:
        """Return a bench whose app runs as one of the two, on both servers."""
        live = self._live
        url = live.mongo.url(live.name, user=user, authSource=live.name)
        return live.app(user=user, mongo=url)

    def drop(self) -> None:
        self._live.mongo_db.command("dropAllUsersFromDatabase")
        self._live.mongo_db.command("dropAllRolesFromDatabase")
        with self._live.engine.begin() as connection:
            for user in (self.migrator, self.app):
                connection.execute(sa.text(f"DROP OWNED BY {user} CASCADE"))
                connection.execute(sa.text(f"DROP ROLE {user}"))


@pytest.fixture
def shop(live: Live, postgres_server: psycopg.Connection) -> Iterator[Shop]:
    shop = Shop(live)
    tree = live.bench.tree
    tree.add("d4d4", postgres=MORE, postgres_down=MORE_DOWN)
    tree.add("e5e5", postgres=INDEX, postgres_down=INDEX_DOWN)
    tree.add("f6f6", mongo=EACH, mongo_down=EACH_DOWN, mongo_more=FUNCTIONS)
    live.bench.cli("init")
    shop.create()
    yield shop
    shop.drop()


def done(bench: Bench, *words: str) -> Any:
    said = bench.cli(*words)
    assert said.exit_code == 0, f"{words}: {said.output}"
    return said


def test_the_migrator_may_do_all_that_a_migration_is(shop: Shop) -> None:
    bench = shop.bench(shop.migrator)
    done(bench, "upgrade", "--dry-run")
    done(bench, "upgrade", "--yes", "--verify")
    for words in (
        ("status",),
        ("verify",),
        ("repair",),
        ("unlock",),
        ("asides",),
        ("index", "list"),
    ):
        done(bench, *words)
    done(bench, "downgrade", "base", "--yes")
    done(bench, "upgrade", "--yes")
    done(bench, "stamp", "c3c3", "--yes")


def test_a_failed_run_is_undone_with_the_same_rights(shop: Shop, live: Live) -> None:
    live.bench.tree.add(
        "aaaa",
        postgres='op.execute("SELECT 1/0")',
        mongo='op.update("c", {}, {"$inc": {"n": 9}}, undo={"$inc": {"n": -9}})',
    )
    live.bench.cli("init")
    bench = shop.bench(shop.migrator)
    assert bench.cli("upgrade", "--yes").exit_code == 1
    assert sorted(live.mongo_db.c.distinct("n")) == sorted(
        {2 * (n + 1) for n in range(21)}
    )
    done(bench, "downgrade", "base", "--yes")


def test_the_app_sees_that_it_is_at_head_and_changes_nothing(
    shop: Shop, live: Live
) -> None:
    done(shop.bench(shop.migrator), "upgrade", "--yes")
    shop.sql(blocks("sql")[1])
    bench = shop.bench(shop.app)
    done(bench, "current")
    live.app(
        user=shop.app,
        mongo=live.mongo.url(live.name, user=shop.app, authSource=live.name),
        auto_upgrade="check",
    )
    said = bench.cli("downgrade", "--yes")
    assert said.exit_code == 4, said.output
    assert "nothing was changed" in said.output


def test_the_app_may_write_rows_and_no_history(shop: Shop, live: Live) -> None:
    done(shop.bench(shop.migrator), "upgrade", "--yes")
    shop.sql(blocks("sql")[1])
    url = live.postgres.set(username=shop.app)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO a (kind) VALUES ('y')"))
    refused = (
        "UPDATE alembic_version SET version_num = 'x'",
        "ALTER TABLE a ADD z int",
    )
    for statement in refused:
        with (
            pytest.raises(sa.exc.ProgrammingError, match=r"permission|owner"),
            engine.begin() as connection,
        ):
            connection.execute(sa.text(statement))
    engine.dispose()


def test_the_migrator_reaches_no_other_database(
    shop: Shop, guarded_mongo: GuardedMongo, live: Live
) -> None:
    url = guarded_mongo.url(live.name, user=shop.migrator, authSource=live.name)
    with MongoClient[dict[str, Any]](url) as client:
        with pytest.raises(OperationFailure, match="not authorized"):
            client["other"]["c"].find_one()
        with pytest.raises(OperationFailure, match="not authorized"):
            client["other"]["c"].insert_one({})


def test_a_right_that_a_capped_collection_needs_is_missed_before_the_first_change(
    shop: Shop, live: Live
) -> None:
    said = _upgrade_without(shop, live, "convertToCapped")
    assert said.exit_code == 4, said.output
    assert "no right to convertToCapped; nothing was changed" in said.output
    assert live.mongo_db.list_collection_names() == []


def test_a_right_that_an_undo_past_a_validator_needs_is_missed_before_the_first_change(
    shop: Shop, live: Live
) -> None:
    live.mongo_db.create_collection("a", validator={"n": {"$gte": 0}})
    said = _upgrade_without(shop, live, "bypassDocumentValidation")
    assert said.exit_code == 4, said.output
    assert "no right to bypassDocumentValidation; nothing was changed" in said.output
    assert live.mongo_db.list_collection_names() == ["a"]


@pytest.mark.parametrize("kept", ["_migrations_steps", "_migrations_touched"])
def test_a_right_on_a_collection_of_ours_is_missed_before_the_first_change(
    shop: Shop, live: Live, kept: str
) -> None:
    live.mongo_db.create_collection("a")
    names = [*("a", "_migrations", "_migrations_lock", "_migrations_meta"), kept]
    removes = [
        {"resource": {"db": live.name, "collection": name}, "actions": ["remove"]}
        for name in names
    ]
    live.mongo_db.command("grantPrivilegesToRole", shop.migrator, privileges=removes)
    said = _upgrade_without(shop, live, "remove")
    assert said.exit_code == 4, said.output
    assert "no right to remove; nothing was changed" in said.output
    assert live.mongo_db.a.count_documents({}) == 0


def _upgrade_without(shop: Shop, live: Live, action: str) -> Any:
    whole = {"db": live.name, "collection": ""}
    privileges = [{"resource": whole, "actions": [action]}]
    live.mongo_db.command(
        "revokePrivilegesFromRole", shop.migrator, privileges=privileges
    )
    return shop.bench(shop.migrator).cli("upgrade", "--yes")
