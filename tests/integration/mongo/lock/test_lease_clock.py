"""The lease in MongoDB while the server's clock is set: no two runs are at work."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import LockTimeout, unlock
from flask_dualmigrate.errors import LockLost, Unconfirmed
from flask_dualmigrate.mongo.lock import lock as module
from flask_dualmigrate.mongo.lock.lock import MongoLock
from tests.support.lock_holders import nobody

Db = Database[Any]
LEASE_S = 2.0


def set_clock(db: Db, hours: float) -> None:
    """Let the lease stand as if the server's clock had been put forward by so much."""
    end = datetime.now(UTC) - timedelta(hours=hours)
    db["_migrations_lock"].update_one({"_id": "lock"}, {"$set": {"expires_at": end}})


def taken_by_nobody_we_see(db: Db, lease_s: float = LEASE_S) -> MongoLock:
    """Take the lock as a process of another machine does, and renew it no more."""
    gone = MongoLock(db, lease_s=lease_s)
    gone._seed()
    assert gone._take()
    db["_migrations_lock"].update_one({"_id": "lock"}, {"$unset": {"mark": ""}})
    return gone


def test_a_clock_put_forward_takes_the_lock_from_nobody_who_renews_it(
    mongo_db: Db,
) -> None:
    holder, other = (
        MongoLock(mongo_db, lease_s=LEASE_S),
        MongoLock(mongo_db, lease_s=30),
    )
    with holder.held(timeout_s=0, on_wait=nobody):
        set_clock(mongo_db, 5)
        waiting = other.held(timeout_s=0, on_wait=lambda holder: None)
        with pytest.raises(LockTimeout):
            waiting.__enter__()
        holder.require()
        assert holder.is_held()


@pytest.mark.parametrize("hours", [5, -5], ids=["over", "far from over"])
def test_who_renews_nothing_loses_the_lock_after_its_lease_whatever_the_clock_says(
    hours: float, mongo_db: Db
) -> None:
    gone = taken_by_nobody_we_see(mongo_db)
    set_clock(mongo_db, hours)
    began = time.monotonic()

    with MongoLock(mongo_db, lease_s=30).held(timeout_s=10, on_wait=nobody_yet) as _:
        assert time.monotonic() - began >= LEASE_S

    with pytest.raises(LockLost):
        gone.require()


def nobody_yet(holder: Any) -> None:
    """Wait on: whoever it is, it renews nothing."""


def test_a_lease_of_an_earlier_version_is_watched_for_as_long_as_our_own(
    mongo_db: Db,
) -> None:
    taken_by_nobody_we_see(mongo_db)
    former = {"$unset": {"lease_s": "", "beats": ""}}
    mongo_db["_migrations_lock"].update_one({"_id": "lock"}, former)
    began = time.monotonic()

    with MongoLock(mongo_db, lease_s=1).held(timeout_s=10, on_wait=nobody_yet):
        assert time.monotonic() - began >= 1


def test_unlock_frees_a_lease_that_is_over_if_it_is_not_renewed(
    app: Flask, mongo_db: Db
) -> None:
    taken_by_nobody_we_see(mongo_db)
    set_clock(mongo_db, 5)

    (mongo,) = (side for side in unlock().sides if side.backend == "mongo")

    assert (mongo.outcome, mongo.gone) == (
        "freed",
        "its lease has expired, and it does not renew it",
    )


def test_unlock_leaves_a_lease_that_is_over_and_renewed(
    app: Flask, mongo_db: Db
) -> None:
    with MongoLock(mongo_db, lease_s=LEASE_S).held(timeout_s=0, on_wait=nobody):
        set_clock(mongo_db, 5)
        assert not unlock().ok


def test_unlock_by_force_says_what_it_does_not_stop(app: Flask, mongo_db: Db) -> None:
    with MongoLock(mongo_db, lease_s=30).held(timeout_s=0, on_wait=nobody):
        done = app.test_cli_runner().invoke(args=["db-migrate", "unlock", "--force"])
        assert done.exit_code == Unconfirmed.exit_code
        assert "what a script function (op.run) sends" in done.stderr


def test_nobody_gets_the_lock_before_its_holder_has_noticed_that_it_lost_it(
    mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[float] = []
    monkeypatch.setattr(
        MongoLock, "_lose", lambda self, at: lost.append(time.monotonic())
    )
    holder, other = MongoLock(mongo_db, lease_s=30), MongoLock(mongo_db, lease_s=30)
    with holder.held(timeout_s=0, on_wait=nobody), holder.binding():
        time.sleep(module._NOTICE_S)  # it looks more often from then on
        found = other.holder()
        assert found is not None
        monkeypatch.setattr(type(found), "gone", None)
        assert other.free(found)
        assert lost
        assert lost[0] < time.monotonic()
