"""Favorites and related items: the same on both databases."""

from __future__ import annotations

import pytest

from sample_app.entities import Action, Item, User
from sample_app.errors import InvalidInputError, NotFoundError
from sample_app.repositories import Repositories


def test_a_favorite_is_listed_for_its_user_only(
    stored: Repositories, hammer: Item, ada: User
) -> None:
    grace = User("Grace")
    stored.catalog.add_user(grace)
    stored.links.favorite(hammer.id, ada.id)

    assert stored.links.favorites(ada.id) == [hammer]
    assert stored.links.favorites(grace.id) == []


def test_favorites_are_listed_newest_item_first(
    stored: Repositories, hammer: Item, saw: Item, ada: User
) -> None:
    stored.links.favorite(saw.id, ada.id)
    stored.links.favorite(hammer.id, ada.id)

    assert stored.links.favorites(ada.id) == [saw, hammer]


def test_a_favorite_is_made_and_logged_once(
    stored: Repositories, hammer: Item, ada: User
) -> None:
    made = [stored.links.favorite(hammer.id, ada.id) for _ in range(2)]

    assert made == [True, False]
    assert actions(stored, hammer) == [Action.FAVORITED, Action.CREATED]


def test_a_favorite_is_ended_and_logged_once(
    stored: Repositories, hammer: Item, ada: User
) -> None:
    stored.links.favorite(hammer.id, ada.id)

    ended = [stored.links.unfavorite(hammer.id, ada.id) for _ in range(2)]

    assert ended == [True, False]
    assert stored.links.favorites(ada.id) == []
    assert actions(stored, hammer)[:2] == [Action.UNFAVORITED, Action.FAVORITED]


def test_a_favorite_needs_an_item_and_a_user(
    stored: Repositories, hammer: Item, ada: User
) -> None:
    with pytest.raises(NotFoundError, match="item 'missing'"):
        stored.links.favorite("missing", ada.id)
    with pytest.raises(NotFoundError, match="user 'missing'"):
        stored.links.favorite(hammer.id, "missing")


def test_related_items_are_related_both_ways(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    stored.links.relate(saw.id, hammer.id)

    assert stored.links.related(hammer.id) == [saw]
    assert stored.links.related(saw.id) == [hammer]


def test_items_are_related_once_whichever_way_round(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    assert stored.links.relate(saw.id, hammer.id)
    assert not stored.links.relate(hammer.id, saw.id)


def test_a_relation_is_ended_whichever_way_round(
    stored: Repositories, hammer: Item, saw: Item
) -> None:
    stored.links.relate(saw.id, hammer.id)

    assert stored.links.unrelate(hammer.id, saw.id)
    assert not stored.links.unrelate(saw.id, hammer.id)
    assert stored.links.related(saw.id) == []


def test_an_item_is_not_related_to_itself(stored: Repositories, hammer: Item) -> None:
    with pytest.raises(InvalidInputError):
        stored.links.relate(hammer.id, hammer.id)


def test_a_relation_needs_both_items(stored: Repositories, hammer: Item) -> None:
    with pytest.raises(NotFoundError):
        stored.links.relate(hammer.id, "missing")
    with pytest.raises(NotFoundError):
        stored.links.relate("missing", hammer.id)


def actions(stored: Repositories, item: Item) -> list[str]:
    """Return what was done to an item, the last first."""
    return [entry.action for entry in stored.logs.find(item.id).entries]
