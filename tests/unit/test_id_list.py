"""`_id`s that pass from an answer of the server into a document undecoded."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Code, Decimal128, Int64, MaxKey, ObjectId
from bson.raw_bson import RawBSONDocument

from flask_dualmigrate.mongo.expressions.id_list import IdList
from flask_dualmigrate.mongo.expressions.raw_bson import as_document, id_key
from flask_dualmigrate.mongo.server.views import EXACT, as_bytes

IDS = [1, Int64(2), 2.5, Decimal128("3.10"), "four", ObjectId(b"5" * 12)]


def raw(document: dict[str, Any]) -> RawBSONDocument:
    return RawBSONDocument(bson.encode(document), EXACT)


def answer(**more: Any) -> IdList:
    found = {"ids": IDS, "count": len(IDS), "last": IDS[-1], **more}
    return IdList.grouped(raw(found))


def test_it_is_a_sequence_of_what_the_server_sent() -> None:
    assert list(answer()) == IDS
    assert len(answer()) == 6
    assert answer()[1:3] == IDS[1:3]


def test_its_last_is_known_without_decoding_the_others() -> None:
    assert answer(last="told apart")[-1] == "told apart"


def test_it_goes_into_another_document_byte_for_byte() -> None:
    begin = bson.encode({"_id": "batch"})[4:-1]

    whole = as_document(begin, answer().named("ids"))

    assert whole == bson.encode({"_id": "batch", "ids": IDS})


def test_a_plain_list_goes_the_same_way() -> None:
    assert IdList.like(IDS).named("ids") == answer().named("ids")


def test_it_is_taken_from_documents_undecoded() -> None:
    odd = [MaxKey(), Code("f"), {"a": 1}, *IDS]
    documents = [raw({"_id": each, "x": 1}) for each in odd]

    ids = IdList.of(documents)

    assert ids.keys == [*map(as_bytes, odd)] == [*map(id_key, documents)]
    assert ids.array == IdList.like(odd).array


def test_some_of_it_are_found_by_their_keys() -> None:
    keys = {as_bytes("four"), as_bytes(1)}

    assert list(IdList.like(IDS).only(keys)) == [1, "four"]
    assert list(IdList.like(IDS).without(keys)) == [*IDS[1:4], IDS[5]]


def test_an_answer_whose_first_field_is_another_is_refused() -> None:
    found = {"count": 1, "ids": [1], "last": 1}

    with pytest.raises(ValueError, match="not the first field"):
        IdList.grouped(raw(found))
