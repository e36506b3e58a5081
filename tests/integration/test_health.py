"""The blueprint for probes: what it answers, and what it does not say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from pymongo.database import Database
from werkzeug.test import TestResponse

from flask_dualmigrate import DualMigrate, PartialFailure, downgrade, init, upgrade
from tests.integration.conftest import NOWHERE, MakeApp, Tree
from tests.support.mongo.proxies import wired

NO_POSTGRES = "postgresql+psycopg://nobody:secret@127.0.0.1:9/nowhere"
NO_MONGO = NOWHERE.replace("://", "://nobody:secret@")


def ask(app: Flask, path: str = "/healthz/ready") -> TestResponse:
    """Register the blueprint, and send a probe."""
    if "dualmigrate_health" not in app.blueprints:
        app.register_blueprint(DualMigrate().health_blueprint)
    return app.test_client().get(path)


def answer(app: Flask) -> tuple[int, list[str], list[str]]:
    """Return the status, and the ids that are pending and half done."""
    response = ask(app)
    body: dict[str, Any] = response.get_json()
    assert body["ready"] is (response.status_code == 200) is (body["why"] is None)
    return response.status_code, body["pending"], body["half_done"]


def test_it_is_not_ready_while_revisions_are_pending(
    two: Tree, make_app: MakeApp
) -> None:
    app = make_app()
    assert answer(app) == (503, ["r1", "r2"], [])
    with app.app_context():
        upgrade(revision="r1")
        assert answer(app) == (503, ["r2"], [])
        upgrade()
        assert answer(app) == (200, [], [])
        downgrade(revision="r1")
        assert answer(app) == (503, ["r2"], [])


def test_no_cache_keeps_an_answer(two: Tree, make_app: MakeApp) -> None:
    app = make_app()
    for path in ("/healthz/ready", "/healthz/live"):
        assert ask(app, path).headers["Cache-Control"] == "no-store"


def half_done(two: Tree, app: Flask) -> None:
    """Leave r2 half done: its second operation fails, and cannot be undone."""
    path = two.path("mongo", "r2")
    path.write_text(path.read_text().replace('("c")', '("c"); op.run(stop)', 1))
    with path.open("a") as file:
        file.write("def stop(db):\n    raise RuntimeError('half-way')\n")
    with app.app_context(), pytest.raises(PartialFailure, match="half-way"):
        upgrade()


def forget(two: Tree, app: Flask, revision_id: str) -> None:
    """Let the code be older than a revision."""
    for backend in ("postgres", "mongo"):
        two.path(backend, revision_id).unlink()
    with app.app_context():
        init()


def test_it_is_not_ready_while_a_revision_is_half_done(
    two: Tree, make_app: MakeApp
) -> None:
    app = make_app()
    half_done(two, app)
    assert answer(app) == (503, ["r2"], ["r2"])


def test_it_stays_ready_while_a_later_release_migrates(
    two: Tree, make_app: MakeApp
) -> None:
    app = make_app()
    half_done(two, app)
    forget(two, app, "r2")
    assert answer(app) == (200, [], [])


def test_it_stays_ready_when_a_later_release_has_migrated(
    two: Tree, make_app: MakeApp
) -> None:
    app = make_app()
    with app.app_context():
        upgrade()
    forget(two, app, "r2")
    assert answer(app) == (200, [], [])


@pytest.mark.parametrize(
    "urls", [{"postgres": NO_POSTGRES}, {"mongo": NO_MONGO}], ids=["postgres", "mongo"]
)
def test_a_database_that_is_down_is_told_soon_and_without_a_secret(
    two: Tree, make_app: MakeApp, urls: dict[str, str]
) -> None:
    app = make_app(urls=urls)
    began = time.monotonic()
    response = ask(app)
    assert time.monotonic() - began < 10  # MongoDB's driver alone would take 30
    assert response.status_code == 503
    assert response.get_json()["why"] in (
        "a database cannot be used",
        "the databases did not answer in time",
    )
    for secret in ("secret", "nobody", "127.0.0.1", "nowhere"):
        assert secret not in response.text


def test_the_side_that_is_not_in_use_is_not_asked(two: Tree, make_app: MakeApp) -> None:
    app = make_app(active="postgres", urls={"mongo": NOWHERE}, auto_upgrade=True)
    assert answer(app) == (200, [], [])


def test_it_is_alive_with_both_databases_down(make_app: MakeApp) -> None:
    app = make_app(urls={"postgres": NO_POSTGRES, "mongo": NOWHERE})
    began = time.monotonic()
    response = ask(app, "/healthz/live")
    assert (response.status_code, response.get_json()) == (200, {"live": True})
    assert time.monotonic() - began < 1


def test_a_broken_tree_is_no_readiness(two: Tree, make_app: MakeApp) -> None:
    app = make_app(auto_upgrade=True)
    (two.root / "revisions.lock").write_text("<<<<<<< HEAD\n")
    response = ask(app)
    assert response.status_code == 503
    assert response.get_json()["why"] == "see the log of the app"


def test_what_the_app_itself_raises_is_no_readiness_and_is_logged_alone(
    two: Tree, make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    def active() -> str:
        raise KeyError("postgresql://me:hidden@db/x")

    app = make_app(active=active)
    app.debug = app.testing = True  # as under `flask run --debug`
    response = ask(app)
    assert response.status_code == 503
    assert response.get_json() == {
        "ready": False,
        "why": "see the log of the app",
        "pending": [],
        "half_done": [],
        "ahead": [],
        "paired": True,
    }
    assert "Not ready: KeyError: 'postgresql://me:***@db/x'" in caplog.text
    assert "hidden" not in caplog.text


def test_a_probe_writes_nothing(
    two: Tree, make_app: MakeApp, mongo_db: Database[Any]
) -> None:
    assert ask(make_app()).status_code == 503
    assert mongo_db.list_collection_names() == []


def test_it_answers_where_it_is_registered_and_nowhere_else(
    two: Tree, make_app: MakeApp
) -> None:
    app = make_app(auto_upgrade=True)
    assert app.test_client().get("/healthz/ready").status_code == 404
    app = make_app()
    app.register_blueprint(DualMigrate().health_blueprint, url_prefix="/probes")
    assert ask(app, "/probes/ready").status_code == 200
    assert ask(app, "/healthz/ready").status_code == 404


def test_probes_in_number_share_the_questions(
    two: Tree, make_app: MakeApp, mongo_url: str
) -> None:
    with wired(mongo_url) as (uri, wire):
        app = make_app(urls={"mongo": uri})
        with app.app_context():
            upgrade()
        ask(app)
        wire.seen.clear()
        wire.slow = {"find": 0.05}
        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(lambda _: ask(app).status_code, range(200)))
    assert set(answers) == {200}
    assert wire.seen["find"] <= 20  # two a question
