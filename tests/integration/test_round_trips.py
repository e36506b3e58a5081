"""What counts the round trips of the other tests counts them as they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from pymongo import MongoClient, WriteConcern

from tests.support.round_trips import Trips, counted

_CHILD = """
import sys, psycopg, sqlalchemy
url = sqlalchemy.make_url(sys.argv[1]).set(drivername="postgresql")
with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
    connection.execute("SELECT 1")
"""


@pytest.fixture
def trips(postgres_url: str, mongo_url: str) -> Iterator[Trips]:
    with counted(postgres_url, mongo_url) as trips:
        yield trips


def _connect(trips: Trips) -> psycopg.Connection:
    url = sa.make_url(trips.postgres.url).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def test_a_connection_to_postgresql_counts_what_is_asked_before_it_is_open(
    trips: Trips,
) -> None:
    with _connect(trips):
        assert trips.postgres.names == ["SSLRequest", "connect"]


def test_each_statement_for_postgresql_counts_once(trips: Trips) -> None:
    with _connect(trips) as connection:
        trips.clear()
        connection.execute("SELECT 1")
        connection.execute("SELECT %s", [2])
        assert trips.postgres.names == ["SELECT 1", "SELECT $1"]


def test_a_prepared_statement_is_named_by_its_text(trips: Trips) -> None:
    with _connect(trips) as connection:
        connection.execute("SELECT 1", prepare=True)
        trips.clear()
        connection.execute("SELECT 1", prepare=True)
        assert trips.postgres.names == ["SELECT 1"]


def test_the_statements_of_a_pipeline_are_one_round_trip(trips: Trips) -> None:
    with _connect(trips) as connection:
        trips.clear()
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT 2")
        assert trips.postgres.names == ["SELECT 1; SELECT 2"]


def test_a_copy_into_postgresql_waits_twice(trips: Trips) -> None:
    with _connect(trips) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (a int)")
        trips.clear()
        with cursor.copy("COPY t FROM STDIN") as copy:
            copy.write_row([1])
        assert trips.postgres.names == ["COPY t FROM STDIN", "end of COPY"]


def test_a_connection_to_mongodb_counts_its_handshake_and_each_command(
    trips: Trips,
) -> None:
    with MongoClient[dict[str, Any]](trips.mongo.url) as client:
        database = client.get_default_database()
        database.c.insert_one({})
        database.c.find_one()
    assert trips.mongo.names == ["hello", "insert", "find", "endSessions"]


def test_what_mongodb_does_not_answer_is_no_round_trip(trips: Trips) -> None:
    with MongoClient[dict[str, Any]](trips.mongo.url) as client:
        database = client.get_default_database()
        database.c.find_one()
        trips.clear()
        database.c.with_options(write_concern=WriteConcern(w=0)).insert_one({})
        assert trips.mongo.names == []


def test_a_child_is_counted_by_the_url_that_it_gets(trips: Trips) -> None:
    subprocess.run([sys.executable, "-c", _CHILD, trips.postgres.url], check=True)
    assert trips.postgres.names[-2:] == ["SELECT 1", "COMMIT"]
