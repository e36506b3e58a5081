"""Databases that are not in UTF-8: what does not fit is escaped, and nothing fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from flask_dualmigrate import downgrade, init, upgrade
from flask_dualmigrate.errors import ScriptError
from flask_dualmigrate.postgres.journal.journal import PostgresJournal
from tests.integration.conftest import MakeApp, Tree
from tests.support.postgres.restores import Place, restored


@pytest.fixture(params=["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"])
def url(request: pytest.FixtureRequest, engine: sa.Engine) -> Iterator[str]:
    """A database in another encoding, on the same server."""
    name = f"e_{uuid4().hex}"
    admin = engine.execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 "
            "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    url = engine.url.set(database=name)
    if request.param == "SQL_ASCII":
        # Without it the driver reads bytes, and SQLAlchemy cannot connect.
        url = url.update_query_dict({"client_encoding": "utf8"})
    yield url.render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_messages_and_errors_beyond_an_encoding_are_written_down_escaped(
    make_app: MakeApp, tmp_path: Path, url: str
) -> None:
    with make_app(urls={"postgres": url}).app_context():
        init()
        tree = Tree(tmp_path / "migrations")
        tree.add("r1")
        tree.add("r2", postgres="raise ValueError('ä → \\udc80 \\0')")
        for path in (tree.path("postgres", "r1"), tree.path("mongo", "r1")):
            path.write_text(path.read_text().replace('"""r1"""', '"""a → b ☃"""'))
        init()
        with pytest.raises(ScriptError) as raised:
            upgrade()
        assert "some of it remains" not in str(raised.value)
        downgrade(revision="base")
        upgrade(revision="r1")
    engine = sa.create_engine(make_url(url))
    with engine.connect() as connection:
        known = PostgresJournal().entries(connection)
    engine.dispose()
    assert known is not None
    assert known["r1"].applied
    assert known["r1"].description in (
        "a → b ☃",
        "a \\u2192 b \\u2603",
        "a → b \\u2603",
    )
    assert "\\udc80" in (known["r2"].error or "")


def test_names_and_rows_come_back_from_a_backup(url: str, tmp_path: Path) -> None:
    engine = sa.create_engine(make_url(url))
    place = Place(engine, tmp_path / "backups")
    name = "café" if "e_" in url and engine_fits(engine) else "cafe"
    place.run(f'CREATE TABLE "{name}" (id int, x text)')
    place.run(f"""INSERT INTO "{name}" VALUES (1, '{name}')""")
    place.run(f'CREATE VIEW "v{name}" AS SELECT x FROM "{name}"')
    with place.backed_up([name]) as restorer:
        place.run(f"""UPDATE "{name}" SET x = 'z'""")
        place.run(f'DROP VIEW "v{name}"')
        restored(restorer)
    assert place.rows(f'SELECT x FROM "v{name}"') == [(name,)]
    engine.dispose()


def engine_fits(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        found = connection.scalar(sa.text("SHOW server_encoding"))
    return found in ("LATIN1", "WIN1252", "SQL_ASCII")
