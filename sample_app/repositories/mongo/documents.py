"""Entities as documents, and back: `_id`, decimals, times, and renamed fields."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any, TypeVar

from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128

from ...entities import Item, Log, Status, values_of

Document = dict[str, Any]
Entity = TypeVar("Entity")


class DecimalCodec(TypeCodec):
    """Python's Decimal as BSON's Decimal128, both ways."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


CODEC_OPTIONS: CodecOptions[Document] = CodecOptions(
    document_class=dict,
    tz_aware=True,
    tzinfo=UTC,
    type_registry=TypeRegistry([DecimalCodec()]),
)


def to_document(entity: Any) -> Document:
    """Make a document of an entity. A null is stored: rows and documents look alike."""
    document = {key: plain(value) for key, value in values_of(entity).items()}
    document["_id"] = document.pop("id")
    if isinstance(entity, Log):
        document["created_at"] = document.pop("timestamp")
    if isinstance(entity, Item):
        document["search_text"] = entity.search_text
    return document


def to_entity(kind: type[Entity], document: Mapping[str, Any]) -> Entity:
    """Make an entity of a document; what it has no field for is left out."""
    values = {**document, "id": document["_id"]}
    if kind is Log:
        values["timestamp"] = values["created_at"]
    if kind is Item:
        values["status"] = Status(values["status"])
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names})


def plain(value: Any) -> Any:
    """Return what BSON holds for a value: an enum's member is its text."""
    return value.value if isinstance(value, enum.Enum) else value
