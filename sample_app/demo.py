"""`python -m sample_app.demo`: from nothing to head on both databases, down, up again.

Everything goes through the command line and the JSON API, as a user would have it.
Each line that begins with "ok" was seen to be so; the first that is not ends the
demonstration with exit code 1. Run it again: then there is nothing to upgrade.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from flask_dualmigrate.embedded import configure

from . import create_app, db, mongo
from .config import DbType, instance_path

COMMAND = ("--app", "sample_app", "db-migrate")
SIDES: tuple[DbType, ...] = ("postgres", "mongo")

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
    return 0


def demonstrate() -> None:
    """Walk through the whole of it. Raises DemoError at the first false claim."""
    start_servers()
    upgraded = upgrade_to_head()
    flask("status")
    items = {side: add_item(side) for side in SIDES}
    go_down_and_up()
    for side, item in items.items():
        compare_item(side, item)
    flask("check")
    print(
        f"\n{upgraded} revisions applied at first, then one taken back and applied "
        "again, on both databases;\nan item on each came through unharmed. "
        "The servers stop now, and their data stays."
    )


def start_servers() -> None:
    """Start both servers, or attach to them; they stop with the last user's process.

    Only a bare app is made here: the real one would upgrade its database at once.
    """
    print("$ export DB_TYPE=both", flush=True)
    os.environ["DB_TYPE"] = "both"
    app = Flask(__package__, instance_path=instance_path())
    configure(app, active="both")
    for title, variable in (("PostgreSQL", "DATABASE_URL"), ("MongoDB", "MONGO_URI")):
        own = f"the one that {variable} names" if os.environ.get(variable) else None
        print(f"# {title}: {own or f'started here, its data in {app.instance_path}'}")


def upgrade_to_head() -> int:
    """Upgrade both databases, and return how many revisions that took.

    With none, nothing in either journal may have changed: not a time, not a duration.
    """
    before = status()
    flask("upgrade", "--yes")
    after = status()
    expect(not after["pending"], "no revision is pending on either side")
    if not before["pending"]:
        expect(after == before, "there was nothing to upgrade, and nothing changed")
    return int(before["pending"])


def go_down_and_up() -> None:
    """Take the last revision back on both sides, and apply it again."""
    flask("downgrade", "--yes", "--", "-1")
    expect(status()["pending"] == 1, "both databases are one revision lower")
    flask("upgrade", "--yes")
    expect(not status()["pending"], "both databases are at head again")


def add_item(side: DbType) -> Json:
    """Add an item on one database, move it, like it, and return what is known of it."""
    print(f"\n# An item through the app's API, DB_TYPE={side}")
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
    expect(after == before, f"{side}: {item['name']}, {item['price']} is what it was")


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
        print(f"{method} {address} -> {answer.status}")
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
        close(app, side)


def close(app: Flask, side: DbType) -> None:
    """Give back an app's connections: an open one would hold up the next command."""
    if side == "mongo" and mongo.cx is not None:
        mongo.cx.close()
    if side == "postgres":
        with app.app_context():
            db.engine.dispose()


def status() -> Json:
    """Return what `status --json` says, without a word on the terminal."""
    return dict(json.loads(run("status", "--json").stdout))


def flask(*arguments: str) -> None:
    """Show a command and what it prints. Raises DemoError if it fails."""
    print(f"\n$ flask {' '.join((*COMMAND, *arguments))}", flush=True)
    result = run(*arguments)
    print(result.stderr + result.stdout, end="", flush=True)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands in a process of its own.

    Raises DemoError with what it printed, if its exit code is not 0.
    """
    result = subprocess.run(
        [sys.executable, "-m", "flask", *COMMAND, *arguments],
        capture_output=True,
        encoding="utf-8",
    )
    if result.returncode:
        raise DemoError(
            f"`flask {' '.join((*COMMAND, *arguments))}` ended with exit code "
            f"{result.returncode}:\n{result.stderr}{result.stdout}"
        )
    return result


def expect(holds: bool, claim: str) -> None:
    """Say that a claim holds. Raises DemoError if it does not."""
    if not holds:
        raise DemoError(f"It does not hold that {claim}.")
    print(f"ok  {claim}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
