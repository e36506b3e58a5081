"""The JSON API. A header `X-User-Id` says who makes a change; without it, nobody does.

GET POST    /api/users, /api/types, /api/locations
GET POST    /api/items          filtered by type_id, location_id, status; limit, offset
GET         /api/items/search   ?q=words
GET PATCH DELETE                /api/items/<item>
POST        /api/items/<item>/move               {"location_id": …}
GET         /api/items/<item>/movements, /api/items/<item>/related
PUT DELETE  /api/items/<item>/favorites/<user>, /api/items/<item>/related/<item>
GET         /api/users/<user>/favorites
GET         /api/logs           of one item with item_id; limit, offset

An error is a body {"error": what, "field": where} with status 400, 404 or 409.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from . import payloads
from .entities import Page, Slice, values_of
from .errors import SampleAppError
from .repositories import Repositories

api = Blueprint("api", __name__, url_prefix="/api")


class IdConverter(BaseConverter):
    """An id in an address; anything else is not found before a database is asked."""

    regex = "[0-9A-Za-z_-]{1,32}"


def init_app(app: Flask, repositories: Repositories) -> None:
    """Serve the API from an app, on these repositories."""
    app.extensions["sample_app"] = repositories
    app.url_map.converters["id"] = IdConverter
    app.register_blueprint(api)
    app.register_error_handler(SampleAppError, refuse)
    app.register_error_handler(HTTPException, refuse_http)


def stored() -> Repositories:
    """Return the running app's repositories."""
    return cast(Repositories, current_app.extensions["sample_app"])


def by() -> str | None:
    """Return the id of the user who asks for a change."""
    user_id = request.headers.get("X-User-Id")
    return None if user_id is None else payloads.text("by", user_id, longest=32)


@api.get("/users")
def list_users() -> ResponseReturnValue:
    return {"users": as_json(stored().catalog.users())}


@api.post("/users")
def add_user() -> ResponseReturnValue:
    user = payloads.user(request.get_json())
    stored().catalog.add_user(user, by=by())
    return as_json(user), 201


@api.get("/users/<id:user_id>/favorites")
def list_favorites(user_id: str) -> ResponseReturnValue:
    return {"items": as_json(stored().links.favorites(user_id))}


@api.get("/types")
def list_types() -> ResponseReturnValue:
    return {"types": as_json(stored().catalog.types())}


@api.post("/types")
def add_type() -> ResponseReturnValue:
    item_type = payloads.item_type(request.get_json())
    stored().catalog.add_type(item_type, by=by())
    return as_json(item_type), 201


@api.get("/locations")
def list_locations() -> ResponseReturnValue:
    return {"locations": as_json(stored().catalog.locations())}


@api.post("/locations")
def add_location() -> ResponseReturnValue:
    location = payloads.location(request.get_json())
    stored().catalog.add_location(location, by=by())
    return as_json(location), 201


@api.get("/items")
def list_items() -> ResponseReturnValue:
    part = payloads.part(request.args)
    found = stored().items.find(payloads.item_filter(request.args), part)
    return page_as_json("items", found, part)


@api.get("/items/search")
def search_items() -> ResponseReturnValue:
    part = payloads.part(request.args)
    found = stored().items.find(payloads.search(request.args), part)
    return page_as_json("items", found, part)


@api.post("/items")
def add_item() -> ResponseReturnValue:
    item = payloads.item(request.get_json())
    stored().items.add(item, by=by())
    return as_json(item), 201


@api.get("/items/<id:item_id>")
def get_item(item_id: str) -> ResponseReturnValue:
    return cast(dict[str, Any], as_json(stored().items.get(item_id)))


@api.patch("/items/<id:item_id>")
def update_item(item_id: str) -> ResponseReturnValue:
    changes = payloads.item_changes(request.get_json())
    item = stored().items.update(item_id, changes, by=by())
    return cast(dict[str, Any], as_json(item))


@api.delete("/items/<id:item_id>")
def delete_item(item_id: str) -> ResponseReturnValue:
    stored().items.delete(item_id, by=by())
    return "", 204


@api.post("/items/<id:item_id>/move")
def move_item(item_id: str) -> ResponseReturnValue:
    location_id = payloads.move(request.get_json())
    item = stored().items.move(item_id, location_id, by=by())
    return cast(dict[str, Any], as_json(item))


@api.get("/items/<id:item_id>/movements")
def list_movements(item_id: str) -> ResponseReturnValue:
    return {"movements": as_json(stored().items.movements(item_id))}


@api.put("/items/<id:item_id>/favorites/<id:user_id>")
def favorite_item(item_id: str, user_id: str) -> ResponseReturnValue:
    stored().links.favorite(item_id, user_id, by=by())
    return "", 204


@api.delete("/items/<id:item_id>/favorites/<id:user_id>")
def unfavorite_item(item_id: str, user_id: str) -> ResponseReturnValue:
    stored().links.unfavorite(item_id, user_id, by=by())
    return "", 204


@api.get("/items/<id:item_id>/related")
def list_related(item_id: str) -> ResponseReturnValue:
    return {"items": as_json(stored().links.related(item_id))}


@api.put("/items/<id:item_id>/related/<id:other_id>")
def relate_items(item_id: str, other_id: str) -> ResponseReturnValue:
    stored().links.relate(item_id, other_id, by=by())
    return "", 204


@api.delete("/items/<id:item_id>/related/<id:other_id>")
def unrelate_items(item_id: str, other_id: str) -> ResponseReturnValue:
    stored().links.unrelate(item_id, other_id, by=by())
    return "", 204


@api.get("/logs")
def list_logs() -> ResponseReturnValue:
    part = payloads.part(request.args)
    item_id = request.args.get("item_id")
    if item_id is not None:
        item_id = payloads.text("item_id", item_id, longest=32)
    return page_as_json("logs", stored().logs.find(item_id, part), part)


def refuse(error: SampleAppError) -> ResponseReturnValue:
    """Answer with what one of the app's own errors says."""
    return error.as_json(), error.status


def refuse_http(error: HTTPException) -> ResponseReturnValue:
    """Answer with what Flask found wrong: no such address, not JSON, and the like."""
    return {"error": error.description or error.name}, error.code or 500


def page_as_json(name: str, page: Page[Any], part: Slice) -> dict[str, Any]:
    """Return a part of a list, and what it is a part of."""
    return {
        name: as_json(page.entries),
        "total": page.total,
        "limit": part.limit,
        "offset": part.offset,
    }


def as_json(value: Any) -> Any:
    """Return JSON for an entity or a list: times in ISO 8601, decimals as texts."""
    if isinstance(value, list):
        return [as_json(entry) for entry in value]
    return {name: scalar_as_json(inner) for name, inner in values_of(value).items()}


def scalar_as_json(value: Any) -> Any:
    """Return JSON for one field of an entity."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return str(value) if isinstance(value, Decimal) else value
