"""Both trees, loaded from disk and held against each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.runtime.migration import MigrationStep

from flask_dualmigrate.errors import TreeError, UsageError
from flask_dualmigrate.tree.directory import ScriptDirectory
from flask_dualmigrate.tree.script_file import checksum

from .trees import MONGO, POSTGRES, Tree, line_of

GOOD = """revision = 'aaaa'\ndown_revision = None\ndef upgrade(op): pass\n"""


def test_a_tree_is_loaded_with_what_the_scripts_say(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add("aaaa", labels=["shop"])
    tree.add("bbbb", "aaaa", depends_on=["shop"], message="add a status").lock()

    revision = tree.load().revisions["bbbb"]

    assert revision.parents == ("aaaa",)
    assert revision.depends_on == ("shop",)
    assert revision.message == "add a status"
    assert revision.file_name == "bbbb.py"
    assert tree.load().revisions["aaaa"].branch_labels == ("shop",)


def test_no_directory_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match=r"no migrations directory.*db-migrate init"):
        ScriptDirectory(tmp_path / "none", (POSTGRES,))


def test_a_directory_without_one_side_says_how_to_complete_it(tmp_path: Path) -> None:
    Tree(tmp_path, [POSTGRES])

    with pytest.raises(TreeError, match=r"no mongo scripts.*db-migrate init"):
        ScriptDirectory(tmp_path, (MONGO, POSTGRES))


def test_an_empty_tree_has_no_heads(tmp_path: Path) -> None:
    directory = Tree(tmp_path).load()

    assert directory.heads == ()
    assert directory.topological() == ()
    assert directory.pair_problems() == ()
    assert directory.lock_problems() == ()


def test_hidden_files_and_init_are_no_scripts(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for name in ("__init__.py", ".hidden.py", "notes.txt"):
        tree.write(MONGO, name, "this does not compile")

    assert tree.load().revisions == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def upgrade(op:\n  pass\n", r"does not compile.*x\.py:1\)"),
        ("a = 1\n\nif True\n", r"does not compile.*x\.py:3\)"),
        ("null = '\0'", r"does not compile.*x\.py"),
        ("a = 1\nimport no_such_module\n", r"ModuleNotFoundError.*x\.py:2\)"),
        ("def f():\n    1 / 0\n\n\nf()\n", r"ZeroDivisionError.*x\.py:2\)"),
        (b"# gr\xf6\xdfe\n" + GOOD.encode(), r"not UTF-8: byte 4.*x\.py"),
        ("down_revision = None\n", r"not a migration script.*x\.py"),
        ("revision = 'aaaa'\n", r"not a migration script.*x\.py"),
        ("revision = 7\ndown_revision = None\n", r"not a migration script.*x\.py"),
        (
            GOOD.replace("aaaa", "../../x"),
            r"'\.\./\.\./x' is not a valid revision id.*x\.py",
        ),
        (
            GOOD.replace("aaaa", "a" * 33),
            r"is not a valid revision id: use 1 to 32.*x\.py",
        ),
        (GOOD.replace("aaaa", "A-b"), r"'A-b' is not a valid revision id.*x\.py"),
        ("revision = 'aaaa'\ndown_revision = None\n", r"no upgrade\(\).*x\.py"),
        (GOOD.replace("None", "'aaaa'"), r"aaaa follows itself.*x\.py"),
        (GOOD + "depends_on = ('aaaa',)\n", r"aaaa follows itself, or depends.*x\.py"),
        (GOOD.replace("None", "7"), r"down_revision must be a string.*not 7.*x\.py"),
    ],
    ids=[
        *("syntax-error", "syntax-error-below", "nul", "import-error", "raises"),
        *("latin-1", "no-revision", "no-down-revision", "revision-no-text"),
        *("id-of-a-path", "id-too-long", "id-of-other-letters", "no-upgrade"),
        *("follows-itself", "depends-on-itself", "parent-no-text"),
    ],
)
def test_a_broken_script_is_named(
    source: str | bytes, message: str, tmp_path: Path
) -> None:
    tree = Tree(tmp_path)
    tree.write(MONGO, "x.py", source)

    with pytest.raises(TreeError, match=message):
        tree.load()


def test_a_script_is_compiled_without_the_future_of_our_own_modules(
    tmp_path: Path,
) -> None:
    tree = Tree(tmp_path)
    body = "import dataclasses\n@dataclasses.dataclass\nclass Row:\n    id: int\n"
    tree.add("aaaa", body=body)

    script = tree.load().script(MONGO, "aaaa")

    assert script.module.Row(1).id == 1


CLASSES = """from __future__ import annotations
from dataclasses import dataclass, fields
from typing import ClassVar
from pydantic import BaseModel
revision = 'aaaa'
down_revision = None
@dataclass
class Old:
    kind: ClassVar[str] = "SIDE"
    title: str = ""
