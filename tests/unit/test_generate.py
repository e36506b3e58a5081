"""New revisions: their parents, ids, labels and file names; both files or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flask_dualmigrate.errors import TreeError, UsageError
from flask_dualmigrate.generate import Header, empty_pair, empty_partner
from flask_dualmigrate.tree.directory import ScriptDirectory
from flask_dualmigrate.tree.graph import RevisionGraph
from flask_dualmigrate.tree.lockfile import read_lock_file
from flask_dualmigrate.tree.write_pair import (
    file_name,
    header_of,
    make_header,
    merge_parents,
    slug_of,
    write_pair,
)

from .trees import BOTH, MONGO, POSTGRES, Tree, line_of


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return line_of(tmp_path, "aaaa", "bbbb")


@pytest.fixture
def forked(tmp_path: Path) -> ScriptDirectory:
    """aaaa ── bbbb (left), aaaa ── cccc (right)"""
    tree = Tree(tmp_path).add("aaaa").add("bbbb", "aaaa", labels=["left"])
    return tree.add("cccc", "aaaa", labels=["right"]).lock().load()


def _header(directory: ScriptDirectory, **more: Any) -> Header:
    return make_header(directory, **{"message": "add a status", **more})


def _write(directory: ScriptDirectory, header: Header) -> ScriptDirectory:
    pair = empty_pair(header)
    write_pair(directory, header, {POSTGRES: pair.postgres, MONGO: pair.mongo})
    return ScriptDirectory(directory.root, BOTH)


@pytest.mark.parametrize(
    ("message", "slug"),
    [
        ("add status", "add_status"),
        ("Add  Status!", "add_status"),
        ("größe & été", "groe_ete"),
        ("数量", ""),
        ("", ""),
        ("../../etc/passwd", "etc_passwd"),
        ('"""\nimport os', "import_os"),
        ("a" * 50, "a" * 40),
        (
            "a word that is cut where the next one begins",
            "a_word_that_is_cut_where_the_next_one",
        ),
        ("x" * 36 + " tail", "x" * 36),
    ],
    ids=[
        *("plain", "signs", "accents", "not-latin", "empty", "path", "code", "long"),
        *("long-words", "cut-at-a-word"),
    ],
)
def test_a_slug_is_plain_short_and_ends_with_a_word(message: str, slug: str) -> None:
    assert slug_of(message) == slug
    assert len(slug_of(message)) <= 40


def test_a_file_name_has_date_id_and_slug() -> None:
    at = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
    header = Header("ab12cd34ef56", (), (), (), "add status", at)

    assert file_name(header) == "20261121_1830_ab12cd34ef56_add_status.py"


def test_a_file_name_without_a_slug_ends_with_the_id() -> None:
    at = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)

    assert file_name(Header("ab12", (), (), (), "数量", at)) == "20261121_1830_ab12.py"


def test_a_header_follows_the_head(tree: Tree) -> None:
    header = _header(tree.load())

    assert header.down_revision == ("bbbb",)
    assert (header.branch_labels, header.depends_on) == ((), ())
    assert header.message == "add a status"
    assert datetime.now(UTC) - header.created_at < timedelta(minutes=1)


def test_the_first_revision_follows_nothing(tmp_path: Path) -> None:
    assert _header(Tree(tmp_path).load()).down_revision == ()


def test_ids_are_made_unlike_each_other(tree: Tree) -> None:
    first, second = (_header(tree.load()).revision for _ in range(2))

    assert first != second
    assert len(first) == 12


@pytest.mark.parametrize("message", ["", "  \n "])
def test_a_revision_wants_a_message(message: str, tree: Tree) -> None:
    with pytest.raises(UsageError, match=r'needs a message.*-m "…"'):
        _header(tree.load(), message=message)


@pytest.mark.parametrize(
    "rev_id", ["../../x", "A", "a-b", "a" * 33, "a b", "größe"], ids=repr
)
def test_an_id_that_is_none_is_refused(rev_id: str, tree: Tree) -> None:
    with pytest.raises(UsageError, match=r"is not a valid revision id.*1 to 32"):
        _header(tree.load(), rev_id=rev_id)


@pytest.mark.parametrize("rev_id", ["bbbb", "head", "heads", "base", "left"])
def test_an_id_that_is_taken_is_refused(rev_id: str, forked: ScriptDirectory) -> None:
    with pytest.raises(UsageError, match=f"{rev_id} is taken"):
        _header(forked, rev_id=rev_id, head="left@head")


@pytest.mark.parametrize(
    "label", ["", "a b", "a@b", "a+1", "-1", "shop-2", "-x", "shop-", "größe"]
)
def test_a_label_that_would_be_another_target_is_refused(
    label: str, tree: Tree
) -> None:
    with pytest.raises(UsageError, match="is not a valid branch label"):
        _header(tree.load(), branch_label=label)


@pytest.mark.parametrize("label", ["left", "aaaa", "head", "base", "new1"])
def test_a_label_that_is_taken_is_refused(label: str, forked: ScriptDirectory) -> None:
    with pytest.raises(UsageError, match=f"{label} is taken"):
        _header(forked, head="left@head", rev_id="new1", branch_label=label)


@pytest.mark.parametrize("label", ["shop", "Shop.v2", "my-shop", "s2_x", "2"])
def test_a_label_is_carried_into_the_tree(label: str, tree: Tree) -> None:
    header = _header(tree.load(), branch_label=label, rev_id="cccc")

    directory = _write(tree.load(), header)

    assert directory.resolve(label)[0].id == "cccc"
    assert directory.resolve(f"{label}@head")[0].id == "cccc"


