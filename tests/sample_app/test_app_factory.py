"""The app factory: one database in use, the other one never touched."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from flask import Flask

from sample_app import mongo
from sample_app.config import get_db_type

MakeApp = Callable[..., Flask]

QUICK_S = 10.0  # far under the 30 s that PyMongo waits for a server


def test_on_postgres_mongo_is_never_touched(
    make_app: MakeApp, postgres_url: str
) -> None:
    start = time.monotonic()

    app = make_app("postgres", DATABASE_URL=postgres_url)

    assert app.test_client().get("/api/items").status_code == 200
    assert mongo.db is None
    assert time.monotonic() - start < QUICK_S


def test_on_mongo_postgres_is_never_touched(make_app: MakeApp, mongo_url: str) -> None:
    start = time.monotonic()

    app = make_app("mongo", MONGO_URI=mongo_url)

    assert app.test_client().get("/api/items").status_code == 200
    assert "sqlalchemy" not in app.extensions
    assert time.monotonic() - start < QUICK_S


@pytest.mark.parametrize(
    ("db_type", "module"),
    [
        ("postgres", "sample_app.repositories.mongo"),
        ("mongo", "sample_app.repositories.postgres"),
    ],
)
def test_the_other_databases_repositories_are_not_even_imported(
    db_type: str, module: str
) -> None:
    program = (
        "import sys; from flask import Flask; from sample_app import mongo;"
        "from sample_app.repositories import repositories_for;"
        "mongo.init_app(Flask('other'), 'mongodb://127.0.0.1:1/nowhere');"
        f"repositories_for({db_type!r}); sys.exit({module!r} in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


def test_on_both_the_repositories_use_postgres(
    make_app: MakeApp, postgres_url: str, mongo_url: str
) -> None:
    app = make_app("both", DATABASE_URL=postgres_url, MONGO_URI=mongo_url)
    app.test_client().post("/api/types", json={"name": "Tool"})

    assert mongo.db is not None
    assert mongo.db["type"].count_documents({}) == 0


def test_postgres_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_TYPE", raising=False)

    assert get_db_type() == "postgres"


def test_an_unknown_database_is_refused_with_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_TYPE", "mysql")

    with pytest.raises(ValueError, match=r"mysql.*postgres, mongo, both"):
        get_db_type()
