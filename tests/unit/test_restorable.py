"""Which backups may be restored when other revisions came after them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flask_dualmigrate.backend import State
from flask_dualmigrate.backups import BackedTable, Manifest, PostgresPart, Scope
from flask_dualmigrate.errors import IntegrityError
from flask_dualmigrate.revisions import BackendName, Direction
from flask_dualmigrate.run.restore_reach import require_reach


def backup(name: str, plan: str, applied: str, tables: str | None) -> Manifest:
    held = None
    if tables is not None:
        held = tuple(BackedTable("public", table, 3) for table in tables.split())
    return Manifest(
        name=name,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        direction=Direction.UPGRADE,
        plan=tuple(plan.split()),
        scope=Scope.TOUCHED,
        pair_id=None,
        versions={},
        files=(),
        postgres=PostgresPart("shop", tuple(applied.split()), held),
    )


def states(applied: str) -> dict[BackendName, State]:
    return {BackendName.POSTGRES: State(frozenset(applied.split()), {})}


OLD = backup("old", "r2", "r1", "items")
NEXT = backup("next", "r3", "r1 r2", "orders")


def test_the_backup_before_the_newest_revision_is_restored() -> None:
    require_reach(NEXT, states("r1 r2 r3"), (OLD, NEXT))


def test_one_that_lacks_what_a_later_revision_changed_names_the_one_to_take() -> None:
    with pytest.raises(IntegrityError, match="since then r3 changed more") as caught:
        require_reach(OLD, states("r1 r2 r3"), (OLD, NEXT))
    assert "restore next" in (caught.value.hint or "")


def test_after_that_one_it_is_restored() -> None:
    require_reach(OLD, states("r1 r2"), (OLD, NEXT))


def test_one_that_lacks_what_a_downgrade_changed_is_refused() -> None:
    down = backup("down", "r2", "r1 r2", "items")
    with pytest.raises(IntegrityError, match="since then r2") as caught:
        require_reach(NEXT, states("r1"), (OLD, NEXT, down))
    assert "restore down" in (caught.value.hint or "")


def test_the_backup_of_a_failed_run_is_not_named() -> None:
    failed = backup("failed", "r3", "r1 r2 r3", "orders")
    with pytest.raises(IntegrityError) as caught:
        require_reach(OLD, states("r1 r2 r3"), (OLD, NEXT, failed))
    assert "restore next" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("old", "known"),
    [
        (backup("all", "r2", "r1", None), ()),
        (OLD, (backup("next", "r3", "r1 r2", "items"),)),
        (backup("old", "r2 r3", "r1", "items orders"), ()),
    ],
    ids=["it holds everything", "no more was touched", "it was of the same run"],
)
def test_one_that_holds_enough_is_restored(
    old: Manifest, known: tuple[Manifest, ...]
) -> None:
    require_reach(old, states("r1 r2 r3"), known)


def test_a_revision_without_a_backup_is_not_passed_over() -> None:
    with pytest.raises(IntegrityError) as caught:
        require_reach(OLD, states("r1 r2 r3"), (OLD,))
    assert "downgrade" in (caught.value.hint or "")
