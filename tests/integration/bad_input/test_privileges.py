"""Accounts that may not do what a run needs: found before the first change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.bad_input import Row
from tests.support.bad_servers import OWNER, READER, STRANGER, Live

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "--yes")
STAMP = ("stamp", "a1a1")
RIGHTS = "nothing was changed"
Words = tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """Who tries what. happened: before it, as the owner."""

    row: Row
    postgres: str = OWNER
    mongo: str = OWNER
    happened: Callable[[Live], object] = lambda live: None
    options: str = ""


def upgraded(live: Live) -> None:
    done = live.bench.cli(*UP)
    assert done.exit_code == 0, done.output


def foreign_table(live: Live) -> None:
    """A table that the next revision alters, and that somebody else owns."""
    upgraded(live)
    with live.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE foreign_one (id int)"))
    live.bench.tree.add(
        "d4d4", postgres='op.add_column("foreign_one", sa.Column("a", sa.Integer))'
    )
    live.bench.cli("init")


def validator(live: Live) -> None:
    upgraded(live)
    live.bench.tree.add("d4d4", mongo='op.set_validator("t_a1a1", {"a": {"$gt": 1}})')
    live.bench.cli("init")


def without_dbadmin(live: Live) -> None:
    validator(live)
    admin = live.mongo_db.client.admin
    role = {"role": "dbAdmin", "db": live.name}
    admin.command("revokeRolesFromUser", OWNER, roles=[role])


def refused(id: str, words: Words, *says: str, **more: Any) -> Account:
    """Return an account that a command is refused to; more: as Account takes it."""
    return Account(Row(id, words, says, code=4), **more)


ACCOUNTS = (
    refused(
        "postgres-cannot-create",
        UP,
        "role canary_reader",
        "CREATE",
        RIGHTS,
        "DATABASE_URL",
        postgres=READER,
    ),
    refused(
        "postgres-cannot-create-stamp",
        STAMP,
        "role canary_reader",
        "CREATE",
        postgres=READER,
    ),
    refused(
        "postgres-cannot-read",
        DOWN,
        "PostgreSQL",
        "permission denied",
        postgres=READER,
        happened=upgraded,
    ),
    refused(
        "postgres-no-owner",
        UP,
        "role canary_owner",
        "add_column for revision d4d4",
        "foreign_one",
        happened=foreign_table,
    ),
    refused(
        "mongo-reads-only",
        UP,
        "user canary_reader",
        "insert",
        RIGHTS,
        "readWrite and dbAdmin",
        mongo=READER,
    ),
    refused(
        "mongo-reads-only-down",
        DOWN,
        "user canary_reader",
        "insert",
        mongo=READER,
        happened=upgraded,
    ),
    refused(
        "mongo-reads-only-stamp", STAMP, "user canary_reader", "insert", mongo=READER
    ),
    refused("mongo-no-role", UP, "MongoDB", "not authorized", "roles", mongo=STRANGER),
    refused(
        "mongo-no-collmod",
        UP,
        "user canary_owner",
        "collMod",
        "t_a1a1",
        happened=without_dbadmin,
    ),
    refused(
        "postgres-read-only",
        UP,
        "read-only",
        "DATABASE_URL",
        options="-c default_transaction_read_only=on",
    ),
)


@pytest.mark.parametrize("account", ACCOUNTS, ids=[one.row.id for one in ACCOUNTS])
def test_an_account_without_the_rights_is_refused(account: Account, live: Live) -> None:
    account.happened(live)
    url = live.postgres.set(username=account.postgres)
    if account.options:
        url = url.update_query_dict({"options": account.options})
    bench = live.app(
        postgres=url.render_as_string(hide_password=False),
        mongo=live.mongo.url(live.name, user=account.mongo),
    )
    bench.try_(account.row)


def test_the_roles_that_the_hint_names_are_enough(live: Live) -> None:
    upgraded(live)
    for words in (("downgrade", "base", "--yes"), ("stamp", "head"), ("check",)):
        done = live.bench.cli(*words)
        assert done.exit_code == 0, done.output
