"""From what the sides have, and a target, to steps.

The graphs of these tests:

    line       aaaa ── bbbb ── cccc ── dddd

    branched           ┌─ bbbb (left) ──┐
               aaaa ───┤                ├─ dddd
                       └─ cccc (right) ─┘

    heads              ┌─ bbbb ── dddd (left)
               aaaa ───┤
                       └─ cccc ── eeee (right)
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from flask_dualmigrate.backend import State
from flask_dualmigrate.backend.journal import Entry
from flask_dualmigrate.errors import DualMigrateError, IntegrityError, UsageError
from flask_dualmigrate.revisions import Direction, Status
from flask_dualmigrate.run.plan import Plan, States, is_applied, make_plan
from flask_dualmigrate.tree.directory import ScriptDirectory

from .trees import MONGO, POSTGRES, Tree, applied, line_of

UP, DOWN = Direction.UPGRADE, Direction.DOWNGRADE


@pytest.fixture
def line(tmp_path: Path) -> ScriptDirectory:
    return line_of(tmp_path, "aaaa", "bbbb", "cccc", "dddd").load()


@pytest.fixture
def branched(tmp_path: Path) -> ScriptDirectory:
    tree = Tree(tmp_path).add("aaaa")
    tree.add("bbbb", "aaaa", labels=["left"]).add("cccc", "aaaa", labels=["right"])
    return tree.add("dddd", "bbbb", "cccc").lock().load()


@pytest.fixture
def heads(tmp_path: Path) -> ScriptDirectory:
    tree = Tree(tmp_path).add("aaaa")
    tree.add("bbbb", "aaaa", labels=["left"]).add("cccc", "aaaa", labels=["right"])
    return tree.add("dddd", "bbbb").add("eeee", "cccc").lock().load()


def both(mongo: str, postgres: str | None = None) -> States:
    """Return the states of both sides; ids are given by their first letters."""
    sides = {MONGO: mongo, POSTGRES: mongo if postgres is None else postgres}
    return {
        name: applied(*(letter * 4 for letter in has)) for name, has in sides.items()
    }


def begun(state: State, revision: str, direction: Direction, **more: Any) -> State:
    """Return a state with an attempt that was begun, and is open."""
    status = Status.RUNNING if not more else Status.FAILED
    if more.get("awaits_partner"):
        status = Status.APPLIED if direction is UP else Status.ROLLED_BACK
    entry = Entry(revision * 4, direction, status, **more)
    assert entry.open
    ids = state.applied - {entry.revision}
    ids |= {entry.revision} if entry.applied else set()
    return dataclasses.replace(state, applied=ids, entries={entry.revision: entry})


def steps(plan: Plan) -> str:
    """Return a plan as a text: `a` on both sides, `a:m` on MongoDB alone."""
    sides = {(MONGO, POSTGRES): "", (MONGO,): ":m", (POSTGRES,): ":p"}
    return " ".join(step.revision.id[0] + sides[step.backends] for step in plan.steps)


@pytest.mark.parametrize(
    ("states", "target", "expected"),
    [
        (both(""), "head", "a b c d"),
        (both(""), "heads", "a b c d"),
        (both("ab"), "head", "c d"),
        (both("abcd"), "head", ""),
        (both("ab"), "cccc", "c"),
        (both("abc"), "bbbb", ""),
        (both(""), "+1", "a"),
        (both("a"), "+2", "b c"),
        (both("a"), "aaaa+2", "b c"),
        (both("a"), "dddd-1", "b c"),
        (both("a"), "base", ""),
        (both("ab", "a"), "head", "b:p c d"),
        (both("a", "abc"), "head", "b:m c:m d"),
        (both("abcd", ""), "head", "a:p b:p c:p d:p"),
        (both("ab", "a"), "+1", "b:p"),
        (both("ab", "a"), "bbbb", "b:p"),
        (both("acd", "abcd"), "head", "b:m"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_upgrade_goes_from_what_both_sides_have_to_the_target(
    states: States, target: str, expected: str, line: ScriptDirectory
) -> None:
    assert steps(make_plan(line, states, target, UP)) == expected


@pytest.mark.parametrize(
    ("states", "target", "expected"),
    [
        (both("abcd"), "-1", "d"),
        (both("abcd"), "-2", "d c"),
        (both("abcd"), "bbbb", "d c"),
        (both("abcd"), "dddd-2", "d c"),
        (both("abcd"), "aaaa+1", "d c"),
        (both("abcd"), "base", "d c b a"),
        (both("ab"), "bbbb", ""),
        (both(""), "base", ""),
        (both(""), "-1", ""),
        (both("abc", "ab"), "-1", "c:m"),
        (both("abc", "ab"), "aaaa", "c:m b"),
        (both("ab", "abcd"), "base", "d:p c:p b a"),
        (both("", "ab"), "base", "b:p a:p"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_downgrade_goes_from_what_either_side_has_to_the_target(
    states: States, target: str, expected: str, line: ScriptDirectory
) -> None:
    assert steps(make_plan(line, states, target, DOWN)) == expected


@pytest.mark.parametrize("name", [MONGO, POSTGRES])
def test_a_side_alone_is_planned_alone(name: str, line: ScriptDirectory) -> None:
    states = {side: state for side, state in both("ab").items() if side == name}

    assert steps(make_plan(line, states, "head", UP)) == f"c:{name[0]} d:{name[0]}"
    assert steps(make_plan(line, states, "-1", DOWN)) == f"b:{name[0]}"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "c d"),
        ({"partial": True}, "c d"),
        ({"awaits_partner": True}, "c d"),
    ],
    ids=["running", "failed-in-part", "awaits-its-partner"],
)
def test_what_was_begun_is_still_to_do(
    more: dict[str, bool], expected: str, line: ScriptDirectory
) -> None:
    states = both("ab")
    states = {**states, MONGO: begun(states[MONGO], "c", UP, **more)}

    assert steps(make_plan(line, states, "head", UP)) == expected
    assert not is_applied(states, MONGO, "cccc")


@pytest.mark.parametrize(
    ("more", "postgres", "expected"),
    [
        ({}, "abc", "c b"),
        ({"partial": True}, "abc", "c b"),
        ({"awaits_partner": True}, "abc", "c b"),
        ({"awaits_partner": True}, "ab", "c:m b"),
    ],
    ids=["running", "failed-in-part", "awaits-its-partner", "its-partner-is-done"],
)
def test_a_downgrade_that_was_begun_is_still_to_do(
    more: dict[str, bool], postgres: str, expected: str, line: ScriptDirectory
) -> None:
    states = both("abc", postgres)
    states = {**states, MONGO: begun(states[MONGO], "c", DOWN, **more)}

    assert steps(make_plan(line, states, "aaaa", DOWN)) == expected


def test_alone_a_side_waits_for_no_partner(line: ScriptDirectory) -> None:
    states = {MONGO: begun(applied("aaaa"), "b", UP, awaits_partner=True)}

    assert is_applied(states, MONGO, "bbbb")
    assert steps(make_plan(line, states, "bbbb", UP)) == ""


def test_what_was_begun_comes_before_another_branch(heads: ScriptDirectory) -> None:
    for branch in "bc":
        states = both("a")
        states = {**states, MONGO: begun(states[MONGO], branch, UP)}

        assert steps(make_plan(heads, states, "heads", UP)).split()[0] == branch


def test_what_was_begun_comes_after_what_it_needs(heads: ScriptDirectory) -> None:
    states = {**both("ac", "a"), MONGO: begun(applied("aaaa", "cccc"), "e", UP)}

    assert steps(make_plan(heads, states, "heads", UP)) == "c:p e b d"


def test_a_downgrade_that_was_begun_comes_before_another_branch(
    heads: ScriptDirectory,
) -> None:
    for branch in "de":
        states = both("abcde")
        states = {**states, MONGO: begun(states[MONGO], branch, DOWN)}

        plan = steps(make_plan(heads, states, "base", DOWN)).split()
        assert plan[0] == branch
        assert plan[-1] == "a"


@pytest.mark.parametrize(
    ("states", "target", "expected"),
    [
        (both(""), "head", {"a b c d", "a c b d"}),
        (both(""), "left", {"a b"}),
        (both("a"), "cccc", {"c"}),
        (both("ab"), "head", {"c d"}),
        (both("ab", "ac"), "head", {"b:p c:m d", "c:m b:p d"}),
    ],
    ids=["from-base", "label", "one-branch", "other-branch", "each-has-the-other"],
)
def test_an_upgrade_goes_through_branches_to_their_merge(
    states: States, target: str, expected: set[str], branched: ScriptDirectory
) -> None:
    assert steps(make_plan(branched, states, target, UP)) in expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [("left@head", "b d"), ("right@heads", "c e"), ("right@+1", "c"), ("bbbb", "b")],
)
def test_an_upgrade_of_one_branch_leaves_the_other(
    target: str, expected: str, heads: ScriptDirectory
) -> None:
    assert steps(make_plan(heads, both("a"), target, UP)) == expected


def test_a_downgrade_of_a_merge_leaves_both_branches(branched: ScriptDirectory) -> None:
    assert steps(make_plan(branched, both("abcd"), "left", DOWN)) == "d"


def test_a_downgrade_of_one_branch_leaves_the_other(heads: ScriptDirectory) -> None:
    states = both("abcde")

    assert steps(make_plan(heads, states, "dddd@-1", DOWN)) == "d"
    assert steps(make_plan(heads, states, "right@aaaa", DOWN)) == "e c"


def test_a_dependency_comes_before_what_depends_on_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add("aaaa").add("bbbb", "aaaa")
    tree.add("cccc", depends_on=["bbbb"])
    directory = tree.lock().load()

    assert steps(make_plan(directory, both(""), "cccc", UP)) == "a b c"
    assert steps(make_plan(directory, both("abc"), "aaaa", DOWN)) == "c b"


@pytest.mark.parametrize(
    ("states", "target", "direction", "message"),
    [
        (both("abcd"), "+1", UP, "didn't produce 1 migrations"),
        (both("ab"), "-1", UP, "didn't produce"),
        (both("ab"), "bbbb+9", UP, "beyond the end of the history"),
        (both("ab"), "aaaa-9", UP, "beyond the end of the history"),
        (both("ab"), "bbbc", UP, "No such revision.*mean bbbb"),
        (both(""), "bbbc", DOWN, "No such revision.*mean bbbb"),
        (both("ab"), "-3", DOWN, "didn't produce 3 migrations"),
        (both("ab"), "+1", DOWN, "didn't produce"),
        (both("ab"), "cccc", DOWN, "is an ancestor of the other"),
        (both("ab"), "head", DOWN, "cannot go up to head"),
        (both("ab"), "heads", DOWN, "cannot go up to head"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_target_that_cannot_be_had_is_wrong_usage(
    states: States,
    target: str,
    direction: Direction,
    message: str,
    line: ScriptDirectory,
) -> None:
    with pytest.raises(UsageError, match=message):
        make_plan(line, states, target, direction)


def test_one_below_several_heads_is_asked_for_by_branch(heads: ScriptDirectory) -> None:
    with pytest.raises(UsageError, match=r"several heads: dddd, eeee.*dddd@-1"):
        make_plan(heads, both("abcde"), "-1", DOWN)


def test_head_of_several_heads_is_refused(heads: ScriptDirectory) -> None:
    with pytest.raises(UsageError, match=r"several heads"):
        make_plan(heads, both("a"), "head", UP)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    "state",
    [applied("aaaa", "ffff"), begun(applied("aaaa"), "f", UP)],
    ids=["applied", "begun"],
)
def test_a_revision_that_the_tree_has_not_is_told(
    state: State, direction: Direction, line: ScriptDirectory
) -> None:
    states = {MONGO: applied("aaaa"), POSTGRES: state}

    with pytest.raises(IntegrityError, match=r"PostgreSQL database .* ffff") as caught:
        make_plan(line, states, "base", direction)
    assert isinstance(caught.value, DualMigrateError)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("states", "target", "direction", "fixed"),
    [
        (both("a"), "+2", UP, "cccc"),
        (both("a"), "aaaa+2", UP, "cccc"),
        (both("a"), "head", UP, "head"),
        (both("abcd"), "-2", DOWN, "bbbb"),
        (both("ab"), "-2", DOWN, "base"),
        (both("ab"), "aaaa", DOWN, "aaaa"),
        (both(""), "-1", DOWN, "-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_fixed_target_is_the_same_when_part_of_the_plan_is_done(
    states: States, target: str, direction: Direction, fixed: str, line: ScriptDirectory
) -> None:
    assert make_plan(line, states, target, direction).fixed_target == fixed


@pytest.mark.parametrize(
    ("target", "direction", "first", "then", "expected"),
    [
        ("-1", DOWN, "abc", "ab", ""),
        ("-2", DOWN, "abc", "ab", "b"),
        ("-2", DOWN, "abc", "abcd", ""),
        ("+1", UP, "a", "ab", ""),
        ("+2", UP, "a", "ab", "c"),
        ("+1", UP, "ab", "a", ""),
        ("bbbb", DOWN, "abc", "abcd", "d c"),
        ("dddd", UP, "abc", "ab", "c d"),
        ("head", UP, "abc", "abcd", ""),
    ],
    ids=lambda value: value,
)
def test_a_relative_target_does_not_move_on_with_what_is_done_meanwhile(
    target: str,
    direction: Direction,
    first: str,
    then: str,
    expected: str,
    line: ScriptDirectory,
) -> None:
    before = make_plan(line, both(first), target, direction)
    after = make_plan(line, both(then), target, direction)

    assert steps(after.within(before)) == expected
