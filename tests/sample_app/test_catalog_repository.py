"""Users, types and locations: the same on both databases."""

from __future__ import annotations

import pytest

from sample_app.entities import Action, ItemType, Location, User
from sample_app.errors import ConflictError, InvalidInputError
from sample_app.repositories import Repositories


def test_a_user_comes_back_as_stored(stored: Repositories, ada: User) -> None:
    assert stored.catalog.users() == [ada]


def test_a_type_comes_back_as_stored(stored: Repositories, tool: ItemType) -> None:
    assert stored.catalog.types() == [tool]


def test_a_location_comes_back_as_stored(stored: Repositories, shelf: Location) -> None:
    assert stored.catalog.locations() == [shelf]


def test_lists_are_sorted_without_regard_to_case(stored: Repositories) -> None:
    for name in ("beta", "Gamma", "Alpha"):
        stored.catalog.add_type(ItemType(name))

    assert [kind.name for kind in stored.catalog.types()] == ["Alpha", "beta", "Gamma"]


def test_many_users_may_have_no_email(stored: Repositories) -> None:
    stored.catalog.add_user(User("Ada"))
    stored.catalog.add_user(User("Grace"))

    assert [user.email for user in stored.catalog.users()] == [None, None]


def test_an_email_belongs_to_one_user(stored: Repositories, ada: User) -> None:
    with pytest.raises(ConflictError) as caught:
        stored.catalog.add_user(User("Another", ada.email))

    assert caught.value.field == "email"


def test_a_type_name_is_taken_once(stored: Repositories, tool: ItemType) -> None:
    with pytest.raises(ConflictError) as caught:
        stored.catalog.add_type(ItemType(tool.name))

    assert caught.value.field == "name"


def test_a_place_is_taken_once(stored: Repositories, shelf: Location) -> None:
    with pytest.raises(ConflictError) as caught:
        stored.catalog.add_location(Location(shelf.floor, shelf.room, shelf.zone))

    assert caught.value.field == "floor, room, zone"


def test_an_addition_is_logged_with_who_made_it(
    stored: Repositories, ada: User
) -> None:
    stored.catalog.add_location(Location("1", "101"), by=ada.id)

    entry = stored.logs.find().entries[0]
    assert (entry.action, entry.user_id, entry.detail) == (
        Action.LOCATION_ADDED,
        ada.id,
        "1 / 101",
    )


def test_a_refused_addition_leaves_no_log_entry(
    stored: Repositories, tool: ItemType
) -> None:
    before = stored.logs.find()

    with pytest.raises(ConflictError):
        stored.catalog.add_type(ItemType(tool.name))

    assert stored.logs.find() == before


def test_an_unknown_actor_is_refused(stored: Repositories) -> None:
    with pytest.raises(InvalidInputError) as caught:
        stored.catalog.add_type(ItemType("Tool"), by="nobody")

    assert caught.value.field == "by"
    assert stored.catalog.types() == []
