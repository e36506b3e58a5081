"""Models with Index(postgresql_concurrently=True): what is written runs as it is."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import check, downgrade, init, lint, revision, upgrade
from tests.integration.conftest import MakeApp

BLOCK = """
def {direction}() -> None:
    with op.get_context().autocommit_block():
        op.{verb}_index("""


def test_an_index_is_built_concurrently_where_its_table_is_in_use(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine
) -> None:
    def written(name: str) -> str:
        revision(message=name, autogenerate=True)
        (script,) = (tmp_path / "migrations" / "postgres").rglob(f"*_{name}.py")
        upgrade()
        assert check().ok
        return script.read_text("utf-8")

    db = SQLAlchemy()
    columns = [sa.Column(name, sa.Text) for name in "ab"]
    key = sa.Column("id", sa.BigInteger, primary_key=True)
    log = sa.Table("log", db.metadata, key, *columns)
    first = sa.Index("ix_a", log.c.a, postgresql_concurrently=True)
    with make_app(db=db).app_context():
        init()
        assert "concurrently" not in written("new")

        log.indexes.remove(first)
        sa.Index("ix_b", log.c.b, postgresql_concurrently=True)
        log.append_column(sa.Column("c", sa.Text))
        sa.Index("ix_c", log.c.c, postgresql_concurrently=True)
        again = written("more")
        # One block before all the rest; what needs a new column is in the transaction.
        assert BLOCK.format(direction="upgrade", verb="create") in again
        assert BLOCK.format(direction="downgrade", verb="drop") in again
        assert again.count("postgresql_concurrently=True") == 3  # two are drops
        assert not {found.code for found in lint().findings} & {"DM102", "DM125"}

        downgrade(revision="-1")
        with engine.connect() as connection:
            names = sa.inspect(connection).get_indexes("log")
        assert [index["name"] for index in names] == ["ix_a"]
        upgrade()
        assert check().ok
