"""A run that lost its lock on MongoDB writes nothing more, nor into the journal."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.mongo.journal.journal import MongoJournal
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.revisions import Direction, Revision, Status

Db = Database[Any]
UP = Direction.UPGRADE


def journal_of(db: Db, token: int) -> MongoJournal:
    return MongoJournal(db, token=lambda: token)


def begin(journal: MongoJournal) -> None:
    journal.begin(Revision("r1"), UP, checksum="c")


def stamp(db: Db, token: int, *ids: str) -> None:
    revisions = {each: (Revision(each), "other") for each in ids}
    journal = journal_of(db, token)
    runner = OperationRunner(db, token=token)
    runner.fenced(lambda session: journal.stamp(revisions, session))


@pytest.mark.parametrize(
    "write",
    [
        begin,
        lambda journal: journal.finish("r1", Status.APPLIED, direction=UP),
        lambda journal: (journal.settle("r1"), journal.flush()),
        lambda journal: journal.begin_undoing("r1", UP),
        lambda journal: journal.accept("r1", "other"),
    ],
    ids=["begin", "finish", "settle", "restore", "accept"],
)
def test_an_entry_of_a_later_run_is_left_alone(mongo_db: Db, write: Any) -> None:
    begin(journal_of(mongo_db, 1))
    begin(journal_of(mongo_db, 2))
    before = mongo_db["_migrations"].find_one({"_id": "r1"})
    with pytest.raises(LockLost, match="Another run has taken over"):
        write(journal_of(mongo_db, 1))
    assert mongo_db["_migrations"].find_one({"_id": "r1"}) == before


def test_an_entry_of_before_there_were_tokens_is_carried_on(mongo_db: Db) -> None:
    begin(journal_of(mongo_db, 0))
    mongo_db["_migrations"].update_one({"_id": "r1"}, {"$unset": {"token": ""}})
    journal_of(mongo_db, 1).finish("r1", Status.APPLIED, direction=UP)
    assert journal_of(mongo_db, 1).entries()["r1"].status is Status.APPLIED


def test_tokens_go_on_where_somebody_dropped_the_lock(mongo_db: Db) -> None:
    begin(journal_of(mongo_db, 7))
    lock = MongoLock(mongo_db, lease_s=5.0)
    with lock.held(timeout_s=1.0, on_wait=print):
        assert lock.token == 8


@pytest.mark.parametrize("ids", [(), ("r1", "r2")], ids=["base", "head"])
def test_a_stamp_leaves_the_entries_of_a_later_run_alone(
    mongo_db: Db, ids: tuple[str, ...]
) -> None:
    begin(journal_of(mongo_db, 2))
    before = list(mongo_db["_migrations"].find())
    with pytest.raises(LockLost, match="Another run has taken over"):
        stamp(mongo_db, 1, *ids)
    assert list(mongo_db["_migrations"].find()) == before


def test_a_stamp_marks_nothing_after_a_later_run_that_wrote_no_entry(
    mongo_db: Db,
) -> None:
    stamp(mongo_db, 2)
    with pytest.raises(LockLost, match="Another run has taken over"):
        stamp(mongo_db, 1, "r1")
    assert journal_of(mongo_db, 2).entries() == {}


def test_a_stamp_that_fails_half_way_marks_nothing(mongo_db: Db) -> None:
    stamp(mongo_db, 1, "r1")
    begin(journal_of(mongo_db, 3))
    with pytest.raises(LockLost):
        stamp(mongo_db, 2, "r0", "r1")
    assert set(journal_of(mongo_db, 3).entries()) == {"r1"}
