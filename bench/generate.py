"""revision --autogenerate on twelve tables: a pair of scripts, or Alembic's one."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table
from sqlalchemy.dialects import postgresql

from flask_dualmigrate import init, revision, upgrade

from .apps import Urls, a_migrated_app
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns

TABLES = 12

_ENV_PY = """\
from alembic import context

attributes = context.config.attributes
with attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=attributes["metadata"])
    with context.begin_transaction():
        context.run_migrations()
"""
_SCRIPT_MAKO = '''\
"""${message}"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare on tables that are all new, and on tables that are all changed."""
    rounds = 2 if quick else 10
    yield _compare(databases, rounds, "new", None, models(changed=False))
    yield _compare(
        databases, rounds, "changed", models(changed=False), models(changed=True)
    )


def models(*, changed: bool) -> MetaData:
    """Return twelve tables; changed: each with two columns and an index more."""
    metadata = MetaData()
    for number in range(TABLES):
        table = Table(
            f"table_{number}",
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("name", sa.String(80), nullable=False, index=True),
            Column("email", sa.String(200), unique=True),
            Column("kind", sa.Enum("a", "b", name=f"kind_{number}")),
            Column("price", sa.Numeric(10, 2), server_default="0"),
            Column("detail", postgresql.JSONB),
            Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        )
        if number:
            other = ForeignKey(f"table_{number - 1}.id")
            table.append_column(Column("other_id", other, index=True))
        if changed:
            table.append_column(Column("status", sa.String(20), server_default="new"))
            table.append_column(Column("count", sa.Integer, nullable=True))
            Index(f"ix_{table.name}_status", table.c.status, table.c.made_at)
    return metadata


def _compare(
    databases: Databases, rounds: int, word: str, old: MetaData | None, new: MetaData
) -> Comparison:
    # Each in a database of its own: the tables of our journal are strangers to Alembic.
    with databases.postgres() as our_url, databases.postgres() as peer_url:
        ours, peer = databases.new_folder() / "ours", databases.new_folder() / "peer"
        _start_ours(ours, our_url, old)
        _start_peer(peer, peer_url, old)
        contenders = [
            Contender(
                "DualMigrate, revision(autogenerate=True)",
                partial(_dualmigrate, ours, our_url, new),
                ours=True,
            ),
            Contender(
                "Alembic, command.revision(autogenerate=True)",
                partial(_alembic, peer, peer_url, new),
            ),
        ]
        timings = take_turns(contenders, rounds=rounds)
    return Comparison("generate", f"{TABLES} tables, all {word}", timings)


def _start_ours(root: Path, url: str, old: MetaData | None) -> None:
    with a_migrated_app(root, Urls(url), metadata=old):
        init()
        if old is not None:
            revision(message="create tables", autogenerate=True)
            upgrade()


def _start_peer(root: Path, url: str, old: MetaData | None) -> None:
    (root / "versions").mkdir(parents=True)
    (root / "env.py").write_text(_ENV_PY)
    (root / "script.py.mako").write_text(_SCRIPT_MAKO)
    if old is not None:
        with _alembic_config(root, url, old) as config:
            command.revision(config, "create tables", autogenerate=True)
            command.upgrade(config, "head")


@contextmanager
def _alembic_config(
    root: Path, url: str, metadata: MetaData
) -> Iterator[AlembicConfig]:
    engine = sa.create_engine(url)
    config = AlembicConfig(
        attributes={"engine": engine, "metadata": metadata},
        cmd_opts=argparse.Namespace(quiet=True),
    )
    config.set_main_option("script_location", str(root).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        yield config
    finally:
        engine.dispose()


@contextmanager
def _copy_of(root: Path) -> Iterator[Path]:
    """Copy a directory beside itself, so that each round begins with the same."""
    folder = Path(mkdtemp(dir=root.parent))
    try:
        yield shutil.copytree(root, folder / root.name)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _dualmigrate(root: Path, url: str, metadata: MetaData) -> Iterator[Act]:
    with (
        _copy_of(root) as copy,
        a_migrated_app(copy, Urls(url), metadata=metadata),
    ):
        scripts = len(list(copy.glob("*/versions/*.py")))
        yield partial(revision, message="change tables", autogenerate=True)
        assert len(list(copy.glob("*/versions/*.py"))) == scripts + 2


@contextmanager
def _alembic(root: Path, url: str, metadata: MetaData) -> Iterator[Act]:
    with _copy_of(root) as copy, _alembic_config(copy, url, metadata) as config:
        scripts = len(list(copy.glob("versions/*.py")))
        yield partial(command.revision, config, "change tables", autogenerate=True)
        assert len(list(copy.glob("versions/*.py"))) == scripts + 1