class Note(BaseModel):
    tags: list[Tag] = []
class Tag(BaseModel):
    n: str
def upgrade(*args):
    assert [each.name for each in fields(Old)] == ["title"]
    return Note(tags=[{"n": "SIDE"}]).tags[0].n
"""


def test_classes_with_string_annotations_find_the_names_of_their_script(
    tmp_path: Path,
) -> None:
    tree = Tree(tmp_path)
    for side in (MONGO, POSTGRES):
        tree.write(side, "aaaa.py", CLASSES.replace("SIDE", side))

    scripts = [tree.load().script(side, "aaaa") for side in (MONGO, POSTGRES)]

    assert [script.module.upgrade() for script in scripts] == [MONGO, POSTGRES]


def test_a_script_that_cannot_be_loaded_leaves_no_module(tmp_path: Path) -> None:
    known = set(sys.modules)
    tree = Tree(tmp_path, [MONGO])
    tree.write(MONGO, "aaaa.py", f"{GOOD}\n1 / 0")

    with pytest.raises(TreeError, match="ZeroDivisionError"):
        tree.load()

    assert {name for name in sys.modules if name.startswith("aaaa_")} <= known


def test_a_duplicate_id_names_both_paths(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add("aaaa")
    tree.write(MONGO, "copy.py", GOOD)

    with pytest.raises(TreeError, match=r"Two scripts.*aaaa\.py and .*copy\.py"):
        tree.load()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda tree: tree.add("aaaa", "bbbb").add("bbbb", "aaaa"),
            r"a cycle: aaaa, bbbb",
        ),
        (
            lambda tree: tree.add("aaaa", depends_on=["bbbb"]).add("bbbb", "aaaa"),
            r"a cycle: aaaa, bbbb",
        ),
        (
            lambda tree: tree.add("bbbb", "gone"),
            r"bbbb follows gone, which does not exist",
        ),
        (
            lambda tree: tree.add("aaaa", depends_on=["gone"]),
            r"aaaa depends on gone, which does not exist",
        ),
        (
            lambda tree: tree.add("aaaa", labels=["x"]).add("bbbb", labels=["x"]),
            r"label x is taken.*bbbb\.py",
        ),
        (
            lambda tree: tree.add("aaaa").add("bbbb", labels=["aaaa"]),
            r"label aaaa is taken.*bbbb\.py",
        ),
    ],
    ids=[
        *("cycle", "cycle-of-dependencies", "missing-parent", "missing-dependency"),
        *("label-twice", "label-of-an-id"),
    ],
)
def test_a_graph_that_is_none_is_said(
    make: Callable[[Tree], Tree], message: str, tmp_path: Path
) -> None:
    tree = make(Tree(tmp_path))

    with pytest.raises(TreeError, match=message):
        tree.load()


@pytest.mark.parametrize(
    ("missing", "title"), [(MONGO, "Mongo"), (POSTGRES, "Postgre")]
)
def test_a_missing_partner_is_told_by_its_side(
    missing: str, title: str, tmp_path: Path
) -> None:
    tree = line_of(tmp_path, "aaaa")
    tree.add("bbbb", "aaaa", sides=[s for s in tree.sides if s != missing]).lock()
    directory = tree.load()

    (problem,) = directory.pair_problems()
    assert problem.startswith(f"Revision bbbb has no {title}")
    with pytest.raises(TreeError, match=r"revision --pair bbbb"):
        directory.require_pairs()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("down_revision = None", "parents"),
        ("depends_on = 'cccc'", "dependencies"),
        ("branch_labels = ('other',)", "branch labels"),
    ],
)
def test_a_pair_that_differs_is_told(change: str, word: str, tmp_path: Path) -> None:
    tree = line_of(tmp_path, "aaaa", "bbbb").add("cccc", "aaaa")
    tree.add("bbbb", "aaaa", sides=[MONGO], body=change)

    (problem,) = tree.load().pair_problems()

    assert problem == f"Revision bbbb has other {word} in its two scripts"


def test_a_pair_under_two_names_is_told(tmp_path: Path) -> None:
    tree = line_of(tmp_path, "aaaa")
    path = tmp_path / "mongo/versions/aaaa.py"
    path.rename(path.with_name("other.py"))

    assert "a different file name" in tree.load().pair_problems()[0]


def test_the_parents_of_a_merge_may_stand_in_any_order(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add("aaaa").add("bbbb", "aaaa").add("cccc", "aaaa")
    tree.add("dddd", "bbbb", "cccc", sides=[MONGO])
    tree.add("dddd", "cccc", "bbbb", sides=[POSTGRES])

    assert tree.load().pair_problems() == ()


def test_a_tree_that_its_lock_file_lists_has_no_problem(tmp_path: Path) -> None:
    directory = line_of(tmp_path, "aaaa", "bbbb").load()

    assert directory.lock_problems() == ()
    directory.require_pairs()


def test_the_lock_file_is_held_against_the_scripts(tmp_path: Path) -> None:
    tree = line_of(tmp_path, "aaaa", "bbbb", "cccc")
    tree.add("bbbb").add("dddd", "cccc")
    text = (tmp_path / "revisions.lock").read_text().replace("cccc.py", "gone.py")
    (tmp_path / "revisions.lock").write_text(f"{text}eeee aaaa eeee.py\n")

    assert tree.load().lock_problems() == (
        "revisions.lock does not list dddd",
        "revisions.lock does not match the scripts of bbbb",
        "revisions.lock does not match the scripts of cccc",
        "revisions.lock lists eeee, which has no script",
    )
    with pytest.raises(TreeError, match=r"does not list dddd.*db-migrate init"):
        tree.load().require_pairs()


def test_dependencies_in_any_order_agree_with_the_lock_file(tmp_path: Path) -> None:
    tree = Tree(tmp_path).add("bbbb").add("aaaa")

    tree.add("cccc", depends_on=["bbbb", "aaaa"]).lock()

    assert tree.load().lock_problems() == ()


def test_a_tree_without_lock_file_is_a_problem_once_it_has_scripts(
    tmp_path: Path,
) -> None:
    tree = Tree(tmp_path)
    assert tree.load().lock_problems() == ()

    assert tree.add("aaaa").load().lock_problems() == ("There is no revisions.lock",)


def test_the_checksum_ignores_line_ends_and_a_bom() -> None:
    source = GOOD.encode()

    assert checksum(source.replace(b"\n", b"\r\n")) == checksum(source)
    assert checksum(source.replace(b"\n", b"\r")) == checksum(source)
    assert checksum(b"\xef\xbb\xbf" + source) == checksum(source)
    assert checksum(source + b"# edited\n") != checksum(source)


def test_a_script_with_line_ends_and_bom_of_windows_is_loaded(tmp_path: Path) -> None:
    tree = Tree(tmp_path, [MONGO])
    tree.write(MONGO, "x.py", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())

    assert tree.load().checksum(MONGO, "aaaa") == checksum(GOOD.encode())


@pytest.fixture
def branched(tmp_path: Path) -> ScriptDirectory:
    """Two branches and their merge; a second base that depends on one of them.

            ┌─ bbbb (left) ──┐
    aaaa ───┤                ├─ dddd ── eeee
            └─ cccc (right) ─┘

    ffff ── gggg ┄ depends on cccc
    """
    tree = Tree(tmp_path).add("aaaa")
    tree.add("bbbb", "aaaa", labels=["left"]).add("cccc", "aaaa", labels=["right"])
    tree.add("dddd", "bbbb", "cccc").add("eeee", "dddd")
    tree.add("ffff").add("gggg", "ffff", depends_on=["cccc"])
    return tree.lock().load()


def test_heads_are_what_nothing_follows(branched: ScriptDirectory) -> None:
    assert set(branched.heads) == {"eeee", "gggg"}


def test_parents_and_dependencies_come_first(branched: ScriptDirectory) -> None:
    order = [revision.id for revision in branched.topological()]

    assert sorted(order) == sorted(branched.revisions)
    for revision_id in order:
        for below in branched.below(revision_id):
            assert order.index(below) < order.index(revision_id)


def test_ancestors_follow_parents_and_dependencies(branched: ScriptDirectory) -> None:
    assert branched.ancestors(["gggg"]) == {"gggg", "ffff", "cccc", "aaaa"}
    assert branched.ancestors(["dddd"]) == {"dddd", "bbbb", "cccc", "aaaa"}
    assert branched.ancestors(["gone"]) == set()


def test_the_heads_of_a_set_are_what_no_other_of_it_follows(
    branched: ScriptDirectory,
) -> None:
    assert branched.heads_of(frozenset({"aaaa", "bbbb", "cccc"})) == ("bbbb", "cccc")
    assert branched.heads_of(frozenset({"aaaa", "cccc", "ffff", "gggg"})) == ("gggg",)
    assert branched.heads_of(frozenset({"aaaa", "gone"})) == ("aaaa", "gone")


@pytest.mark.parametrize(
    ("identifier", "ids"),
    [
        ("bbbb", ["bbbb"]),
        ("left@head", ["eeee"]),
        ("right", ["cccc"]),
        ("base", []),
        ("heads", ["eeee", "gggg"]),
    ],
)
def test_a_target_is_resolved(
    identifier: str, ids: list[str], branched: ScriptDirectory
) -> None:
    assert sorted(rev.id for rev in branched.resolve(identifier)) == ids


def test_a_prefix_is_resolved(tmp_path: Path) -> None:
    directory = line_of(tmp_path, "ab12cd34", "ab99ef").load()

    assert directory.resolve("ab1")[0].id == "ab12cd34"


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("ab12", r"Multiple revisions start with 'ab12'.*Give more of the id"),
        ("ab12cd35", r"No such revision or branch 'ab12cd35'.*mean ab12cd34\?"),
        ("zzzzzzzz", r"No such revision or branch 'zzzzzzzz'.*db-migrate history"),
        ("head", r"several heads: .*Name one.*merge heads"),
        ("none@head", r"'none'"),
    ],
    ids=["ambiguous-prefix", "nearly", "unknown", "several-heads", "no-such-branch"],
)
def test_a_target_that_is_none_says_what_to_do(
    identifier: str, message: str, tmp_path: Path
) -> None:
    directory = Tree(tmp_path).add("ab12cd34").add("ab12ef56").lock().load()

    with pytest.raises(UsageError, match=message):
        directory.resolve(identifier)


def test_alembics_steps_take_the_scripts_of_a_pair(branched: ScriptDirectory) -> None:
    script = branched.script(POSTGRES, "dddd")

    step = MigrationStep.downgrade_from_script(branched.graph, script)

    assert set(step.to_revisions) == {"bbbb", "cccc"}
