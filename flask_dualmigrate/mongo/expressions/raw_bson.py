"""Taking raw BSON apart and putting it together without decoding it.

Some values do not survive PyMongo: Symbol, Undefined and DBPointer become other types,
the options of a regular expression are sorted, text that is not UTF-8 is an error, and
a name that a document contains twice keeps only one value.
Source: bsonspec.org.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

SYMBOL = 0x0E
_DOCUMENT, _ARRAY, _STRING = 0x03, 0x04, 0x02
_REGEX, _TIMESTAMP = 0x0B, 0x11
_FIXED = {
    0x01: 8,
    0x06: 0,
    0x07: 12,
    0x08: 1,
    0x09: 8,
    0x0A: 0,
    0x10: 4,
    0x11: 8,
    0x12: 8,
    0x13: 16,
    0x7F: 0,
    0xFF: 0,
}
"""Sizes in bytes of the types with a fixed size."""

_BESIDE_LENGTH = {
    0x02: 4,
    0x03: 0,
    0x04: 0,
    0x05: 5,
    0x0C: 16,
    0x0D: 4,
    0x0E: 4,
    0x0F: 0,
}
"""Bytes of a length-prefixed value that its length does not include."""

_LOSSLESS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


class Element(NamedTuple):
    """A field as it is stored: its type, its name, its value."""

    kind: int
    name: bytes
    value: bytes

    @property
    def bytes(self) -> bytes:
        return b"%c%b\x00%b" % (self.kind, self.name, self.value)

    def named(self, name: str) -> Element:
        return self._replace(name=name.encode())


def elements(document: bytes) -> Iterator[Element]:
    """Yield the fields of a document, or of an array, as "0", "1" and so on."""
    at, end = 4, len(document) - 1
    while at < end:
        kind, name_end = document[at], document.index(0, at + 1)
        value_end = _end_of(document, kind, name_end + 1)
        yield Element(
            kind, document[at + 1 : name_end], document[name_end + 1 : value_end]
        )
        at = value_end


def _end_of(document: bytes, kind: int, at: int) -> int:
    if kind in _FIXED:
        return at + _FIXED[kind]
    if kind == _REGEX:
        return document.index(0, document.index(0, at) + 1) + 1
    (size,) = struct.unpack_from("<i", document, at)
    return int(at + size + _BESIDE_LENGTH[kind])


def as_document(*fields: bytes) -> bytes:
    """Return the document made of these fields."""
    body = b"".join(fields)
    return (len(body) + 5).to_bytes(4, "little") + body + b"\x00"


def as_array(items: Iterable[Element]) -> bytes:
    """Return an array of values, whatever their names."""
    return as_document(
        *(item.named(str(number)).bytes for number, item in enumerate(items))
    )


def field_of(document: RawBSONDocument, name: str) -> Element | None:
    """Return a field of a document, or None if it has none of that name."""
    wanted = name.encode()
    for element in elements(bytes(document.raw)):
        if element.name == wanted:
            return element
    return None


def there_in(document: RawBSONDocument, name: str) -> Element:
    """Return a field that the document is known to have."""
    found = field_of(document, name)
    assert found is not None
    return found


def id_of(document: RawBSONDocument) -> Element:
    found = field_of(document, "_id")
    if found is None:
        raise ValueError("a document without an _id")
    return found


def id_key(document: RawBSONDocument) -> bytes:
    """Return the `_id` of a document as a key for a set or a dict, like `as_bytes`."""
    return key_of(id_of(document))


def key_of(element: Element) -> bytes:
    """Return a value as `as_bytes` returns it. To the server a Symbol is a string."""
    kind = _STRING if element.kind == SYMBOL else element.kind
    return as_document(Element(kind, b"", element.value).bytes)


def by_id(document: RawBSONDocument) -> RawBSONDocument:
    """Return the filter that finds a document by its `_id`."""
    return RawBSONDocument(as_document(id_of(document).bytes))


def literal_of(document: RawBSONDocument, name: str) -> RawBSONDocument:
    """Return the expression of a field's value, byte for byte."""
    found = field_of(document, name)
    if found is None:
        raise KeyError(name)
    return RawBSONDocument(as_document(found.named("$literal").bytes))


def has_empty_timestamp(document: bytes) -> bool:
    """True if an insert would fill in a field: an empty timestamp outside `_id`.

    Source: MongoDB manual, BSON Types, Timestamps.
    """
    return bytes(8) in document and any(
        element.kind == _TIMESTAMP and element.name != b"_id" and not any(element.value)
        for element in elements(document)
    )


def survives_decoding(document: bytes) -> bool:
    """True if a document has the same bytes after PyMongo decodes and encodes it."""
    try:
        decoded = bson.decode(document, codec_options=_LOSSLESS)
        return bson.encode(decoded, codec_options=_LOSSLESS) == document
    except (BSONError, UnicodeError, ValueError, TypeError, OverflowError):
        return False


def repeated_name(document: bytes) -> str | None:
    """Return a name, dotted for embedded documents, that a document has twice."""
    if survives_decoding(document):
        return None  # the quick check
    return _repeated(document)


def _repeated(document: bytes) -> str | None:
    names = set()
    for kind, name, value in elements(document):
        shown = name.decode(errors="replace")
        if name in names:
            return shown
        names.add(name)
        inner = _repeated(value) if kind in (_DOCUMENT, _ARRAY) else None
        if inner is not None:
            return f"{shown}.{inner}"
    return None


def with_bytes_of(old: bytes, read: bytes, changed: bytes) -> bytes:
    """Return a changed document, with the old one's bytes for what is unchanged.

    read: the old document as PyMongo decodes and encodes it. Differences that come only
    from that are reverted.
    """
    originals = {each.name: each for each in elements(old)}
    unchanged = {each.name: each for each in elements(read)}

    def chosen(new: Element) -> Element:
        was, now = originals.get(new.name), unchanged.get(new.name)
        if was is None or now is None:
            return new
        if new == now:
            return was
        if was.kind == now.kind == new.kind and new.kind in (_DOCUMENT, _ARRAY):
            return new._replace(value=with_bytes_of(was.value, now.value, new.value))
        return new

    return as_document(*(chosen(new).bytes for new in elements(changed)))
