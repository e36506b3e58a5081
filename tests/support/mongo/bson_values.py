"""Random documents of all BSON types, those included that PyMongo would change."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random

from bson.raw_bson import RawBSONDocument

from flask_dualmigrate.mongo.expressions.raw_bson import Element, as_document

DOCUMENT, ARRAY = 0x03, 0x04
NAMES = (
    "a",
    "b",
    "c",
    "$d",
    "$e.f",
    "g.h",
    "",
    "é",
    "put_back",
    "value",
    "at",
    "k" * 90,
)


def text(content: bytes) -> bytes:
    return struct.pack("<i", len(content) + 1) + content + b"\x00"


def binary(kind: int, content: bytes) -> bytes:
    return struct.pack("<i", len(content)) + bytes([kind]) + content


def nested(levels: int) -> bytes:
    whole = as_document(Element(0x10, b"end", struct.pack("<i", 1)).bytes)
    for _ in range(levels):
        whole = as_document(Element(DOCUMENT, b"n", whole).bytes)
    return whole


_SCOPED = text(b"f") + as_document()
VALUES: dict[str, tuple[int, bytes]] = {
    "double": (0x01, struct.pack("<d", 1.5)),
    "minus zero": (0x01, struct.pack("<d", -0.0)),
    "nan": (0x01, struct.pack("<d", float("nan"))),
    "nan with a payload": (0x01, struct.pack("<Q", 0x7FF0000000000001)),
    "text": (0x02, text("ä 12.5 \x1b[31m".encode())),
    "text with a zero": (0x02, text(b"a\x00b")),
    "text that is not UTF-8": (0x02, text(b"caf\xe9")),
    "document": (DOCUMENT, as_document(Element(0x11, b"$t", bytes(8)).bytes)),
    "100 levels": (DOCUMENT, nested(98)),
    "array": (ARRAY, as_document(Element(0x0E, b"0", text(b"s")).bytes)),
    "binary": (0x05, binary(0x80, b"abc")),
    "old binary": (0x05, binary(2, struct.pack("<i", 3) + b"abc")),
    "old uuid": (0x05, binary(3, bytes(range(16)))),
    "undefined": (0x06, b""),
    "object id": (0x07, bytes(12)),
    "bool": (0x08, b"\x01"),
    "date": (0x09, struct.pack("<q", 1_700_000_000_123)),
    "date after the year 9999": (0x09, struct.pack("<q", 2**62)),
    "date before the year 1": (0x09, struct.pack("<q", -(2**62))),
    "null": (0x0A, b""),
    "regex": (0x0B, b"a.*\x00xi\x00"),
    "regex with odd options": (0x0B, b"(\x00gz\x00"),
    "dbpointer": (0x0C, text(b"db.c") + bytes(12)),
    "code": (0x0D, text(b"f()")),
    "symbol": (0x0E, text(b"sym")),
    "code with scope": (0x0F, struct.pack("<i", 4 + len(_SCOPED)) + _SCOPED),
    "int": (0x10, struct.pack("<i", 7)),
    "timestamp": (0x11, struct.pack("<Q", 5)),
    "empty timestamp": (0x11, bytes(8)),
    "long": (0x12, struct.pack("<q", 2**53 + 1)),
    "decimal": (0x13, struct.pack("<QQ", 1250, 0x303C000000000000)),
    "odd decimal": (0x13, struct.pack("<QQ", 2**64 - 1, 0x6C11FFFFFFFFFFFF)),
    "min key": (0xFF, b""),
    "max key": (0x7F, b""),
}
ODD_IDS = (
    *("min key", "max key", "code", "nan", "null", "empty timestamp", "date"),
    *("minus zero", "old binary", "decimal", "bool", "date after the year 9999"),
)


def field(name: str, value: str) -> bytes:
    """Return a field with one of VALUES."""
    kind, content = VALUES[value]
    return Element(kind, name.encode(), content).bytes


def raw(*fields: bytes) -> RawBSONDocument:
    return RawBSONDocument(as_document(*fields))


def number(name: str, value: int) -> bytes:
    return Element(0x10, name.encode(), struct.pack("<i", value)).bytes


class Documents:
    """Makes random documents; of one seed always the same.

    fields: names that most of the documents have. readable: all text is UTF-8.
    """

    def __init__(
        self, random: Random, fields: Sequence[str], *, readable: bool = False
    ) -> None:
        self._random = random
        self._fields = fields
        self._values = [each for each in VALUES if not readable or "UTF-8" not in each]

    def some(self, count: int) -> list[RawBSONDocument]:
        ids = [number("_id", each) for each in range(1, count + 1)]
        odd = [field("_id", each) for each in ODD_IDS if self._random.random() < 0.3]
        return [raw(_id, *self._body()) for _id in [*ids, *odd]]

    def _body(self) -> list[bytes]:
        names = [name for name in NAMES if self._random.random() < 0.2]
        names += [name for name in self._fields if self._random.random() < 0.7]
        names = list(dict.fromkeys(names))
        self._random.shuffle(names)
        return [self._value(name.encode(), depth=0) for name in names]

    def _value(self, name: bytes, *, depth: int) -> bytes:
        if depth < 3 and self._random.random() < 0.25:
            is_array = self._random.random() < 0.5
            size = self._random.randrange(4)
            names = [str(n) if is_array else f"f{n}" for n in range(size)]
            inner = [self._value(each.encode(), depth=depth + 1) for each in names]
            kind = ARRAY if is_array else DOCUMENT
            return Element(kind, name, as_document(*inner)).bytes
        kinds = [each for each in self._values if depth == 0 or each != "100 levels"]
        kind, content = VALUES[self._random.choice(kinds)]
        return Element(kind, name, content).bytes
