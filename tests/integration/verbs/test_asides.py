"""`flask db-migrate asides`: what is kept, and what its purge does to a downgrade."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from flask_dualmigrate import UsageError, asides, downgrade, init, upgrade
from flask_dualmigrate.mongo.asides.purge import KeptAsides
from flask_dualmigrate.postgres.backend import PostgresBackend
from flask_dualmigrate.results import AsidesResult, PurgeResult
from flask_dualmigrate.verbs.asides import age_in_seconds
from tests.integration.conftest import NOWHERE, MakeApp, Tree
from tests.support.mongo.runs import (
    image,
    our_asides,
)

Db = Database[Any]
NOTE, ITEM_PRICE, LOG, OLD = (
    "_aside_r1_item.note",
    "_aside_r1_item.price",
    "_aside_r1_log",
    "_aside_r1_item.documents",
)
KEPT = [ITEM_PRICE, LOG, NOTE, OLD]


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


def listed() -> dict[str, Any]:
    result = asides()
    assert isinstance(result, AsidesResult)
    return {aside.name: aside for aside in result.asides}


def purge(older_than: str) -> PurgeResult:
    result = asides(purge_older_than=older_than)
    assert isinstance(result, PurgeResult)
    return result


def make_older(db: Db, name: str, days: int) -> None:
    moment = datetime.now(UTC) - timedelta(days=days, minutes=1)
    done = db["_aside_catalog"].update_one(
        {"_id": name}, {"$set": {"created_at": moment}}
    )
    assert done.matched_count


@pytest.fixture
def kept(tree: Tree, mongo_db: Db) -> Tree:
    """A revision r1 that took four things away, and a way down; applied."""
    mongo_db.item.insert_many(
        [
            {"_id": number, "note": None, "price": str(number), "old": number > 7}
            for number in range(10)
        ]
    )
    mongo_db.log.insert_many([{"_id": 1}, {"_id": 2}])
    tree.add(
        "r1",
        mongo=(
            'op.drop_field("item", "note")\n'
            'op.convert_field("item", "price", to="int")\n'
            'op.drop_collection("log")\n'
            'op.delete("item", {"old": True})'
        ),
        mongo_down=(
            'op.insert("item", [])\n'
            'op.create_collection("log")\n'
            'op.convert_field("item", "price", to="string")\n'
            'op.add_field("item", "note")'
        ),
    )
    init()
    upgrade()
    return tree


def test_each_aside_is_listed_with_what_it_holds(kept: Tree) -> None:
    found = listed()
    assert {
        name: (aside.holds, aside.collection, aside.field, aside.documents)
        for name, aside in found.items()
    } == {
        NOTE: ("values", "item", "note", 10),
        ITEM_PRICE: ("conversions", "item", "price", 10),
        LOG: ("collection", "log", None, 2),
        OLD: ("documents", "item", None, 2),
    }
    assert {aside.revision for aside in found.values()} == {"r1"}
    assert [found[name].step for name in (NOTE, ITEM_PRICE, LOG, OLD)] == [0, 1, 2, 3]


def test_an_aside_has_its_size_and_its_age(kept: Tree, mongo_db: Db) -> None:
    make_older(mongo_db, LOG, 36)
    aside = listed()[LOG]
    assert aside.size_bytes == 2 * 14  # {"_id": 1} is 14 bytes of BSON
    assert aside.since.tzinfo is not None
    assert timedelta(seconds=aside.age_s).days == 36
    assert next(iter(listed())) == LOG


def test_the_list_is_a_table_for_people(kept: Tree, app: Flask, mongo_db: Db) -> None:
    make_older(mongo_db, LOG, 36)
    said = cli(app, "asides")
    assert said.exit_code == 0, said.output
    head, _, first, *_ = said.stdout.splitlines()
    assert head.split()[:4] == ["Aside", "Holds", "Documents", "Size"]
    assert head.split()[4:] == ["Since", "Age", "By", "For"]
    assert first.startswith(f"{LOG}  ")
    assert "collection log" in first
    assert "upgrade r1 step 2" in first
    assert "28 B" in first
    assert "36 d" in first
    assert said.stdout.splitlines()[-1].startswith("4 asides, ")


def test_the_list_as_json_has_every_fact(kept: Tree, app: Flask) -> None:
    said = json.loads(cli(app, "asides", "--json").stdout)
    aside = next(item for item in said["asides"] if item["name"] == NOTE)
    assert aside.pop("age_s") >= 0
    assert datetime.fromisoformat(aside.pop("since")).tzinfo is not None
    assert aside.pop("size_bytes") > 0
    assert aside == {
        "name": NOTE,
        "holds": "values",
        "collection": "item",
        "field": "note",
        "revision": "r1",
        "direction": "upgrade",
        "step": 0,
        "verb": "drop_field",
        "documents": 10,
        "for_downgrade": True,
        "needed": False,
    }


def test_without_asides_the_list_says_so(app: Flask) -> None:
    assert cli(app, "asides").stdout == "Nothing is kept aside.\n"


def test_without_mongo_in_use_the_command_is_refused(make_app: MakeApp) -> None:
    app = make_app(active="postgres", urls={"mongo": NOWHERE})
    said = cli(app, "asides")
    assert said.exit_code == 2
    assert "Asides are kept in MongoDB; it is not in use here" in said.output


def test_the_list_needs_no_postgres(make_app: MakeApp) -> None:
    app = make_app(urls={"postgres": "postgresql+psycopg://u@127.0.0.1:9/nowhere"})
    assert cli(app, "asides").exit_code == 0


def test_a_purge_drops_what_is_old_enough_and_no_more(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    make_older(mongo_db, LOG, 30)
    make_older(mongo_db, NOTE, 29)
    said = cli(app, "asides", "--purge-older-than", "30d", "--yes")
    assert said.exit_code == 0, said.output
    assert said.stdout == (
        f"Dropped {LOG}: 2 documents, 28 B; a downgrade of r1 cannot put that back\n"
    )
    assert our_asides(mongo_db) == [OLD, NOTE, ITEM_PRICE]
    assert LOG not in listed()


def test_a_purge_says_when_nothing_is_that_old(kept: Tree, app: Flask) -> None:
    said = cli(app, "asides", "--purge-older-than", "1w")
    assert said.exit_code == 0, said.output
    assert said.stdout == "No aside is that old; nothing was dropped.\n"


def test_a_purge_without_a_terminal_needs_yes(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    said = cli(app, "asides", "--purge-older-than", "0s")
    assert said.exit_code == 2
    assert f"{LOG}: 2 documents, 28 B; a downgrade of r1 cannot" in said.output
    assert our_asides(mongo_db) == sorted(KEPT)
    assert "purged_at" not in str(list(mongo_db["_aside_catalog"].find()))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)],
)
def test_an_age_has_a_unit(text: str, seconds: int) -> None:
    assert age_in_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "1.5d", "30 d", "30D", "1y", "٣d", "9" * 30 + "d"]
)
def test_another_age_is_wrong_usage(
    kept: Tree, app: Flask, mongo_db: Db, text: str
) -> None:
    said = cli(app, "asides", "--purge-older-than", text, "--yes")
    assert said.exit_code == 2
    assert our_asides(mongo_db) == sorted(KEPT)


def test_yes_alone_is_wrong_usage(app: Flask) -> None:
    assert cli(app, "asides", "--yes").exit_code == 2


def test_a_downgrade_puts_everything_back(tree: Tree, mongo_db: Db) -> None:
    documents = [{"_id": n, "a": None, "b": str(n)} for n in range(4)]
    mongo_db.item.insert_many([*documents, {"_id": 9, "b": "x", "gone": True}])
    before = image(mongo_db)
    tree.add(
        "r1",
        mongo='op.delete("item", {"gone": True})\nop.drop_field("item", "a")',
        mongo_down='op.add_field("item", "a")\nop.insert("item", [])',
    )
    init()
    upgrade()
    downgrade()
    assert image(mongo_db) == before
    assert our_asides(mongo_db) == []


def test_a_downgrade_over_a_purge_is_asked_for_first(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    purge("0s")
    said = cli(app, "downgrade")
    assert said.exit_code == 2
    for text in (
        f"the former values of item.note cannot be put back: {NOTE} was purged on ",
        f"the values of item.price from before their conversion cannot be put back: "
        f"{ITEM_PRICE} was purged on ",
        f"the former collection log cannot be put back: {LOG} was purged on ",
        f"the former documents of item cannot be put back: {OLD} was purged on ",
    ):
        assert text in said.output
    assert "log" not in mongo_db.list_collection_names()


def test_a_dry_run_of_a_downgrade_says_what_was_purged(kept: Tree, app: Flask) -> None:
    purge("0s")
    said = cli(app, "downgrade", "--dry-run")
    assert said.exit_code == 0, said.output
    assert f"the former collection log cannot be put back: {LOG} was" in said.stdout


def test_a_downgrade_over_a_purge_does_the_rest(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    make_older(mongo_db, NOTE, 3)
    make_older(mongo_db, LOG, 3)
    purge("3d")
    said = cli(app, "downgrade", "--yes")
    assert said.exit_code == 0, said.output
    assert mongo_db.log.count_documents({}) == 0
    assert mongo_db.item.find_one({"_id": 3}) == {"_id": 3, "price": "3", "old": False}
    assert mongo_db.item.count_documents({"old": True}) == 2


def test_after_that_downgrade_the_purge_is_forgotten(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    purge("0s")
    cli(app, "downgrade", "--yes")
    assert mongo_db["_aside_catalog"].find_one({"purged_at": {"$exists": True}}) is None
    upgrade()
    assert cli(app, "downgrade").exit_code == 0


def test_what_a_half_done_downgrade_has_put_back_is_not_missed(
    kept: Tree, app: Flask, mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when MongoDB is done, and PostgreSQL is not."""

    def killed(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PostgresBackend, "execute", killed)
        assert cli(app, "downgrade", "--yes").exit_code == 130
    assert LOG not in mongo_db.list_collection_names()
    said = cli(app, "downgrade")
    assert said.exit_code == 0, said.output
    assert mongo_db.log.count_documents({}) == 2


