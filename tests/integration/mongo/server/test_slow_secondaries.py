"""Secondaries that are behind: by themselves, or on purpose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from flask_dualmigrate.mongo.server.replication import Replication
from tests.support.mongo.proxies import wired
from tests.support.mongo.runs import StopAfter, Stopped

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def member(number: int, state: str, *, behind_s: float) -> dict[str, Any]:
    at = NOW - timedelta(seconds=behind_s)
    return {"_id": number, "stateStr": state, "optimeDate": at}


def wait(mongo_url: str, *members: dict[str, Any], delays: dict[int, int]) -> None:
    with wired(mongo_url) as (uri, wire), MongoClient[Any](uri) as client:
        known = [
            {"_id": number, "secondaryDelaySecs": delay}
            for number, delay in delays.items()
        ]
        wire.answers = {
            "replSetGetStatus": {"members": list(members)},
            "replSetGetConfig": {"config": {"members": known}},
        }
        Replication(client.get_default_database(), bound_s=10).wait(StopAfter(0))


PRIMARY = member(0, "PRIMARY", behind_s=0)


def test_a_member_that_is_delayed_on_purpose_is_not_waited_for(mongo_url: str) -> None:
    delayed = member(1, "SECONDARY", behind_s=3602)
    wait(mongo_url, PRIMARY, delayed, delays={0: 0, 1: 3600})


def test_a_member_that_is_too_far_behind_is_waited_for(mongo_url: str) -> None:
    slow = member(1, "SECONDARY", behind_s=11)
    delayed = member(2, "SECONDARY", behind_s=3600)
    with pytest.raises(Stopped):
        wait(mongo_url, PRIMARY, slow, delayed, delays={1: 0, 2: 3600})


def test_a_member_that_is_down_is_not_waited_for(mongo_url: str) -> None:
    down = member(1, "(not reachable/healthy)", behind_s=9999)
    wait(mongo_url, PRIMARY, down, delays={})
