"""What the server does to a restore: it raises, or goes away in the COMMIT."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from flask_dualmigrate.errors import DatabaseUnavailable
from tests.support.postgres.restores import Place, restored

ITEMS = "CREATE TABLE items (id int); INSERT INTO items VALUES (1)"
COUNT = "SELECT count(*) FROM items WHERE id = 1"
RAISES = """
CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'not on my watch'; END $$;
CREATE EVENT TRIGGER ev ON {} EXECUTE FUNCTION ev();
"""


@pytest.fixture
def place(engine: sa.Engine, tmp_path: Path) -> Place:
    place = Place(engine, tmp_path / "backups")
    place.run(ITEMS)
    return place


@pytest.mark.parametrize("event", ["sql_drop", "ddl_command_start", "ddl_command_end"])
def test_an_event_trigger_that_raises_leaves_all_as_it_was(
    place: Place, event: str
) -> None:
    with place.backed_up(["items"]) as restorer:
        place.run("UPDATE items SET id = 2")
        place.run(RAISES.format(event))
        with pytest.raises(DatabaseUnavailable, match="not on my watch"):
            restored(restorer)
    assert place.rows(COUNT) == [(0,)]


@pytest.mark.parametrize("arrived", [True, False], ids=["committed", "not-committed"])
def test_a_connection_cut_in_the_commit_is_looked_into(
    place: Place, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    commit = psycopg.Connection.commit
    cut: list[bool] = []

    def cutting(connection: psycopg.Connection[object]) -> None:
        if cut:
            return commit(connection)
        cut.append(True)
        if arrived:
            commit(connection)
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
        connection.execute("SELECT 1")
        return None

    with place.backed_up(["items"]) as restorer:
        place.run("UPDATE items SET id = 2")
        restorer.check()
        monkeypatch.setattr(psycopg.Connection, "commit", cutting)
        if arrived:
            assert restorer.switch("a mark") == ()
        else:
            with pytest.raises(DatabaseUnavailable, match="Nothing was changed"):
                restorer.switch("a mark")
        assert place.rows(COUNT) == [(int(arrived),)]
        restorer.switch("a mark")
    assert cut
    assert place.rows(COUNT) == [(1,)]
