"""Backups on the disk: the folder, the manifest, and what a store makes of them."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flask_dualmigrate.backups import (
    BackedCollection,
    BackedTable,
    BackupFolder,
    BackupStore,
    Manifest,
    MongoPart,
    PostgresPart,
    Scope,
    layout,
)
from flask_dualmigrate.errors import BackupError, IntegrityError, UsageError
from flask_dualmigrate.revisions import Direction

NOW = datetime(2026, 11, 22, 8, 15, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> BackupStore:
    return BackupStore(tmp_path / "backups")


def make(store: BackupStore, *, at: datetime = NOW, first: str = "aa1") -> Manifest:
    with store.new(Direction.UPGRADE, [first, "bb2"], at) as folder:
        with folder.new_file(layout.POSTGRES_DUMP) as file:
            file.write(b"dump")
        with folder.new_file(layout.mongo_data("shop", "item")) as file:
            file.write(b"documents")
        manifest = Manifest(
            name=folder.path.name,
            created_at=at,
            direction=Direction.UPGRADE,
            plan=(first, "bb2"),
            scope=Scope.TOUCHED,
            pair_id="p",
            versions={"flask_dualmigrate": "1", "postgres": "18.0"},
            files=tuple(folder.files),
            postgres=PostgresPart("shop", ("00",), (BackedTable("public", "x", 3),)),
            mongo=MongoPart(
                "shop", (), (BackedCollection("new", 0, existed=False),), (5, 1)
            ),
        )
        folder.finish(manifest)
    return manifest


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def problems(store: BackupStore, name: str) -> tuple[str, ...]:
    (checked,) = store.verify(name)
    return checked.problems


def test_a_manifest_is_read_as_it_was_written(store: BackupStore) -> None:
    manifest = make(store)
    with store.find(manifest.name) as (folder, found):
        folder.require_whole(found)
        assert found == manifest


def test_a_backup_is_for_its_owner_alone(store: BackupStore) -> None:
    old = os.umask(0)
    try:
        name = make(store).name
    finally:
        os.umask(old)
    modes = {
        stat.S_IMODE(path.stat().st_mode): path.is_dir()
        for path in (store.root / name).rglob("*")
    }
    assert modes == {0o700: True, 0o600: False}
    assert stat.S_IMODE((store.root / name).stat().st_mode) == 0o700
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_a_backup_is_named_after_its_time_direction_and_first_revision(
    store: BackupStore,
) -> None:
    assert make(store).name.startswith("20261122T081530Z_upgrade_aa1_")


@pytest.mark.parametrize("first", ["../x", "a/b", "ü" * 300, "a\nb"], ids=repr)
def test_no_revision_id_leads_out_of_the_store(store: BackupStore, first: str) -> None:
    name = make(store, first=first).name
    assert (store.root / name).parent == store.root
    assert store.list()[0].plan[0] == first


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.unlink(), "missing"),
        (lambda p: p.write_bytes(b"damp"), "its checksum differs"),
        (lambda p: p.write_bytes(b"dump+"), "5 bytes, not 4"),
        (
            lambda p: (p.unlink(), p.symlink_to("/etc/passwd")),
            "it is not a regular file",
        ),
        (_fifo, "it is not a regular file"),
    ],
    ids=["missing", "flipped", "longer", "link", "fifo"],
)
def test_verify_finds_a_file_that_is_not_what_it_was(
    store: BackupStore, spoil: object, said: str
) -> None:
    name = make(store).name
    spoil(store.root / name / layout.POSTGRES_DUMP)  # type: ignore[operator]
    assert problems(store, name) == (f"{layout.POSTGRES_DUMP}: {said}",)
    with store.find(name) as (folder, manifest), pytest.raises(IntegrityError):
        folder.require_whole(manifest)


def test_verify_finds_a_file_that_nobody_knows(store: BackupStore) -> None:
    name = make(store).name
    (store.root / name / "postgres" / "more.sql").write_text("DROP TABLE x")
    assert problems(store, name) == (
        "postgres/more.sql: the manifest does not list it",
    )


def test_a_file_is_read_through_no_link(store: BackupStore) -> None:
    name = make(store).name
    folder = store.root / name
    (folder / "postgres").rename(folder / "elsewhere")
    (folder / "postgres").symlink_to(folder / "elsewhere")
    with (
        BackupFolder.open(folder) as opened,
        pytest.raises(IntegrityError),
        opened.read(layout.POSTGRES_DUMP),
    ):
        pass


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "./a"]
)
def test_a_manifest_that_names_a_file_outside_is_refused(
    store: BackupStore, path: str
) -> None:
    manifest = make(store)
    text = manifest.as_json().replace(layout.POSTGRES_DUMP, path)
    with pytest.raises(IntegrityError, match="not a path inside"):
        Manifest.parse(text, name=manifest.name)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"created_at": "2026-01-01T00:00:00"},
        {"direction": "sideways"},
        {"files": [{"path": "x"}]},
        {"sides": None},
        {"scope": "some"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_broken_manifest_is_told_and_no_backup(
    store: BackupStore, change: dict[str, object]
) -> None:
    name = make(store).name
    path = store.root / name / layout.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert store.list() == ()
    assert "is invalid" in problems(store, name)[0]


def test_a_manifest_of_a_later_format_names_the_version_that_made_it(
    store: BackupStore,
) -> None:
    manifest = make(store)
    text = manifest.as_json().replace('"format": 1', '"format": 2')
    with pytest.raises(IntegrityError, match="its format is 2"):
        Manifest.parse(text, name=manifest.name)


def test_what_fails_while_a_backup_is_made_leaves_nothing(store: BackupStore) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        store.new(Direction.UPGRADE, ["aa1"], NOW) as folder,
        folder.new_file("postgres/dump.pgc"),
    ):
        raise ZeroDivisionError
    assert list(store.root.iterdir()) == []


def _unfinished(store: BackupStore) -> str:
    name = "20261122T000000Z_upgrade_aa1_0000"
    store.prepare()
    (store.root / name / "postgres").mkdir(parents=True)
    (store.root / name / "postgres" / "dump.pgc").write_bytes(b"half")
    return name


def test_a_folder_without_a_manifest_is_no_backup(store: BackupStore) -> None:
    name = _unfinished(store)
    assert store.list() == ()
    (checked,) = store.verify()
    assert (checked.name, checked.ok, checked.unfinished) == (name, False, True)
    with pytest.raises(UsageError, match="never finished"), store.find(name):
        pass


def test_prune_takes_the_oldest_and_what_killed_runs_left(store: BackupStore) -> None:
    left = _unfinished(store)
    made = [make(store, at=NOW + timedelta(hours=n)).name for n in (2, 0, 1)]
    old, left_over = store.prunable(keep=2)
    assert [manifest.name for manifest in old] == [made[1]]
    assert left_over == (left,)
    for name in (made[1], left):
        store.remove(name)
    assert sorted(store.names()) == sorted([made[0], made[2]])


def test_prune_leaves_a_backup_that_is_being_made(store: BackupStore) -> None:
    with store.new(Direction.UPGRADE, ["aa1"], NOW) as folder:
        assert store.prunable(keep=0) == ((), ())
        (checked,) = store.verify()
        assert checked.ok
        folder.finish(_empty_manifest(folder.path.name))


def _empty_manifest(name: str) -> Manifest:
    return Manifest(
        name, NOW, Direction.UPGRADE, ("aa1",), Scope.ALL, None, {}, files=()
    )


def test_removing_a_backup_takes_its_links_and_not_what_they_point_to(
    store: BackupStore, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    name = make(store).name
    (store.root / name / "link").symlink_to(kept)
    store.remove(name)
    assert (kept / "file").read_text() == "x"
    assert store.names() == []


@pytest.mark.parametrize("name", ["latest", "20261122T1015"])
def test_a_backup_is_found_by_the_begin_of_its_name(
    store: BackupStore, name: str
) -> None:
    make(store)
    newest = make(store, at=NOW + timedelta(hours=2))
    with store.find(name) as (_, found):
        assert found == newest


@pytest.mark.parametrize("name", ["2026", "x", "", "..", "/etc"])
def test_a_name_of_no_one_backup_is_refused(store: BackupStore, name: str) -> None:
    make(store)
    make(store, at=NOW + timedelta(hours=2))
    with pytest.raises(UsageError), store.find(name):
        pass


def test_a_backup_that_anybody_could_have_put_there_is_not_read(
    store: BackupStore,
) -> None:
    make(store)
    store.root.chmod(0o777)
    with (
        pytest.raises(BackupError, match="everyone may write to it"),
        store.find("latest"),
    ):
        pass


def test_a_store_that_is_not_there_is_empty(store: BackupStore) -> None:
    assert store.list() == ()
    assert store.verify() == ()
    assert not store.root.exists()


def _link(root: Path) -> None:
    root.with_name("real").mkdir()
    root.symlink_to(root.with_name("real"))


def _open_to_all(root: Path) -> None:
    root.mkdir()
    root.chmod(0o777)


def _inside_open(root: Path) -> None:
    root.parent.chmod(0o777)


def _file(root: Path) -> None:
    root.write_text("x")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_link, "a link"),
        (_open_to_all, "everyone may write to it"),
        (_inside_open, "everyone may write to /"),
        (_file, "File exists"),
    ],
)
def test_an_unsafe_place_is_refused(
    store: BackupStore, spoil: object, said: str
) -> None:
    spoil(store.root)  # type: ignore[operator]
    with (
        pytest.raises(BackupError, match=said) as told,
        store.new(Direction.UPGRADE, ["aa1"], NOW),
    ):
        pass
    assert told.value.exit_code == 4
    store.root.parent.chmod(0o700)


def test_a_sticky_place_that_is_ours_is_safe(store: BackupStore) -> None:
    store.root.mkdir()
    store.root.parent.chmod(0o1777)
    make(store)
    assert len(store.list()) == 1


def test_a_full_disk_is_told_in_one_line(
    store: BackupStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(BackupError, match="No space left on device"),
        store.new(Direction.UPGRADE, ["aa1"], NOW) as folder,
        folder.new_file("postgres/dump.pgc"),
    ):
        pass


@pytest.mark.parametrize(
    ("collection", "file"),
    [
        ("item", "item"),
        ("a/b c%$ü", "a%2Fb+c%25%24%C3%BC"),
        ("x.y-z_~", "x.y-z_~"),
        ("é" * 100, "%C3%A9" * 34 + "%C3%%24"),
    ],
    ids=["plain", "odd", "unreserved", "long"],
)
def test_collections_are_named_as_mongodump_names_them(
    collection: str, file: str
) -> None:
    path = layout.mongo_data("shop", collection)
    assert path.startswith(f"mongo/shop/{file}")
    assert path.endswith(".bson.gz")
    assert len(path.removeprefix("mongo/shop/")) <= 238 + len(".bson.gz")


def test_a_manifest_counts_the_bytes_of_its_files(store: BackupStore) -> None:
    manifest = make(store)
    assert manifest.size_bytes == 4 + 9
    assert dataclasses.replace(manifest, files=()).size_bytes == 0


def test_latest_is_no_older_one_where_the_newest_is_broken(store: BackupStore) -> None:
    make(store)
    newest = make(store, at=NOW + timedelta(hours=1))
    (store.root / newest.name / "manifest.json").write_text("{")
    with (
        pytest.raises(IntegrityError, match=f"manifest of backup {newest.name}"),
        store.find("latest"),
    ):
        pass


def test_latest_passes_over_what_was_never_finished(store: BackupStore) -> None:
    made = make(store)
    newer = make(store, at=NOW + timedelta(hours=1))
    (store.root / newer.name / "manifest.json").unlink()
    with store.find("latest") as (_, found):
        assert found.name == made.name