@pytest.mark.parametrize(
    ("head", "parents"),
    [
        ("left@head", ("bbbb",)),
        ("cccc", ("cccc",)),
        ("base", ()),
        (["bbbb", "cccc"], ("bbbb", "cccc")),
    ],
    ids=["label", "id", "base", "several"],
)
def test_the_head_that_is_named_is_followed(
    head: str | list[str], parents: tuple[str, ...], forked: ScriptDirectory
) -> None:
    assert _header(forked, head=head).down_revision == parents


def test_of_several_heads_one_must_be_named(forked: ScriptDirectory) -> None:
    with pytest.raises(UsageError, match="several heads"):
        _header(forked)


def test_a_branch_from_what_is_no_head_is_asked_for_by_splice(tree: Tree) -> None:
    with pytest.raises(UsageError, match=r"aaaa is not a head.*--splice"):
        _header(tree.load(), head="aaaa")

    assert _header(tree.load(), head="aaaa", splice=True).down_revision == ("aaaa",)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["bbbb"], ("bbbb",)),
        (["left"], ("left",)),
        (["heads"], ("bbbb", "cccc")),
        (["cccc", "bbbb"], ("cccc", "bbbb")),
    ],
    ids=["id", "label", "heads", "two"],
)
def test_dependencies_are_ids_or_labels(
    named: list[str], expected: tuple[str, ...], forked: ScriptDirectory
) -> None:
    header = _header(forked, head="base", depends_on=named)

    assert sorted(header.depends_on) == sorted(expected)
    directory = _write(forked, header)
    assert directory.lock_problems() == ()
    lines = read_lock_file(directory.root)
    assert lines is not None
    told = RevisionGraph.of_lock_file(directory.root, lines)
    assert told.below(header.revision) == directory.below(header.revision)


@pytest.mark.parametrize("named", ["base", "gone"])
def test_a_dependency_that_is_none_is_refused(named: str, tree: Tree) -> None:
    with pytest.raises(UsageError, match=named):
        _header(tree.load(), depends_on=[named])


def test_a_pair_is_written_and_listed_under_one_name(tree: Tree) -> None:
    header = _header(tree.load(), rev_id="cccc")

    directory = _write(tree.load(), header)

    assert directory.revisions["cccc"].parents == ("bbbb",)
    assert directory.revisions["cccc"].message == "add a status"
    assert directory.pair_problems() == ()
    directory.require_pairs()
    names = {Path(directory.script(name, "cccc").path).name for name in BOTH}
    assert names == {file_name(header)}


def test_what_does_not_compile_is_not_written(tree: Tree) -> None:
    header = _header(tree.load(), rev_id="cccc")
    before = read_lock_file(tree.root)

    with pytest.raises(SyntaxError):
        write_pair(tree.load(), header, {POSTGRES: "fine = 1\n", MONGO: "if\n"})

    assert read_lock_file(tree.root) == before
    assert set(tree.load().revisions) == {"aaaa", "bbbb"}


@pytest.mark.parametrize(
    "message", ['say """ and \\ and {x} %s ${y}', "größe\n数量 🎉"]
)
def test_a_message_of_any_kind_is_told_again(message: str, tree: Tree) -> None:
    directory = _write(
        tree.load(), _header(tree.load(), message=message, rev_id="cccc")
    )

    assert directory.revisions["cccc"].message == " ".join(message.split())


def test_two_that_are_written_at_once_are_both_listed(tree: Tree) -> None:
    one, other = tree.load(), tree.load()

    _write(one, _header(one, message="one", rev_id="cccc"))
    directory = _write(other, _header(other, message="other", rev_id="dddd"))

    assert set(directory.heads) == {"cccc", "dddd"}
    directory.require_pairs()


def test_a_missing_partner_is_written_beside_its_script(tree: Tree) -> None:
    tree.add("cccc", "bbbb", sides=[POSTGRES], labels=["shop"]).lock()
    directory = tree.load()
    header = header_of(directory, "cccc")

    (path,) = write_pair(directory, header, {MONGO: empty_partner(header, MONGO)})

    assert Path(path) == tree.root / "mongo/versions/cccc.py"
    tree.load().require_pairs()


def test_a_partner_that_is_there_is_not_overwritten(tree: Tree) -> None:
    header = header_of(tree.load(), "bbbb")

    with pytest.raises(TreeError, match="A script of that name"):
        write_pair(tree.load(), header, {MONGO: empty_partner(header, MONGO)})


@pytest.mark.parametrize("named", [["heads"], ["bbbb", "cccc"], ["left", "right@head"]])
def test_a_merge_joins_heads(named: list[str], forked: ScriptDirectory) -> None:
    parents = merge_parents(forked, named)

    assert set(parents) == {"bbbb", "cccc"}
    directory = _write(forked, _header(forked, head=parents, rev_id="dddd"))
    assert directory.heads == ("dddd",)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["bbbb"], "at least two heads"),
        (["bbbb", "left"], "at least two heads"),
        (["bbbb", "aaaa"], "aaaa is not a head"),
        (["bbbb", "gone"], "gone"),
    ],
    ids=["one", "one-twice", "no-head", "unknown"],
)
def test_a_merge_of_less_than_two_heads_is_refused(
    named: list[str], message: str, forked: ScriptDirectory
) -> None:
    with pytest.raises(UsageError, match=message):
        merge_parents(forked, named)
