"""`python -m sample_app.demo`: from nothing to head on both databases, down, up again.

Everything goes through the command line and the JSON API, as a user would have it.
Each line that begins with "ok" was seen to be so; the first that is not ends the
demonstration with exit code 1. Run it again: then there is nothing to upgrade.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

import flask_dualmigrate
from flask_dualmigrate import DualMigrateError
from flask_dualmigrate.embedded import configure
from flask_dualmigrate.results import StatusResult

from . import create_app, db, mongo
from .config import DbType, instance_path

COMMAND = ("--app", "sample_app", "db-migrate")
SIDES: tuple[DbType, ...] = ("postgres", "mongo")
TITLES = {"postgres": "PostgreSQL", "mongo": "MongoDB"}
URLS = {"postgres": "DATABASE_URL", "mongo": "MONGO_URI"}

Json = dict[str, Any]


class DemoError(Exception):
    """Something that the demonstration claims does not hold."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sample_app.demo")
    parser.add_argument(
        "--instance",
        metavar="FOLDER",
        help="where the servers keep their data (default: the app's instance folder)",
    )
    folder = parser.parse_args(arguments).instance
    if folder is not None:
        os.environ["SAMPLE_APP_INSTANCE"] = folder
    try:
        demonstrate()
    except DemoError as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    except DualMigrateError as error:
        print(f"\nError: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return 0


def demonstrate() -> None:
    """Walk through the whole of it. Raises DemoError at the first false claim."""
    start_servers()
    upgraded = upgrade_to_head()
    title("An item on each database, through the app's API")
    items = {side: add_item(side) for side in SIDES}
    go_down_and_up()
    for side, item in items.items():
        compare_item(side, item)
    flask("check")
    way = f"{upgraded} up, one down, one up" if upgraded else "one down, one up"
    print(
        f"\nDone: both databases went the same way together ({way}), and\n"
        "the item on each came through unharmed. The servers stop now, and their data\n"
        "stays: run this again, and there is nothing to upgrade."
    )


def start_servers() -> None:
    """Start both servers, or attach to them; they stop with the last user's process.

    Only a bare app is made here: the real one would upgrade its database at once.
    """
    title("Two databases")
    os.environ["DB_TYPE"] = "both"
    app = Flask(__package__, instance_path=instance_path())
    for side in SIDES:
        if not os.environ.get(URLS[side]):
            print(f"Starting {TITLES[side]} ... ", end="", flush=True)
        configure(app, active=side)
        if os.environ.get(URLS[side]):
            print(f"{TITLES[side]}: the one that {URLS[side]} names")
        else:
            print(f"it runs, its data in {Path(app.instance_path, side)}")


def upgrade_to_head() -> int:
    """Upgrade both databases, and return how many revisions that took.

    With none, nothing in either journal may have changed: not a time, not a duration.
    """
    title("Up to head")
    print("\n$ export DB_TYPE=both")
    before = status()
    flask("upgrade", "--yes")
    after = status()
    expect(not after.pending, "no revision is pending on either side")
    if not before.pending:
        expect(after == before, "there was nothing to upgrade, and nothing changed")
    flask("status")
    return before.pending


def go_down_and_up() -> None:
    """Take the last revision back on both sides, and apply it again."""
    title("One revision down, and up again")
    flask("downgrade", "-1", "--yes")
    expect(status().pending == 1, "both databases are one revision lower")
    flask("upgrade", "--yes")
    expect(not status().pending, "both databases are at head again")


def add_item(side: DbType) -> Json:
    """Add an item on one database, move it, like it, and return what is known of it."""
    print(f"\n# DB_TYPE={side}")
    with client_of(side) as client:
        user = find_or_add(client, "users", {"name": "Ada"})
        kind = find_or_add(client, "types", {"name": "Instrument"})
        place = find_or_add(client, "locations", {"floor": "2", "room": "214"})
        item = send(
            client,
            "POST",
            "/api/items",
            {
                "name": "Oszilloskop Größe M",
                "type_id": kind["id"],
                "price": "1249.50",
                "serial_number": f"TDS-{secrets.token_hex(4)}",
            },
        )
        address = f"/api/items/{item['id']}"
        send(client, "POST", f"{address}/move", {"location_id": place["id"]})
        send(client, "PUT", f"{address}/favorites/{user['id']}")
        return read_item(client, item["id"], item["serial_number"])


def compare_item(side: DbType, before: Json) -> None:
    """Read an item again. Raises DemoError if anything of it is different."""
    item = before["item"]
    with client_of(side) as client:
        after = read_item(client, item["id"], item["serial_number"])
    expect(after == before, f"{TITLES[side]}: {item['name']!r} is as it was")


def read_item(client: FlaskClient, item_id: str, serial_number: str) -> Json:
    """Return all that the API says of an item, and that a search finds it."""
    address = f"/api/items/{item_id}"
    return {
        "item": send(client, "GET", address),
        "movements": send(client, "GET", f"{address}/movements")["movements"],
        "logs": send(client, "GET", f"/api/logs?item_id={item_id}")["logs"],
        "found": send(client, "GET", f"/api/items/search?q=GRÖSSE {serial_number}"),
    }


def find_or_add(client: FlaskClient, kind: str, body: Json) -> Json:
    """Return the entry that has these values; an earlier run may have added it."""
    for entry in send(client, "GET", f"/api/{kind}")[kind]:
        if entry.items() >= body.items():
            return dict(entry)
    return send(client, "POST", f"/api/{kind}", body)


def send(
    client: FlaskClient, method: str, address: str, body: Json | None = None
) -> Json:
    """Send a request, and return the JSON of the answer. Raises DemoError for a 4xx."""
    answer = client.open(address, method=method, json=body)
    if method != "GET":
        short = re.sub(r"[0-9a-f]{26}(?=[0-9a-f]{6})", "…", address)
        print(f"{method:<4} {short} -> {answer.status}")
    if answer.status_code >= 400:
        raise DemoError(f"{method} {address}: {answer.status}: {answer.text}")
    return dict(answer.json or {})


@contextmanager
def client_of(side: DbType) -> Iterator[FlaskClient]:
    """Run the app on one database, as a deployment would, and give its test client."""
    os.environ["DB_TYPE"] = side
    try:
        app = create_app()
    finally:
        os.environ["DB_TYPE"] = "both"
    try:
        yield app.test_client()
    finally:
        close(app)


def close(app: Flask) -> None:
    """Give back an app's connections."""
    if mongo.cx is not None:
        mongo.cx.close()
    if "sqlalchemy" in app.extensions:
        with app.app_context():
            db.engine.dispose()


def status() -> StatusResult:
    """Return what `flask db-migrate status` says, without a word on the terminal."""
    app = create_app(auto_upgrade=False)
    try:
        with app.app_context():
            return flask_dualmigrate.status()
    finally:
        close(app)


def flask(*arguments: str) -> None:
    """Show one of our commands and its result; progress, on stderr, is left out.

    Raises DemoError with all that it printed, if its exit code is not 0.
    """
    command = " ".join(("flask", *COMMAND, *arguments))
    print(f"\n$ {command}", flush=True)
    result = subprocess.run(
        [sys.executable, "-m", "flask", *COMMAND, *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    if result.returncode:
        raise DemoError(
            f"`{command}` ended with exit code {result.returncode}:\n"
            f"{result.stderr}{result.stdout}"
        )
    print(result.stdout, end="", flush=True)


def title(text: str) -> None:
    """Begin a part of the demonstration."""
    print(f"\n== {text}")


def expect(holds: bool, claim: str) -> None:
    """Say that a claim holds. Raises DemoError if it does not."""
    if not holds:
        raise DemoError(f"It does not hold that {claim}.")
    print(f"ok  {claim}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
