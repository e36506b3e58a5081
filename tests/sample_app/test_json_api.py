"""The JSON API: the same answers from both databases."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sample_app.entities import Item, ItemType, Location, User

DEEP = ".a".join(["attributes", *[""] * 20])


def nested(levels: int) -> dict[str, Any]:
    """Return a JSON object of that many objects, one in the other."""
    return {"a": nested(levels - 1)} if levels > 1 else {}


def test_an_item_is_created_and_read_back(client: FlaskClient, tool: ItemType) -> None:
    body = {"name": " Drill ", "type_id": tool.id, "price": 99.5}

    created = client.post("/api/items", json=body)

    assert created.status_code == 201
    assert created.json is not None
    assert client.get(f"/api/items/{created.json['id']}").json == created.json
    assert created.json["name"] == "Drill"
    assert created.json["price"] == "99.50"
    assert created.json["status"] == "available"


def test_an_item_says_all_that_is_known_of_it(
    client: FlaskClient, hammer: Item
) -> None:
    answer = client.get(f"/api/items/{hammer.id}")

    assert answer.json == {
        "id": hammer.id,
        "name": "Hammer",
        "description": "",
        "type_id": hammer.type_id,
        "location_id": None,
        "status": "available",
        "price": None,
        "serial_number": "H-1",
        "attributes": {},
        "created_at": hammer.created_at.isoformat(timespec="milliseconds"),
        "updated_at": hammer.updated_at.isoformat(timespec="milliseconds"),
    }


def test_items_are_listed_by_type_with_paging(
    client: FlaskClient, hammer: Item, saw: Item
) -> None:
    address = f"/api/items?type_id={hammer.type_id}&limit=1&offset=1"

    answer = client.get(address).json

    assert answer is not None
    assert [item["name"] for item in answer.pop("items")] == ["Hammer"]
    assert answer == {"total": 2, "limit": 1, "offset": 1}


def test_items_are_found_by_words(client: FlaskClient, hammer: Item, saw: Item) -> None:
    assert names(client, "/api/items/search?q=HAM h-1") == ["Hammer"]


def test_an_item_is_updated(client: FlaskClient, hammer: Item) -> None:
    changes = {"status": "lost", "attributes": {"last seen": "yesterday"}}

    answer = client.patch(f"/api/items/{hammer.id}", json=changes)

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json.items() >= changes.items()
    assert client.get(f"/api/items/{hammer.id}").json == answer.json


def test_an_item_is_moved_by_somebody(
    client: FlaskClient, hammer: Item, shelf: Location, ada: User
) -> None:
    client.post(
        f"/api/items/{hammer.id}/move",
        json={"location_id": shelf.id},
        headers={"X-User-Id": ada.id},
    )

    assert names(client, f"/api/items?location_id={shelf.id}") == ["Hammer"]
    answer = client.get(f"/api/items/{hammer.id}/movements").json
    assert answer is not None
    (step,) = answer["movements"]
    assert (step["to_location_id"], step["user_id"]) == (shelf.id, ada.id)


def test_a_favorite_is_made_and_ended(
    client: FlaskClient, hammer: Item, ada: User
) -> None:
    link, liked = f"/api/items/{hammer.id}/favorites/{ada.id}", f"/api/users/{ada.id}"

    assert client.put(link).status_code == 204
    assert names(client, f"{liked}/favorites") == ["Hammer"]
    assert client.delete(link).status_code == 204
    assert names(client, f"{liked}/favorites") == []


def test_items_are_related_and_unrelated(
    client: FlaskClient, hammer: Item, saw: Item
) -> None:
    link = f"/api/items/{hammer.id}/related/{saw.id}"

    assert client.put(link).status_code == 204
    assert names(client, f"/api/items/{saw.id}/related") == ["Hammer"]
    assert client.delete(link).status_code == 204
    assert names(client, f"/api/items/{saw.id}/related") == []


def test_an_item_is_deleted(client: FlaskClient, hammer: Item) -> None:
    assert client.delete(f"/api/items/{hammer.id}").status_code == 204
    assert client.get(f"/api/items/{hammer.id}").status_code == 404


def test_every_change_of_an_item_is_logged(
    client: FlaskClient, hammer: Item, shelf: Location, ada: User
) -> None:
    address, who = f"/api/items/{hammer.id}", {"X-User-Id": ada.id}
    client.patch(address, json={"name": "Mallet"}, headers=who)
    client.post(f"{address}/move", json={"location_id": shelf.id}, headers=who)
    client.put(f"{address}/favorites/{ada.id}", headers=who)
    client.delete(address, headers=who)

    answer = client.get(f"/api/logs?item_id={hammer.id}").json

    assert answer is not None
    assert [(line["action"], line["user_id"]) for line in answer["logs"]] == [
        ("deleted", ada.id),
        ("favorited", ada.id),
        ("moved", ada.id),
        ("updated", ada.id),
        ("created", None),
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("users", {"name": "Grace", "email": "grace@example.org"}),
        ("types", {"name": "Toy"}),
        ("locations", {"floor": "1", "room": "101", "zone": "door"}),
    ],
    ids=["users", "types", "locations"],
)
def test_what_items_refer_to_is_created_and_listed(
    client: FlaskClient, kind: str, body: dict[str, str]
) -> None:
    created = client.post(f"/api/{kind}", json=body)

    assert created.status_code == 201
    assert created.json is not None
    assert created.json.items() >= body.items()
    assert client.get(f"/api/{kind}").json == {kind: [created.json]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/items/missing"),
        ("PATCH", "/api/items/missing"),
        ("DELETE", "/api/items/missing"),
        ("GET", "/api/items/missing/movements"),
        ("GET", "/api/items/missing/related"),
        ("PUT", "/api/items/missing/related/other"),
        ("PUT", "/api/items/missing/favorites/nobody"),
        ("GET", "/api/users/nobody/favorites"),
        ("GET", "/api/items/no%00id"),
        ("GET", "/api/nothing"),
    ],
)
def test_what_is_not_there_is_a_404_in_json(
    client: FlaskClient, method: str, path: str
) -> None:
    answer = client.open(path, method=method, json={"name": "X"})

    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["error"]


def test_a_taken_serial_number_is_a_409_naming_the_field(
    client: FlaskClient, hammer: Item
) -> None:
    body = {"name": "Copy", "type_id": hammer.type_id, "serial_number": "H-1"}

    answer = client.post("/api/items", json=body)

    assert answer.status_code == 409
    assert answer.json == {
        "error": "There is one with the same serial_number.",
        "field": "serial_number",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param([], "body", id="not an object"),
        pytest.param({"type_id": "x"}, "name", id="no name"),
        pytest.param({"name": " "}, "name", id="empty name"),
        pytest.param({"name": 7}, "name", id="not a text"),
        pytest.param({"name": "x" * 121}, "name", id="too long"),
        pytest.param({"name": "a\x00b"}, "name", id="NUL"),
        pytest.param({"name": "\ud800"}, "name", id="lone surrogate"),
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
        pytest.param({"id": "x"}, "id", id="an id of one's own"),
        pytest.param({"status": "gone"}, "status", id="unknown status"),
        pytest.param({"status": []}, "status", id="no status at all"),
        pytest.param({"price": -1}, "price", id="negative price"),
        pytest.param({"price": "1.005"}, "price", id="half a cent"),
        pytest.param({"price": "1e99"}, "price", id="price too high"),
        pytest.param({"price": "NaN"}, "price", id="price not a number"),
        pytest.param({"price": True}, "price", id="price of true"),
        pytest.param({"type_id": "nothing"}, "type_id", id="unknown type"),
        pytest.param({"location_id": "nothing"}, "location_id", id="unknown place"),
        pytest.param({"attributes": 1}, "attributes", id="attributes not an object"),
        pytest.param({"attributes": {"$a": 1}}, "attributes", id="operator as key"),
        pytest.param({"attributes": {"a.b": 1}}, "attributes", id="path as key"),
        pytest.param({"attributes": nested(21)}, DEEP, id="attributes too deep"),
        pytest.param({"attributes": {"a": 2**63}}, "attributes.a", id="over 64 bits"),
        pytest.param({"attributes": {"a": ["\x00"]}}, "attributes.a", id="NUL inside"),
    ],
)
def test_what_cannot_be_stored_is_a_400_naming_the_field(
    client: FlaskClient, tool: ItemType, body: Any, field: str
) -> None:
    whole = {"name": "Drill", "type_id": tool.id}
    if isinstance(body, dict):
        body = {**whole, **body} if field != "name" or "name" in body else body

    answer = client.post("/api/items", json=body)

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["field"] == field
    assert names(client, "/api/items") == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/items?limit=0", "limit"),
        ("/api/items?limit=many", "limit"),
        ("/api/items?offset=-1", "offset"),
        ("/api/items?status=gone", "status"),
        ("/api/items?type_id=%00", "type_id"),
        ("/api/items/search", "q"),
        ("/api/items/search?q=", "q"),
        ("/api/logs?item_id=%00", "item_id"),
    ],
)
def test_a_query_that_makes_no_sense_is_a_400_naming_the_field(
    client: FlaskClient, path: str, field: str
) -> None:
    answer = client.get(path)

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["field"] == field


def test_a_date_in_extended_json_is_not_read_as_one(
    client: FlaskClient, tool: ItemType
) -> None:
    body = {"name": {"$date": "2026-01-01T00:00:00Z"}, "type_id": tool.id}

    assert client.post("/api/items", json=body).status_code == 400


def test_a_body_that_is_not_json_is_a_400_in_json(client: FlaskClient) -> None:
    answer = client.post(
        "/api/items", data="{name", headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 400
    assert answer.json is not None


def test_attributes_may_be_twenty_levels_deep(
    client: FlaskClient, hammer: Item
) -> None:
    body = {"attributes": nested(20)}

    answer = client.patch(f"/api/items/{hammer.id}", json=body)

    assert answer.json is not None
    assert answer.json["attributes"] == nested(20)


def test_a_request_over_a_megabyte_is_a_413_in_json(client: FlaskClient) -> None:
    answer = client.post("/api/items", json={"name": "x" * 1_000_000})

    assert answer.status_code == 413
    assert answer.json is not None


def test_an_unknown_actor_is_a_400(app: Flask, client: FlaskClient) -> None:
    answer = client.post(
        "/api/types", json={"name": "Tool"}, headers={"X-User-Id": "nobody"}
    )

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["field"] == "by"


def names(client: FlaskClient, address: str) -> list[str]:
    """Return the names of the items that an address lists."""
    answer = client.get(address).json
    assert answer is not None
    return [item["name"] for item in answer["items"]]
