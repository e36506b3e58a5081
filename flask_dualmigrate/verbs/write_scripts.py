"""The verbs that write the tree: (environment, arguments) -> result."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..environment import Environment
from ..errors import IntegrityError, TreeError, UsageError
from ..revisions import BackendName, Revision
from ..run.plan import require_known
from ..run.status import pending
from ..runtime.crashpoints import around
from ..tree.directory import ScriptDirectory, versions_folder
from ..tree.lockfile import LOCK_FILE
from ..tree.pair import Header, Pair
from ..tree.write_pair import (
    check_id,
    header_of,
    make_header,
    merge_parents,
    write_pair,
)
from ..tree.writing import write_file, write_tree
from .history import single


@dataclasses.dataclass(frozen=True)
class InitResult:
    """What `init` created and rewrote; paths are absolute."""

    directory: str
    created: tuple[str, ...]
    rewritten: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RevisionResult:
    """What `revision` and `merge` wrote; nothing if nothing had changed.

    detected: what autogenerate found, one line each. files: absolute paths.
    """

    revision: Revision | None
    files: tuple[str, ...] = ()
    detected: tuple[str, ...] = ()


_GITIGNORE = ".lock\n.*.pending\n.*.partial\n"


def init(env: Environment) -> InitResult:
    """Create the migrations directory, or complete one, and rewrite revisions.lock."""
    root = env.config.directory
    created = []
    try:
        for name in env.available:
            folder = versions_folder(root, name)
            if not folder.is_dir():
                _make_folder(folder)
                created.append(str(folder))
        ignore = root / ".gitignore"
        if not ignore.exists():
            write_file(ignore, _GITIGNORE)
            created.append(str(ignore))
    except OSError as error:
        raise TreeError(
            f"The migrations directory cannot be created: {error.strerror}",
            where=str(error.filename or root),
            hint="Move what is there, allow this account to write there, or choose "
            "another one with -d.",
        ) from error
    directory, lock_file = env.directory, root / LOCK_FILE
    there = lock_file.exists()
    if there and not directory.lock_problems():
        return InitResult(str(root), tuple(created))
    write_tree(root, {}, directory.lock_lines())
    if there:
        return InitResult(str(root), tuple(created), (str(lock_file),))
    return InitResult(str(root), (*created, str(lock_file)))


@around("file.folder")
def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True)


def revision(
    env: Environment,
    message: str = "",
    *,
    autogenerate: bool = False,
    pair: str | None = None,
    **header_arguments: Any,
) -> RevisionResult:
    """Write a new pair, or with `pair` the missing partner of a script.

    header_arguments: head, splice, branch_label, depends_on, rev_id, as
    `make_header` takes them. With autogenerate nothing is written if the models match
    the database.
    """
    if pair is not None:
        _refuse_beside_pair(message, autogenerate, header_arguments)
        return _write_partner(env, pair)
    header = make_header(env.directory, message=message, **header_arguments)
    made = _autogenerate(env, header) if autogenerate else env.models.empty_pair(header)
    if autogenerate and made.empty:
        return RevisionResult(None)
    return _write(env, made)


def _write(env: Environment, made: Pair) -> RevisionResult:
    files = write_pair(env.directory, made.header, _sources(env, made))
    written = ScriptDirectory(
        env.config.directory,
        env.available,
        world_writable=env.config.allow_world_writable,
    )
    found = written.revisions[made.header.revision]
    return RevisionResult(found, files, made.detected)


def _refuse_beside_pair(
    message: str, autogenerate: bool, header_arguments: dict[str, Any]
) -> None:
    """Refuse options of the header: a partner copies it from the existing script."""
    given = {key for key, value in header_arguments.items() if value}
    if header_arguments.get("head") == "head":
        given.discard("head")
    if message or autogenerate or given:
        raise UsageError(
            "--pair takes no other option: the partner copies the header of its script",
            hint="Run: flask db-migrate revision --pair REVISION",
        )


def _sources(env: Environment, made: Pair) -> dict[BackendName, str]:
    both = {BackendName.POSTGRES: made.postgres, BackendName.MONGO: made.mongo}
    return {name: both[name] for name in env.available}


def _autogenerate(env: Environment, header: Header) -> Pair:
    """Compare the models with PostgreSQL, which must be at head.

    The app's process_revision_directives may have given the revision another id.
    """
    _require_postgres(env, "revision --autogenerate")
    _require_at_head(env)
    made = env.models.generate(header, **_options_for_hooks(header))
    if made.header.revision != header.revision:
        check_id(env.directory, made.header.revision)
    return made


def _options_for_hooks(header: Header) -> dict[str, Any]:
    """Return the options of `alembic revision --autogenerate`, as hooks read them."""
    return {
        "autogenerate": True,
        "message": header.message,
        "rev_id": header.revision,
        "head": list(header.down_revision) or "base",
        "splice": False,
        "branch_label": list(header.branch_labels) or None,
        "depends_on": list(header.depends_on) or None,
        "version_path": None,
    }


def _require_postgres(env: Environment, verb: str) -> None:
    if BackendName.POSTGRES not in env.in_scope:
        raise UsageError(
            f"`{verb}` compares the models with PostgreSQL, which is not in use here",
            hint="Run it where active= is 'postgres' or 'both'. Here, what differs "
            "from the scripts is listed by: flask db-migrate check; and a pair is "
            "written by hand with: flask db-migrate revision -m …",
        )


def _require_at_head(env: Environment) -> None:
    """Refuse to compare with a database that is behind or ahead of the tree."""
    states = env.run.states()
    require_known(env.directory, states)
    name = BackendName.POSTGRES
    waiting = pending(env.directory, {name: states[name]})
    if waiting:
        raise IntegrityError(
            f"The PostgreSQL database is not up to date: {waiting[0].id} is pending",
            hint="First run: flask db-migrate upgrade",
        )


def _write_partner(env: Environment, identifier: str) -> RevisionResult:
    directory = env.directory
    found = single(directory, identifier)
    missing = [name for name in env.available if not directory.has(name, found.id)]
    if not missing:
        raise UsageError(
            f"Revision {found.id} already has both scripts",
            hint=f"Open them with: flask db-migrate edit {found.id}",
        )
    header = header_of(directory, found.id)
    (name,) = missing
    source = env.models.partner(header, name)
    return RevisionResult(found, write_pair(directory, header, {name: source}))


def merge(
    env: Environment,
    revisions: Sequence[str] = ("heads",),
    message: str = "",
    **more: Any,
) -> RevisionResult:
    """Write a pair that joins several revisions and changes nothing.

    more: branch_label, rev_id.
    """
    parents = merge_parents(env.directory, revisions)
    message = message or f"merge {' and '.join(parents)}"
    header = make_header(
        env.directory, message=message, head=parents, splice=True, **more
    )
    return _write(env, env.models.empty_pair(header))


def script_paths(env: Environment, identifier: str = "head") -> tuple[str, ...]:
    """Return the files of a revision, for `edit`."""
    found = single(env.directory, identifier)
    return tuple(
        env.directory.script(name, found.id).path
        for name in env.available
        if env.directory.has(name, found.id)
    )
