"""Fifty small revisions, from nothing to head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.results import RunResult

from .apps import Parts, Urls, a_migrated_app, an_app
from .databases import Databases
from .measure import Act, Comparison, Contender, take_turns
from .peers import flask_migrate_tree, flask_migrate_upgrade
from .trees import Change, changes, write_pairs

MakeUrls = Callable[[ExitStack], Urls]


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare on PostgreSQL alone, and on both databases."""
    count, rounds = (10, 2) if quick else (50, 5)
    root = databases.new_folder()
    _write_trees(databases, root, count)

    def postgres(stack: ExitStack) -> Urls:
        return Urls(stack.enter_context(databases.postgres()))

    def both(stack: ExitStack) -> Urls:
        mongo = stack.enter_context(databases.mongo())
        return Urls(stack.enter_context(databases.postgres()), mongo)

    for title, urls, contenders in (
        ("PostgreSQL alone", postgres, [_ours, _bare, _peer, _peer_at_once]),
        ("both databases", both, [_ours, _bare]),
    ):
        timings = take_turns(
            [contender(urls, root, count) for contender in contenders], rounds=rounds
        )
        yield Comparison("revisions", f"upgrade of {count} revisions, {title}", timings)


def _write_trees(databases: Databases, root: Path, count: int) -> None:
    with (
        databases.postgres() as url,
        a_migrated_app(root / "ours", Urls(url)) as parts,
    ):
        init()
        write_pairs(root / "ours", count)
        init()
        scripts = root / "ours" / "postgres" / "versions"
        flask_migrate_tree(parts, root / "peer", scripts)


def _ours(urls: MakeUrls, root: Path, count: int) -> Contender:
    arrange = partial(_dualmigrate, urls, root / "ours", count)
    return Contender("DualMigrate, upgrade()", arrange, ours=True)


def _bare(urls: MakeUrls, root: Path, count: int) -> Contender:
    arrange = partial(_bare_statements, urls, count)
    return Contender("the bare statements", arrange)


def _peer(urls: MakeUrls, root: Path, count: int) -> Contender:
    options = {"transaction_per_migration": True}
    arrange = partial(_flask_migrate, urls, root / "peer", options)
    return Contender("Flask-Migrate, a transaction each", arrange)


def _peer_at_once(urls: MakeUrls, root: Path, count: int) -> Contender:
    arrange = partial(_flask_migrate, urls, root / "peer", {})
    return Contender("Flask-Migrate, one transaction", arrange)


@contextmanager
def _dualmigrate(urls: MakeUrls, root: Path, count: int) -> Iterator[Act]:
    done: list[Any] = []
    with ExitStack() as stack:
        stack.enter_context(a_migrated_app(root, urls(stack)))
        yield lambda: done.append(upgrade())
        result = done[-1]
        assert isinstance(result, RunResult)
        assert len(result.steps) == count


@contextmanager
def _flask_migrate(
    urls: MakeUrls, root: Path, options: dict[str, Any]
) -> Iterator[Act]:
    with ExitStack() as stack:
        parts = stack.enter_context(an_app(urls(stack)))
        yield partial(flask_migrate_upgrade, parts, root, **options)


@contextmanager
def _bare_statements(urls: MakeUrls, count: int) -> Iterator[Act]:
    with ExitStack() as stack:
        used = urls(stack)
        parts = stack.enter_context(an_app(used))
        with_mongo = used.mongo is not None
        yield partial(_send_all, parts, changes(count), with_mongo=with_mongo)


def _send_all(
    parts: Parts, all_changes: tuple[Change, ...], *, with_mongo: bool
) -> None:
    """Each revision's DDL in its own transaction, after what it does to MongoDB."""
    for change in all_changes:
        if with_mongo:
            change.on_mongo(parts.mongo_db)
        with parts.db.engine.begin() as connection:
            for statement in change.statements():
                connection.exec_driver_sql(statement)
