"""Beanie's declared indexes: those that Beanie itself would make."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, UnionDoc, init_beanie
from flask_sqlalchemy import SQLAlchemy
from pydantic import Field
from pymongo import AsyncMongoClient, IndexModel, MongoClient
from pymongo.database import Database

from flask_dualmigrate import UsageError, index_diff, index_sync, init
from flask_dualmigrate.mongo.server.beanie import of_documents
from tests.integration.conftest import MakeApp


class Visit(Document):
    who: Annotated[str, Indexed(unique=True)]
    at: Indexed(int, -1)  # type: ignore[valid-type]
    mood: Annotated[str | None, Indexed(sparse=True)] = None
    where: Annotated[str, Indexed()] = Field(alias="Where")
    plain: str = ""

    class Settings:
        indexes = (
            "x",
            [("y", 1), ("z", -1)],
            IndexModel([("at", 1)], name="ttl", expireAfterSeconds=60),
            [("text", "text"), ("title", "text")],
            IndexModel("folded", collation={"locale": "en", "strength": 2}),
            IndexModel("some", partialFilterExpression={"n": {"$type": "int"}}),
        )


class Thing(Document):
    kind: Annotated[str, Indexed()]

    class Settings:
        is_root = True
        name = "things"
        indexes = ("p", [("q", 1), ("r", 1)])


class Small(Thing):
    size: Annotated[int, Indexed()]

    class Settings:
        merge_indexes = True
        indexes = ("s", IndexModel([("p", -1)], name="p_down"))


class All(UnionDoc):
    class Settings:
        name = "all_of_them"


class One(Document):
    z: Annotated[int, Indexed()]

    class Settings:
        union_doc = All


CASES: dict[str, list[Any]] = {
    "fields and settings": [Visit],
    "a root": [Thing],
    "a child of a root": [Small],
    "in a union": [One],
}


@pytest.mark.parametrize("case", CASES)
def test_what_beanie_would_make_is_what_is_declared(
    make_app: MakeApp, mongo_url: str, mongo_db: Database[Any], case: str
) -> None:
    documents = CASES[case]

    async def make() -> None:
        async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
            models = [All, *documents] if case == "in a union" else documents
            await init_beanie(client[mongo_db.name], document_models=models)

    asyncio.run(make())
    app = make_app(db=SQLAlchemy(), active="mongo", documents=documents)
    with app.app_context():
        result = index_diff()

    assert result.ok
    assert result.differences
    assert result.notes == ()


def test_a_sync_makes_what_the_documents_declare(
    make_app: MakeApp, mongo_url: str
) -> None:
    app = make_app(db=SQLAlchemy(), active="mongo", documents=lambda: [Visit])
    with app.app_context():
        init()
        assert len(index_sync().actions) == len(of_documents([Visit]).indexes)
        assert index_diff().ok

    with MongoClient[dict[str, Any]](mongo_url) as client:
        info = client.get_default_database().Visit.index_information()
    assert info["who_1"]["unique"] is True
    assert info["ttl"]["expireAfterSeconds"] == 60


def test_a_dotted_path_is_as_good_as_the_class() -> None:
    assert of_documents([f"{__name__}.Visit"]) == of_documents([Visit])


@pytest.mark.parametrize(
    "wrong", [dict, "builtins.dict", Document, "beanie.Document"], ids=repr
)
def test_what_is_no_document_class_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="not a Beanie document class"):
        of_documents([wrong])


@pytest.mark.parametrize("path", ["nowhere.Visit", "builtins.Visit", "Visit"])
def test_a_path_that_leads_nowhere_is_named(path: str) -> None:
    with pytest.raises(UsageError, match=f"documents= cannot import '{path}'"):
        of_documents([path])
