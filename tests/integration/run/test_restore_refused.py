"""A backup that is damaged, of others or not to be read: refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskCliRunner
from pymongo.database import Database

from flask_dualmigrate.backups import layout
from tests.integration.conftest import MakeApp
from tests.support.restore_shop import Shop, add_r2, opened_shop, upgraded

Facts = dict[str, Any]
Damage = Callable[[Path, Facts], None]


@pytest.fixture
def at_r2(
    make_app: MakeApp, tmp_path: Path, engine: sa.Engine, mongo_db: Database[Any]
) -> Iterator[tuple[Shop, Path]]:
    """Both sides at r2, and the folder of the backup before it."""
    with opened_shop(make_app, tmp_path, engine, mongo_db) as shop:
        add_r2(shop.tree)
        yield shop, shop.backups.root / upgraded()


def run(shop: Shop, *words: str) -> Any:
    return FlaskCliRunner(shop.app).invoke(args=["db-migrate", *words])


def truncated(folder: Path, facts: Facts) -> None:
    path = folder / layout.POSTGRES_DUMP
    path.write_bytes(path.read_bytes()[:-10])


def changed(folder: Path, facts: Facts) -> None:
    path = folder / layout.POSTGRES_SCHEMA
    path.write_bytes(path.read_bytes().replace(b"items", b"itemz"))


def missing(folder: Path, facts: Facts) -> None:
    (folder / layout.POSTGRES_SCHEMA).unlink()


def unknown(folder: Path, facts: Facts) -> None:
    (folder / "mongo" / "more").write_text("x")


def linked(folder: Path, facts: Facts) -> None:
    path = folder / layout.POSTGRES_SCHEMA
    path.rename(folder.parent.parent / "elsewhere")
    path.symlink_to(folder.parent.parent / "elsewhere")


def upwards(folder: Path, facts: Facts) -> None:
    facts["files"][0]["path"] = "../../etc/passwd"


def absolute(folder: Path, facts: Facts) -> None:
    facts["files"][0]["path"] = "/etc/passwd"


def other_pair(folder: Path, facts: Facts) -> None:
    facts["pair_id"] = "0" * 32


def later_format(folder: Path, facts: Facts) -> None:
    facts["format"] = 2


def other_name(folder: Path, facts: Facts) -> None:
    facts["name"] = "20200101T000000Z_upgrade_r1_0000"


def no_such_table(folder: Path, facts: Facts) -> None:
    facts["sides"]["postgres"]["tables"].append(
        {"schema": "public", "name": "ghosts", "rows": 1, "existed": True}
    )


def no_such_collection(folder: Path, facts: Facts) -> None:
    facts["sides"]["mongo"]["collections"].append(
        {"name": "ghosts", "documents": 1, "existed": True}
    )


def newer_dump(folder: Path, facts: Facts) -> None:
    facts["versions"]["pg_dump"] = "99.1"


def more_documents(folder: Path, facts: Facts) -> None:
    for collection in facts["sides"]["mongo"]["collections"]:
        if collection["name"] == "item":
            collection["documents"] += 1


def rewritten(folder: Path, facts: Facts, path: str, content: bytes) -> None:
    """Put another content into a file, and into the manifest what it is now."""
    (folder / path).write_bytes(content)
    for file in facts["files"]:
        if file["path"] == path:
            file["size_bytes"] = len(content)
            file["sha256"] = hashlib.sha256(content).hexdigest()


def no_dump_at_all(folder: Path, facts: Facts) -> None:
    rewritten(folder, facts, layout.POSTGRES_DUMP, b"PGDMP is what it is not")


def half_a_dump(folder: Path, facts: Facts) -> None:
    content = (folder / layout.POSTGRES_DUMP).read_bytes()
    rewritten(folder, facts, layout.POSTGRES_DUMP, content[: len(content) // 2])


def half_a_document(folder: Path, facts: Facts) -> None:
    path = layout.mongo_data(facts["sides"]["mongo"]["database"], "item")
    content = gzip.decompress((folder / path).read_bytes())
    rewritten(folder, facts, path, gzip.compress(content[:-3]))


def no_bson(folder: Path, facts: Facts) -> None:
    path = layout.mongo_data(facts["sides"]["mongo"]["database"], "item")
    rewritten(folder, facts, path, b"no gzip either")


DAMAGES: tuple[tuple[Damage, int, str], ...] = (
    (truncated, 3, "is damaged: postgres/dump.pgc"),
    (changed, 3, "is damaged: postgres/schema.sql: its checksum differs"),
    (missing, 3, "is damaged: postgres/schema.sql: missing"),
    (unknown, 3, "is damaged: mongo/more: the manifest does not list it"),
    (linked, 3, "is damaged: postgres/schema.sql: it is not a regular file"),
    (upwards, 3, "is not a path inside a backup"),
    (absolute, 3, "is not a path inside a backup"),
    (other_pair, 3, "belongs to other databases"),
    (later_format, 3, "its format is 2"),
    (other_name, 3, "The manifest of backup"),
    (no_such_table, 3, "lists the table public.ghosts, but its schema"),
    (no_such_collection, 3, "lists the collection ghosts, but no file contains it"),
    (newer_dump, 4, "No pg_restore that can read the output of pg_dump 99.1"),
    (more_documents, 3, "item has 21 documents in its side collection, but the"),
    (no_dump_at_all, 3, "pg_restore cannot read the dump"),
    (half_a_dump, 3, "pg_restore cannot read the dump"),
    (half_a_document, 3, "cannot be read: it ends in the middle of a document"),
    (no_bson, 3, "cannot be read: Not a gzipped file"),
)


def test_what_cannot_be_restored_is_refused_in_one_line_and_changes_nothing(
    at_r2: tuple[Shop, Path], tmp_path: Path
) -> None:
    shop, folder = at_r2
    after = shop.holds()
    shutil.copytree(folder, tmp_path / "good")
    for damage, exit_code, words in DAMAGES:
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "good", folder)
        manifest = folder / layout.MANIFEST
        facts = json.loads(manifest.read_text())
        damage(folder, facts)
        manifest.write_text(json.dumps(facts))

        said = run(shop, "restore", folder.name, "--yes", "--quiet")

        name = damage.__name__
        assert (name, said.exit_code, said.stdout) == (name, exit_code, "")
        (line,) = said.stderr.strip().splitlines()
        assert words in line
        assert shop.holds() == after, name
        assert not [n for n in shop.db.list_collection_names() if "restore" in n]
    assert run(shop, "status").exit_code == 0


def test_a_name_that_is_none_is_refused(at_r2: tuple[Shop, Path]) -> None:
    shop, folder = at_r2
    (folder.parent / f"{folder.name}x").mkdir()
    for name, words in (
        ("nothing", "No backup begins with 'nothing'"),
        ("../backups", "No backup begins with"),
        ("20", "Several backups begin with '20'"),
    ):
        said = run(shop, "restore", name, "--yes")

        assert said.exit_code == 2
        assert words in said.stderr


def test_a_pg_restore_that_is_missing_is_said(
    at_r2: tuple[Shop, Path], tmp_path: Path
) -> None:
    shop, folder = at_r2
    after = shop.holds()
    shop.app.config["DUALMIGRATE_PG_DUMP"] = str(tmp_path / "pg_dump")

    said = run(shop, "restore", folder.name, "--yes")

    assert said.exit_code == 4
    assert "No pg_restore that can read" in said.stderr
    assert shop.holds() == after


def test_a_backup_of_one_side_asks_for_that_side(at_r2: tuple[Shop, Path]) -> None:
    shop, folder = at_r2
    manifest = folder / layout.MANIFEST
    facts = json.loads(manifest.read_text())
    del facts["sides"]["mongo"]
    manifest.write_text(json.dumps(facts))

    said = run(shop, "restore", folder.name, "--yes")

    assert said.exit_code == 2
    assert "holds no data of MongoDB. To restore what it holds, use --backend" in (
        said.stderr
    )


def test_a_partition_that_the_backup_lacks_is_not_dropped(
    at_r2: tuple[Shop, Path],
) -> None:
    shop, folder = at_r2
    with shop.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE heir () INHERITS (items)"))
    after = shop.holds()

    said = run(shop, "restore", folder.name, "--yes")

    assert said.exit_code == 3
    assert "because it depends on them: table public.heir; nothing was changed" in (
        said.stderr
    )
    assert shop.holds() == after