def test_an_aside_that_somebody_dropped_is_missed_like_a_purged_one(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    mongo_db[NOTE].drop()
    assert NOTE not in listed()
    said = cli(app, "downgrade")
    assert said.exit_code == 2
    assert f"item.note cannot be put back: {NOTE} no longer exists" in said.output


def test_what_a_half_done_revision_needs_is_spared(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    mongo_db["_migrations"].update_one({"_id": "r1"}, {"$set": {"status": "running"}})
    result = purge("0s")
    assert result.dropped == ()
    assert [aside.name for aside in result.spared] == list(listed())
    assert our_asides(mongo_db) == sorted(KEPT)
    said = cli(app, "asides", "--purge-older-than", "0s")
    assert f"Left {LOG}: r1 is half done, and it needs this aside" in said.stdout


def test_what_could_not_be_put_back_is_purged_without_a_trace(
    kept: Tree, app: Flask, mongo_db: Db
) -> None:
    mongo_db.item.update_one({"_id": 1}, {"$set": {"note": "app"}})
    downgrade()
    (aside,) = listed().values()
    assert (aside.name, aside.for_downgrade, aside.documents) == (NOTE, False, 1)
    said = cli(app, "asides", "--purge-older-than", "0s", "--yes")
    assert said.stdout.startswith(f"Dropped {NOTE}: 1 document, ")
    assert "downgrade" not in said.stdout
    assert mongo_db["_aside_catalog"].count_documents({}) == 0


def test_a_note_of_a_run_reaches_the_log(
    kept: Tree, mongo_db: Db, caplog: pytest.LogCaptureFixture
) -> None:
    mongo_db.item.update_one({"_id": 1}, {"$set": {"note": "app"}})
    downgrade()
    assert (
        "r1, step 3 (add_field): 1 document was written or deleted since: the former "
        f"note of item stays in {NOTE}" in caplog.messages
    )


@pytest.mark.parametrize("broken", ["drop_collection", "catalog"])
def test_a_purge_that_was_stopped_does_no_harm(
    kept: Tree, app: Flask, mongo_db: Db, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Stopped before the drop, or between it and the catalog."""
    mongo_db.item.update_one({"_id": 1}, {"$set": {"note": "app"}})
    downgrade()
    real = KeptAsides.purge

    def stopped(self: KeptAsides, aside: Any) -> None:
        if broken == "catalog":
            self._db.drop_collection(aside.name)
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(KeptAsides, "purge", stopped)
    assert cli(app, "asides", "--purge-older-than", "0s", "--yes").exit_code == 4
    monkeypatch.setattr(KeptAsides, "purge", real)
    assert len(listed()) == (1 if broken == "drop_collection" else 0)
    purge("0s")
    assert mongo_db["_aside_catalog"].count_documents({}) == 0
    upgrade()
    downgrade()


def test_a_marked_aside_that_was_not_dropped_is_put_back(
    kept: Tree, mongo_db: Db
) -> None:
    now = datetime.now(UTC)
    mongo_db["_aside_catalog"].update_one({"_id": LOG}, {"$set": {"purged_at": now}})
    downgrade()
    assert mongo_db.log.count_documents({}) == 2


def test_the_purge_waits_for_a_migration(kept: Tree, app: Flask, mongo_db: Db) -> None:
    app.config["DUALMIGRATE_LOCK_TIMEOUT_S"] = 0
    expires = datetime.now(UTC) + timedelta(minutes=1)
    mongo_db["_migrations_lock"].update_one(
        {"_id": "lock"},
        {"$set": {"owner": "other", "expires_at": expires, "since": expires}},
    )
    said = cli(app, "asides", "--purge-older-than", "0s", "--yes")
    assert said.exit_code == 5
    assert our_asides(mongo_db) == sorted(KEPT)


def test_a_wrong_age_from_python_is_a_usage_error(kept: Tree) -> None:
    with pytest.raises(UsageError, match="'soon' is not an age"):
        asides(purge_older_than="soon")
