"""`_id`s that pass from an answer of the server into a document undecoded."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, ObjectId
from bson.raw_bson import RawBSONDocument

from flask_dualmigrate.mongo.id_list import IdList, as_document, ids_element
from flask_dualmigrate.mongo.views import EXACT

IDS = [1, Int64(2), 2.5, Decimal128("3.10"), "four", ObjectId(b"5" * 12)]


def answer(**more: Any) -> IdList:
    found = {"ids": IDS, "count": len(IDS), "last": IDS[-1], **more}
    return IdList(RawBSONDocument(bson.encode(found), EXACT))


def test_it_is_a_sequence_of_what_the_server_sent() -> None:
    assert list(answer()) == IDS
    assert len(answer()) == 6
    assert answer()[1:3] == IDS[1:3]


def test_its_last_is_known_without_decoding_the_others() -> None:
    assert answer(last="told apart")[-1] == "told apart"


def test_it_goes_into_another_document_byte_for_byte() -> None:
    begin = bson.encode({"_id": "batch"})[4:-1]

    whole = as_document(begin, ids_element(answer()))

    assert whole == bson.encode({"_id": "batch", "ids": IDS})


def test_a_plain_list_goes_the_same_way() -> None:
    assert ids_element(IDS) == answer().element


def test_an_answer_whose_first_field_is_another_is_refused() -> None:
    found = bson.encode({"count": 1, "ids": [1], "last": 1})

    with pytest.raises(ValueError, match="not the first field"):
        _ = IdList(RawBSONDocument(found, EXACT)).element
