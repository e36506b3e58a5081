"""Names from the databases that a terminal would obey: shown, in every command."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import PartialFailure, init, upgrade
from tests.integration.conftest import Tree

EVIL = "\x1b]0;pwned\x07\x9b31m\u202e\nforged: "
"""A terminal's title, red letters, turned letters, and a line of its own."""
SHOWN = r"\x1b]0;pwned\x07\x9b31m\u202e\nforged: "
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def evil(tree: Tree, app: Flask, mongo_db: Database[Any]) -> Flask:
    """An app whose databases have such names in each place."""
    app.config["DUALMIGRATE_BACKUP"] = "all"
    tree.add("r1", mongo='op.create_collection("c")')
    init()
    upgrade()
    name = f"evil{EVIL}"
    mongo_db[name].insert_one({"_id": 1, name: EVIL})
    mongo_db[name].create_index(name, name=f"ix{EVIL}")
    holder = {
        "owner": "x",
        "user": EVIL,
        "host": EVIL,
        "pid": 1,
        "since": datetime.now(UTC),
        "expires_at": datetime(2099, 1, 1, tzinfo=UTC),
    }
    mongo_db["_migrations_lock"].update_one({"_id": "lock"}, {"$set": holder})
    attempt = {"direction": "upgrade", "status": EVIL, "by": EVIL, "error": EVIL}
    attempt["notes"] = [EVIL]  # type: ignore[assignment]
    mongo_db["_migrations"].insert_one({"_id": f"r{EVIL}", "status": "applied"})
    mongo_db["_migrations"].update_one(
        {"_id": "r1"},
        {"$push": {"history": attempt}, "$set": {"notes": [EVIL], "error": EVIL}},
    )
    tree.add("r2", mongo="op.run(fail)", mongo_more=f"def fail(db):\n    raise {FAIL}")
    init()
    return app


FAIL = f"RuntimeError({EVIL!r})"


def flask(app: Flask, words: str) -> Result:
    return app.test_cli_runner().invoke(args=["db-migrate", *words.split()])


@pytest.mark.parametrize("form", ["", " --json"])
@pytest.mark.parametrize(
    "words",
    [
        *("index list", "index diff", "unlock", "show r1", "status", "current"),
        *("check", "repair", "verify", "stamp r1", "backup create", "asides"),
        *("upgrade", "upgrade --log-format json", "downgrade", "upgrade --debug"),
    ],
)
def test_no_command_prints_what_a_terminal_obeys(
    words: str, form: str, evil: Flask
) -> None:
    evil.config["DUALMIGRATE_LOCK_TIMEOUT_S"] = 0.1
    done = flask(evil, words + form)

    assert not OBEYED.search(done.output)
    assert "\nforged" not in done.output
    if form:
        json.loads(done.stdout)


def test_json_has_the_names_as_they_are(evil: Flask) -> None:
    found = json.loads(flask(evil, "index list --json").stdout)["indexes"]

    assert f"evil{EVIL}" in {index["place"] for index in found}


def test_a_person_is_shown_the_names_with_escapes(evil: Flask) -> None:
    assert f"ix{SHOWN}" in flask(evil, "index list").output
    assert f"held by {SHOWN}@{SHOWN} (pid 1)" in flask(evil, "unlock").output


def test_logs_and_errors_of_an_app_have_none_either(
    evil: Flask, mongo_db: Database[Any], caplog: pytest.LogCaptureFixture
) -> None:
    free = {"$set": {"owner": None, "expires_at": None}}
    mongo_db["_migrations_lock"].update_one({"_id": "lock"}, free)
    mongo_db["_migrations"].delete_one({"_id": f"r{EVIL}"})
    ours_at = caplog.at_level(logging.DEBUG, logger="flask_dualmigrate")
    with ours_at, pytest.raises(PartialFailure) as caught:
        upgrade()

    ours = [r for r in caplog.records if r.name.startswith("flask_dualmigrate")]
    told = [str(caught.value), *(record.getMessage() for record in ours)]
    assert not any(OBEYED.search(text) or "\n" in text for text in told)
    assert r"RuntimeError: \x1b]0;pwned\x07" in str(caught.value)
