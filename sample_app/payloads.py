"""What a request says, read into values; the first thing wrong is an InvalidInputError.

Nothing gets through that one of the two databases could not store: NUL characters and
lone surrogates, whole numbers over 64 bits, NaN, keys that look like operators.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, cast

from .entities import Item, ItemChanges, ItemType, Location, Slice, Status, User
from .errors import InvalidInputError
from .repositories import ItemFilter

Reader = Callable[[str, Any], Any]

MAX_DEPTH = 20  # levels; BSON takes about 100
MAX_LIMIT = 200
MAX_OFFSET = 1_000_000
MAX_PRICE = Decimal("9999999999.99")  # Numeric(12, 2)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read(
    body: Any, readers: Mapping[str, Reader], *, required: Iterable[str] = ()
) -> dict[str, Any]:
    """Read a JSON object with a reader for each field that it may have."""
    if not isinstance(body, dict):
        raise InvalidInputError("body", "must be a JSON object")
    for name in required:
        if name not in body:
            raise InvalidInputError(name, "is missing")
    for name in body:
        if name not in readers:
            raise InvalidInputError(name, "is not a field that can be given here")
    return {name: readers[name](name, value) for name, value in body.items()}


def text(field: str, value: Any, *, longest: int, empty: bool = False) -> str:
    """Read a text of at most `longest` characters, blanks around it cut off."""
    if not isinstance(value, str):
        raise InvalidInputError(field, "must be a text")
    words = value.strip()
    if not words and not empty:
        raise InvalidInputError(field, "must not be empty")
    if len(words) > longest:
        raise InvalidInputError(field, f"must not be over {longest} characters long")
    if UNSTORABLE.search(words):
        raise InvalidInputError(field, "has a character that cannot be stored")
    return words


def optional(reader: Reader) -> Reader:
    """Make a reader that takes null as well."""
    return lambda field, value: None if value is None else reader(field, value)


def status(field: str, value: Any) -> Status:
    """Read one of the words for an item's status."""
    if value not in list(Status):
        raise InvalidInputError(field, f"must be one of: {', '.join(Status)}")
    return Status(value)


def price(field: str, value: Any) -> Decimal:
    """Read an amount with at most two decimal places, as a number or a text."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise InvalidInputError(field, "must be a number") from error
    if isinstance(value, bool) or not amount.is_finite():
        raise InvalidInputError(field, "must be a number")
    if not 0 <= amount <= MAX_PRICE:
        raise InvalidInputError(field, f"must be between 0 and {MAX_PRICE}")
    cents = amount.quantize(Decimal("0.01"))
    if cents != amount:
        raise InvalidInputError(field, "must not have over two decimal places")
    return abs(cents)  # "-0" is 0


def attributes(field: str, value: Any) -> dict[str, Any]:
    """Read a JSON object that both JSONB and BSON hold without a loss."""
    if not isinstance(value, dict):
        raise InvalidInputError(field, "must be a JSON object")
    check_storable(field, value)
    return value


def check_storable(field: str, value: Any, *, depth: int = MAX_DEPTH) -> None:
    """Raise InvalidInputError if a JSON value does not fit into both databases."""
    if isinstance(value, (dict, list)) and not depth:
        raise InvalidInputError(field, f"must not be over {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key or key.startswith("$") or "." in key or UNSTORABLE.search(key):
                raise InvalidInputError(field, f"cannot have a key {key!r}")
            check_storable(f"{field}.{key}", inner, depth=depth - 1)
    elif isinstance(value, list):
        for inner in value:
            check_storable(field, inner, depth=depth - 1)
    elif isinstance(value, str) and UNSTORABLE.search(value):
        raise InvalidInputError(field, "has a character that cannot be stored")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInputError(field, "must not be over 64 bits long")
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInputError(field, "must be a finite number")


def number(
    field: str, value: str | None, default: int, *, least: int, most: int
) -> int:
    """Read a whole number from an address's query."""
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
        raise InvalidInputError(field, f"must be between {least} and {most}")
    return int(value)


identity: Reader = partial(text, longest=32)

UPDATE_READERS: dict[str, Reader] = {
    "name": partial(text, longest=120),
    "type_id": identity,
    "description": partial(text, longest=10_000, empty=True),
    "status": status,
    "price": optional(price),
    "serial_number": optional(partial(text, longest=64)),
    "attributes": attributes,
}
ITEM_READERS = {**UPDATE_READERS, "location_id": optional(identity)}
FILTER_READERS: dict[str, Reader] = {
    "type_id": identity,
    "location_id": identity,
    "status": status,
}


def item(body: Any) -> Item:
    """Read a new item."""
    return Item(**read(body, ITEM_READERS, required=("name", "type_id")))


def item_changes(body: Any) -> ItemChanges:
    """Read what an update changes: at least one field."""
    changes = read(body, UPDATE_READERS)
    if not changes:
        raise InvalidInputError("body", "must have a field to change")
    return cast(ItemChanges, changes)


def move(body: Any) -> str:
    """Read where an item goes: the id of a location."""
    readers = {"location_id": identity}
    return cast(str, read(body, readers, required=readers)["location_id"])


def user(body: Any) -> User:
    """Read a new user."""
    readers: dict[str, Reader] = {
        "name": partial(text, longest=80),
        "email": optional(partial(text, longest=254)),
    }
    return User(**read(body, readers, required=("name",)))


def item_type(body: Any) -> ItemType:
    """Read a new item type."""
    readers: dict[str, Reader] = {"name": partial(text, longest=80)}
    return ItemType(**read(body, readers, required=readers))


def location(body: Any) -> Location:
    """Read a new location."""
    readers: dict[str, Reader] = {
        "floor": partial(text, longest=20),
        "room": partial(text, longest=40),
        "zone": partial(text, longest=40, empty=True),
    }
    return Location(**read(body, readers, required=("floor", "room")))


def item_filter(args: Mapping[str, str]) -> ItemFilter:
    """Read which items are asked for."""
    given = {name: args[name] for name in FILTER_READERS if name in args}
    return ItemFilter(**read(given, FILTER_READERS))


def search(args: Mapping[str, str]) -> ItemFilter:
    """Read what is searched for: the words in `q`."""
    return ItemFilter(text=text("q", args.get("q"), longest=200))


def part(args: Mapping[str, str]) -> Slice:
    """Read which part of a list is asked for: `limit` and `offset`."""
    return Slice(
        limit=number("limit", args.get("limit"), 50, least=1, most=MAX_LIMIT),
        offset=number("offset", args.get("offset"), 0, least=0, most=MAX_OFFSET),
    )
