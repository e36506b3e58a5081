"""Items: the same on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from sample_app.entities import (
    Action,
    Item,
    ItemChanges,
    ItemType,
    Location,
    Slice,
    Status,
    User,
)
from sample_app.errors import ConflictError, InvalidInputError, NotFoundError
from sample_app.repositories import ItemFilter, Repositories


def test_an_item_comes_back_as_stored(
    stored: Repositories, tool: ItemType, shelf: Location
) -> None:
    item = Item(
        "Oscilloscope ÄÖ ☃",
        tool.id,
        description="two channels",
        location_id=shelf.id,
        status=Status.IN_USE,
        price=Decimal("1234.50"),
        serial_number="TDS-210",
        attributes={"channels": 2, "probes": ["x1", "x10"], "lent": None, "ok": True},
    )
    stored.items.add(item)

    assert stored.items.get(item.id) == item


def test_a_price_keeps_its_two_decimal_places(
    stored: Repositories, tool: ItemType
) -> None:
    item = Item("Saw", tool.id, price=Decimal("10.00"))
    stored.items.add(item)

    assert str(stored.items.get(item.id).price) == "10.00"


def test_times_come_back_in_utc(stored: Repositories, hammer: Item) -> None:
    assert stored.items.get(hammer.id).created_at.tzinfo is UTC


def test_a_missing_item_is_not_found(stored: Repositories) -> None:
    with pytest.raises(NotFoundError) as caught:
        stored.items.get("missing")

    assert (caught.value.kind, caught.value.id) == ("item", "missing")


@pytest.mark.parametrize("field", ["type_id", "location_id"])
def test_an_item_cannot_refer_to_nothing(
    stored: Repositories, tool: ItemType, field: str
) -> None:
    values: dict[str, Any] = {"type_id": tool.id, field: "nothing"}

    with pytest.raises(InvalidInputError) as caught:
        stored.items.add(Item("Lost", **values))

    assert caught.value.field == field
    assert stored.items.find().total == 0


def test_many_items_may_have_no_serial_number(
    stored: Repositories, tool: ItemType
) -> None:
    stored.items.add(Item("One", tool.id))
    stored.items.add(Item("Two", tool.id))

    assert stored.items.find().total == 2


def test_a_serial_number_belongs_to_one_item(
    stored: Repositories, hammer: Item
) -> None:
    with pytest.raises(ConflictError) as caught:
        stored.items.add(Item("Copy", hammer.type_id, serial_number="H-1"))

    assert caught.value.field == "serial_number"


def test_the_newest_item_is_listed_first(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    assert stored.items.find().entries == [saw, hammer]


def test_a_page_is_a_part_of_the_list_and_knows_the_whole(
    stored: Repositories, tool: ItemType
) -> None:
    items = [Item(f"Item {n}", tool.id) for n in range(5)]
    for item in items:
        stored.items.add(item)

    page = stored.items.find(part=Slice(limit=2, offset=1))

    assert [item.name for item in page.entries] == ["Item 3", "Item 2"]
    assert page.total == 5


def test_items_are_filtered_by_type(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    toy = ItemType("Toy")
    stored.catalog.add_type(toy)
    ball = Item("Ball", toy.id)
    stored.items.add(ball)

    assert stored.items.find(ItemFilter(type_id=toy.id)).entries == [ball]


def test_items_are_filtered_by_location(
    stored: Repositories, hammer: Item, saw: Item, shelf: Location
) -> None:
    moved = stored.items.move(saw.id, shelf.id)

    assert stored.items.find(ItemFilter(location_id=shelf.id)).entries == [moved]


def test_items_are_filtered_by_status(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    lost = stored.items.update(saw.id, {"status": Status.LOST})

    assert stored.items.find(ItemFilter(status=Status.LOST)).entries == [lost]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("HÄMMER", True, id="another case, not ASCII"),
        pytest.param("heavy hämmer", True, id="words in any order"),
        pytest.param("mer", True, id="a part of a word"),
        pytest.param("x-1", True, id="serial number"),
        pytest.param("hämmer light", False, id="one word is missing"),
        pytest.param("h.mmer", False, id="no regular expression"),
        pytest.param("h%r", False, id="no LIKE pattern"),
        pytest.param("100%_(", True, id="special characters"),
    ],
)
def test_a_search_finds_all_words(
    stored: Repositories, tool: ItemType, text: str, found: bool
) -> None:
    item = Item("Hämmer", tool.id, description="heavy, 100%_(", serial_number="X-1")
    stored.items.add(item)

    assert stored.items.find(ItemFilter(text=text)).entries == [item] * found


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Mallet"},
        {"description": "wooden"},
        {"status": Status.RETIRED},
        {"price": Decimal("9.90")},
        {"serial_number": None},
        {"attributes": {"weight": 1.5}},
        {"name": "Mallet", "price": None},
    ],
    ids=lambda changes: " and ".join(changes),
)
def test_an_update_changes_only_what_it_names(
    stored: Repositories, hammer: Item, changes: ItemChanges
) -> None:
    updated = stored.items.update(hammer.id, changes)

    assert stored.items.get(hammer.id) == updated
    assert updated == replace(hammer, **changes, updated_at=updated.updated_at)


def test_an_updated_item_is_found_by_its_new_name_only(
    stored: Repositories, hammer: Item
) -> None:
    stored.items.update(hammer.id, {"name": "Mallet"})

    assert stored.items.find(ItemFilter(text="mallet")).total == 1
    assert stored.items.find(ItemFilter(text="hammer")).total == 0


def test_an_update_cannot_take_another_items_serial_number(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    with pytest.raises(ConflictError) as caught:
        stored.items.update(saw.id, {"serial_number": hammer.serial_number})

    assert caught.value.field == "serial_number"
    assert stored.items.get(saw.id) == saw


def test_a_move_is_kept_as_a_step_of_the_items_way(
    stored: Repositories, hammer: Item, shelf: Location, ada: User
) -> None:
    cellar = Location("-1", "C", "")
    stored.catalog.add_location(cellar)
    stored.items.move(hammer.id, shelf.id)
    stored.items.move(hammer.id, cellar.id, by=ada.id)

    steps = stored.items.movements(hammer.id)
    assert [(s.from_location_id, s.to_location_id, s.user_id) for s in steps] == [
        (shelf.id, cellar.id, ada.id),
        (None, shelf.id, None),
    ]


def test_a_move_to_where_the_item_is_changes_nothing(
    stored: Repositories, hammer: Item, shelf: Location
) -> None:
    moved = stored.items.move(hammer.id, shelf.id)

    with pytest.raises(ConflictError):
        stored.items.move(hammer.id, shelf.id)

    assert stored.items.get(hammer.id) == moved
    assert len(stored.items.movements(hammer.id)) == 1


def test_an_item_cannot_move_to_nowhere(stored: Repositories, hammer: Item) -> None:
    with pytest.raises(InvalidInputError) as caught:
        stored.items.move(hammer.id, "nowhere")

    assert caught.value.field == "location_id"


def test_a_deleted_item_takes_its_links_and_movements_along(
    stored: Repositories, hammer: Item, saw: Item, shelf: Location, ada: User
) -> None:
    stored.items.move(hammer.id, shelf.id)
    stored.links.favorite(hammer.id, ada.id)
    stored.links.relate(hammer.id, saw.id)
    stored.items.delete(hammer.id)

    assert stored.items.find().entries == [saw]
    assert stored.links.favorites(ada.id) == []
    assert stored.links.related(saw.id) == []
    with pytest.raises(NotFoundError):
        stored.items.movements(hammer.id)


def test_the_log_of_an_item_outlives_it(
    stored: Repositories, hammer: Item, shelf: Location
) -> None:
    stored.items.update(hammer.id, {"name": "Mallet", "status": Status.LOST})
    stored.items.move(hammer.id, shelf.id)
    stored.items.delete(hammer.id)

    log = stored.logs.find(hammer.id)
    assert [(entry.action, entry.detail) for entry in log.entries] == [
        (Action.DELETED, "Mallet"),
        (Action.MOVED, shelf.id),
        (Action.UPDATED, "name, status"),
        (Action.CREATED, "Hammer"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items.update("missing", {"name": "X"}),
        lambda items: items.move("missing", "nowhere"),
        lambda items: items.delete("missing"),
        lambda items: items.movements("missing"),
    ],
    ids=["update", "move", "delete", "movements"],
)
def test_nothing_is_done_to_an_item_that_is_not_there(
    stored: Repositories, change: Callable[[Any], None]
) -> None:
    with pytest.raises(NotFoundError):
        change(stored.items)

    assert stored.logs.find().total == 0


def test_a_change_and_its_log_entry_are_stored_together_or_not_at_all(
    stored: Repositories, hammer: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError("the log is full")

    monkeypatch.setattr(f"{type(stored.items).__module__}.Store.log", fail)

    with pytest.raises(OSError, match="the log is full"):
        stored.items.update(hammer.id, {"name": "Mallet"})

    assert stored.items.get(hammer.id) == hammer


def test_of_two_moves_at_once_each_starts_where_the_other_ended(
    app: Flask, stored: Repositories, hammer: Item
) -> None:
    places = [Location("1", str(room)) for room in range(4)]
    for place in places:
        stored.catalog.add_location(place)

    def move(place: Location) -> None:
        with app.app_context():
            stored.items.move(hammer.id, place.id)

    threads = [threading.Thread(target=move, args=[place]) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    steps = stored.items.movements(hammer.id)
    way = {step.from_location_id: step.to_location_id for step in steps}
    assert set(way.values()) == {place.id for place in places}
    assert set(way) == {None, *way.values()} - {stored.items.get(hammer.id).location_id}
