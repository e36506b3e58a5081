"""`--on-error`: what becomes of both databases when a script fails."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskCliRunner
from pymongo.database import Database

from flask_dualmigrate import PartialFailure, UsageError, downgrade, init, upgrade
from tests.integration.conftest import MakeApp
from tests.integration.run.test_restore import states
from tests.support.restore_shop import Shop, add_r2, opened_shop

FAILS_ON_POSTGRES = {"postgres": "op.execute('SELECT 1/0')"}
FAILS_ON_MONGO = {
    "mongo": 'op.add_field("item", "z", default=1)\n'
    'op.run(broken, name="broken", undo=lambda db: None)',
    "mongo_more": "def broken(db):\n    raise ValueError('broken')\n",
}


@pytest.fixture
def shop(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> Iterator[Shop]:
    with opened_shop(make_app, tmp_path, engine, mongo_db) as shop:
        add_r2(shop.tree)
        yield shop


def add_r3(shop: Shop, **scripts: str) -> None:
    shop.tree.add("r3", **scripts)
    init()


def run(shop: Shop, *words: str) -> Any:
    return FlaskCliRunner(shop.app).invoke(args=["db-migrate", *words])


@pytest.mark.parametrize(
    "scripts", [FAILS_ON_POSTGRES, FAILS_ON_MONGO], ids=["postgres", "mongo"]
)
def test_restore_brings_back_what_was_there_before_the_run(
    shop: Shop, scripts: dict[str, str]
) -> None:
    add_r3(shop, **scripts)
    before = shop.holds()

    said = run(shop, "upgrade", "--yes", "--on-error", "restore")

    (backup,) = shop.backups.names()
    assert said.exit_code == 1
    assert f"Both databases were restored from backup {backup}" in said.stderr
    assert "Fix the script, then: flask db-migrate upgrade" in said.stderr
    assert shop.holds() == before
    assert states() == {
        "r1": ["applied"] * 2,
        "r2": ["pending"] * 2,
        "r3": ["pending"] * 2,
    }


def test_restore_says_in_the_error_what_was_not_done(shop: Shop) -> None:
    add_r3(shop, **FAILS_ON_POSTGRES)

    with pytest.raises(PartialFailure) as raised:
        upgrade(on_error="restore")

    assert raised.value.applied == ()
    assert raised.value.failed == "r3"
    assert raised.value.untouched == ("r2",)


def test_restore_takes_a_downgrade_back_too(shop: Shop) -> None:
    add_r3(
        shop,
        postgres='op.add_column("items", sa.Column("x", sa.Text))',
        postgres_down="op.execute('SELECT 1/0')",
        mongo='op.add_field("item", "x", default=1)',
        mongo_down='op.drop_field("item", "x")',
    )
    upgrade()
    before = shop.holds()

    said = run(shop, "downgrade", "--yes", "--on-error", "restore")

    assert said.exit_code == 1
    assert "Both databases were restored from backup" in said.stderr
    assert shop.holds() == before
    assert states()["r3"] == ["applied"] * 2


@pytest.mark.parametrize(
    "scripts", [FAILS_ON_POSTGRES, FAILS_ON_MONGO], ids=["postgres", "mongo"]
)
def test_keep_leaves_what_is_done_for_the_next_run(
    shop: Shop, scripts: dict[str, str]
) -> None:
    scripts = {"mongo": 'op.add_field("item", "z", default=1)', **scripts}
    add_r3(shop, **scripts)

    said = run(shop, "upgrade", "--yes", "--on-error", "keep")

    backup = shop.backups.names()[0]
    assert said.exit_code == 1
    assert "What it did is kept. Fix the script without changing" in said.stderr
    assert f"flask db-migrate restore {backup}" in said.stderr
    assert states()["r2"] == ["applied"] * 2
    assert states()["r3"][0] == ("failed" if "1/0" in str(scripts) else "pending")
    assert shop.db.item.count_documents({"z": 1}) == 21

    for side, mended in (("postgres", ("1/0", "1")), ("mongo", ("raise ", ""))):
        path = shop.tree.path(side, "r3")
        path.write_text(path.read_text().replace(*mended))
    upgrade()
    assert states()["r3"] == ["applied"] * 2


def test_undo_names_the_restore_where_something_cannot_be_undone(shop: Shop) -> None:
    unsafe = FAILS_ON_MONGO["mongo_more"] + "def fine(db):\n    pass\n"
    scripts = 'op.run(fine, name="fine")\nop.run(broken, name="broken", undo=fine)'
    add_r3(shop, mongo=scripts, mongo_more=unsafe)

    said = run(shop, "upgrade", "--yes")

    backup = shop.backups.names()[0]
    assert said.exit_code == 1
    assert "some of it remains" in said.stderr
    assert f"flask db-migrate restore {backup}" in said.stderr


@pytest.mark.parametrize("action", [upgrade, downgrade])
def test_restore_without_a_backup_is_refused_up_front(shop: Shop, action: Any) -> None:
    before = shop.holds()

    with pytest.raises(UsageError, match="--on-error restore needs a backup"):
        action(on_error="restore", backup="never")

    assert shop.holds() == before


def test_restore_undoes_where_nothing_was_there_to_be_backed_up(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    with opened_shop(make_app, tmp_path, engine, mongo_db) as shop:
        shop.tree.add(
            "r2",
            postgres="op.execute('SELECT 1/0')",
            mongo='op.create_collection("made")',
        )
        init()
        before = shop.holds()

        said = run(shop, "upgrade", "--yes", "--on-error", "restore")

        assert said.exit_code == 1
        assert "It was undone: the revision is not applied" in said.stderr
        assert shop.holds() == before


ELSEWHERE = {
    "run": """
        def write(db):
            db.client[db.name + "_other"].t.update_one({}, {"$set": {"v": 2}})
    """,
    "$out": """
        def write(db):
            into = {"db": db.name + "_other", "coll": "t"}
            db.item.aggregate([{"$set": {"v": 2}}, {"$out": into}])
    """,
}


@pytest.mark.parametrize("function", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("sides", ["both", "mongo"])
def test_a_restore_claims_nothing_of_what_a_script_wrote_to_another_database(
    shop: Shop, mongo_db: Database[Any], function: str, sides: str
) -> None:
    other = mongo_db.client[f"{mongo_db.name}_other"]
    other.t.insert_one({"v": 1})
    scripts = (
        'op.run(write, name="write", idempotent=True)\nop.run(broken, undo=broken)'
    )
    more = textwrap.dedent(function) + FAILS_ON_MONGO["mongo_more"]
    add_r3(shop, mongo=scripts, mongo_more=more)
    before = shop.holds()
    one = [] if sides == "both" else ["--backend", sides]

    said = run(shop, "upgrade", "--yes", "--on-error", "restore", *one)

    assert said.exit_code == 1
    assert "restored from backup" in said.stderr
    assert (
        "Changes that a script made elsewhere, such as in another database"
        in said.stderr
    )
    assert shop.holds() == before
    assert [document["v"] for document in other.t.find()] != [1]
    mongo_db.client.drop_database(other.name)


def test_a_word_that_is_none_is_refused(shop: Shop) -> None:
    with pytest.raises(UsageError, match="on_error must be one of undo, restore, keep"):
        upgrade(on_error="panic")


def test_the_restore_that_a_run_of_one_side_names_works_as_it_is_typed(
    shop: Shop,
) -> None:
    add_r3(shop, **FAILS_ON_MONGO)
    said = run(shop, "upgrade", "--backend", "mongo", "--yes", "--on-error", "keep")
    told = "; or restore the database on MongoDB to the state before this run: "
    typed = said.stderr.partition(f"{told}flask db-migrate ")[2].split("\n")[0]

    restored = run(shop, *typed.split(), "--yes")

    assert restored.exit_code == 0, restored.stderr
    assert states()["r2"] == ["pending"] * 2
