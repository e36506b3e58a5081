"""What a run finds out before its first change; and processes, disks and imports."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from flask_dualmigrate.cli import COMMANDS
from tests.support.bad_input import (
    NO_MONGO,
    NO_POSTGRES,
    SECRET,
    Bench,
    Row,
    check_refusal,
    offline_bench,
    tree_image,
)
from tests.support.bad_servers import Live
from tests.support.nursery import Nursery

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "base", "--yes")
AUTOCOMMIT = "with op.get_context().autocommit_block():\n    "
INDEX = 'op.create_index("ix", "t_a1a1", ["id"], postgresql_concurrently=True)'
AGAIN = INDEX.replace(")", ", if_not_exists=True)")


@dataclass(frozen=True)
class Script:
    """A pair after two good ones, all pending; or, with `undo`, all applied."""

    row: Row
    bodies: dict[str, str]
    upgraded: bool = False
    happened: Callable[[Live], object] = lambda live: None


def invalid_index(live: Live) -> None:
    assert live.bench.cli("upgrade", "c3c3", "--yes").exit_code == 0
    with live.engine.begin() as connection:
        connection.execute(sa.text("CREATE INDEX ix ON t_a1a1 (id)"))
        marked = (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix'::regclass"
        )
        connection.execute(sa.text(marked))


SCRIPTS = (
    Script(
        Row("todo", UP, ("d4d4 has a todo left: by hand", "d4d4.py", "edit d4d4")),
        {"mongo": 'op.todo("by hand")'},
    ),
    Script(
        Row(
            "upgrade-raises",
            UP,
            ("ZeroDivisionError", "mongo/versions/d4d4.py"),
            code=1,
        ),
        {"mongo": "1/0"},
    ),
    Script(
        Row("upgrade-exits", UP, ("SystemExit", "mongo/versions/d4d4.py"), code=1),
        {"mongo": "raise SystemExit(0)"},
    ),
    Script(
        Row("no-such-operation", UP, ("d4d4", "creat_index"), code=1),
        {"mongo": 'op.creat_index("a")'},
    ),
    Script(
        Row("our-collection", UP, ("d4d4", "_migrations", "is reserved"), code=1),
        {"mongo": 'op.drop_collection("_migrations")'},
    ),
    Script(
        Row(
            "concurrently",
            UP,
            ("CONCURRENTLY", "postgres/versions/d4d4.py:11", "autocommit_block"),
        ),
        {"postgres": INDEX},
    ),
    Script(
        Row("concurrently-in-sql", UP, ("CONCURRENTLY", "autocommit_block")),
        {"postgres": 'op.execute("CREATE INDEX CONCURRENTLY ix ON t_a1a1 (id)")'},
    ),
    Script(
        Row(
            "invalid-index",
            UP,
            ("INVALID index ix on t_a1a1", "index rebuild t_a1a1 ix"),
            code=3,
        ),
        {"postgres": AUTOCOMMIT + AGAIN},
        happened=invalid_index,
    ),
    Script(
        Row(
            "irreversible-postgres",
            DOWN,
            ("d4d4", "cannot be undone", "postgres/versions/d4d4.py", "above it"),
        ),
        {"postgres_down": "raise NotImplementedError"},
        upgraded=True,
    ),
    Script(
        Row(
            "irreversible-mongo",
            DOWN,
            ("d4d4", "no way", "cannot be undone", "mongo/versions/d4d4.py"),
        ),
        {"mongo_down": 'raise NotImplementedError("no way")'},
        upgraded=True,
    ),
    Script(
        Row("destructive", ("downgrade",), ("no terminal to ask for", "--yes")),
        {"mongo_down": 'op.drop_collection("t_a1a1")'},
        upgraded=True,
    ),
    Script(
        Row("dry-run-fails", ("upgrade", "--dry-run"), ("d4d4", "CONCURRENTLY")),
        {"postgres": INDEX},
    ),
)


ALONE = (
    *("deep downgrade", "full disk", "documents"),
    *("models: import", "models: syntax", "models: raises", "models: exits"),
    *("read-only: revision", "read-only: merge", "read-only: init"),
    *("input: closed", "input: silent", "input: empty"),
)
"""What has a test of its own, below."""


@pytest.mark.parametrize("script", SCRIPTS, ids=[one.row.id for one in SCRIPTS])
def test_a_script_that_cannot_run_is_found_first(script: Script, live: Live) -> None:
    live.bench.tree.add("d4d4", **script.bodies)
    live.add("e5e5")
    live.bench.cli("init")
    if script.upgraded:
        done = live.bench.cli(*UP)
        assert done.exit_code == 0, done.output
    script.happened(live)
    live.bench.try_(script.row)


def test_a_missing_downgrade_below_others_is_found_first(live: Live) -> None:
    path = live.bench.tree.path("postgres", "a1a1")
    path.write_text(path.read_text().partition("def downgrade")[0])
    assert live.bench.cli(*UP).exit_code == 0
    live.bench.try_(Row("deep", DOWN, ("a1a1 has no downgrade()", "above it")))


LEAKS = {
    "url": "raise RuntimeError(current_app.config['SQLALCHEMY_DATABASE_URI'])",
    "mongo-uri": "raise RuntimeError(current_app.config['MONGO_URI'])",
    "two-lines": "raise RuntimeError('see\\n' + current_app.config['MONGO_URI'])",
    "cause": (
        "try:\n    raise ValueError(current_app.config['MONGO_URI'])\n"
        "except ValueError as error:\n    raise RuntimeError('no') from error"
    ),
}


@pytest.mark.parametrize("body", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_a_script_that_tells_its_url_tells_no_password(
    side: str, body: str, live: Live
) -> None:
    live.bench.app.config["MONGO_URI"] = live.mongo.url(live.name)
    code = f"from flask import current_app\n{body}"
    call = f"def call(db):\n{textwrap.indent(code, '    ')}\nop.run(call)"
    live.bench.tree.add("d4d4", **{side: call if side == "mongo" else code})
    live.bench.cli("init")
    for more in ((), ("--debug",), ("--json",)):
        failed = live.bench.cli(*UP, *more)
        assert failed.exit_code == 1, failed.output
    for words in (
        ("status",),
        ("show", "d4d4"),
        ("show", "d4d4", "--json"),
        ("check",),
    ):
        live.bench.cli(*words)
    live.bench.image()


ARGUMENTS = {
    "edit": ["c3c3"],
    "index drop": ["item", "ix"],
    "index rebuild": ["item", "ix"],
    "index show": ["item"],
    "migrate": ["-m", "x"],
    "repair": ["c3c3", "--step", "0", "--done"],
    "revision": ["-m", "x", "--autogenerate"],
}


@pytest.mark.parametrize(
    "path",
    [
        # `test` falls back to servers of its own, which takes a minute.
        pytest.param(path, marks=pytest.mark.chaos) if path == "test" else path
        for path in COMMANDS
    ],
)
def test_no_command_tells_the_password_when_it_is_debugged(
    path: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    with offline_bench(tmp_path, caplog) as bench:
        for more in (("--debug",), ("--debug", "--json")):
            done = bench.cli(*path.split(), *ARGUMENTS.get(path, ()), *more)
            assert done.exit_code in (0, 2, 4), done.output


APP = """
import os
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate

app = Flask(__name__)
app.config["DUALMIGRATE_BACKUP"] = "never"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
mongo = PyMongo(app, os.environ["MONGO_URI"])
DualMigrate(app, db, mongo)
exec(os.environ.get("MODELS", ""))
"""


def flask(
    nursery: Nursery, folder: Path, *words: str, wait_s: float = 60, **more: Any
) -> SimpleNamespace:
    """Run a command in a process of its own; its arguments hold no password."""
    (folder / "app.py").write_text(APP)
    urls = {"DATABASE_URL": NO_POSTGRES, "MONGO_URI": NO_MONGO}
    env = {**os.environ, **urls, **more.pop("env", {})}
    command = [*nursery.python(), "-m", "flask", "db-migrate", *words]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )
    proc = Path(f"/proc/{process.pid}/cmdline")
    if proc.exists():
        assert SECRET not in proc.read_text()
    try:
        stdout, stderr = process.communicate(timeout=wait_s)
    finally:
        process.kill()
    assert SECRET not in stdout + stderr
    return SimpleNamespace(exit_code=process.returncode, stdout=stdout, stderr=stderr)


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    with offline_bench(tmp_path, caplog) as bench:
        yield bench


def test_a_disk_that_fills_up_leaves_the_tree_as_it_was(
    bench: Bench, nursery: Nursery
) -> None:
    before = tree_image(bench.root)
    row = Row(
        "disk", ("revision", "-m", "x"), ("File too large", "Nothing was written")
    )
    limit = (200, 200)  # bytes a file: less than a script has
    done = flask(
        nursery,
        bench.root.parent,
        *row.words,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    check_refusal(done, row, (), {})
    assert tree_image(bench.root) == before


@pytest.mark.parametrize(
    "models",
    ["import no_such_module", "class A(:", "1/0", "raise SystemExit(5)"],
    ids=["import", "syntax", "raises", "exits"],
)
def test_models_that_do_not_import_end_the_command(
    models: str, bench: Bench, nursery: Nursery
) -> None:
    before = tree_image(bench.root)
    done = flask(nursery, bench.root.parent, "upgrade", "--yes", env={"MODELS": models})
    assert done.exit_code not in (0, 4)
    assert tree_image(bench.root) == before


def test_documents_that_do_not_import_are_named(live: Live) -> None:
    folder = live.root / "lib"
    folder.mkdir()
    (folder / "broken_documents.py").write_text("\nclass A(:\n")
    sys.path.insert(0, str(folder))
    try:
        bench = live.app(documents=["broken_documents.A"])
        assert live.bench.cli(*UP).exit_code == 0
        names = ("documents= cannot import", "broken_documents", "SyntaxError")
        bench.try_(Row("documents", ("index", "diff"), (*names, "Fix the module")))
    finally:
        sys.path.remove(str(folder))


@contextmanager
def without_rights(tree: Path) -> Iterator[None]:
    """Be an account that may read the tree and not write it."""
    paths = [tree, *tree.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & ~0o222)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.parametrize(
    "words",
    [("revision", "-m", "x"), ("merge", "-m", "x"), ("init",)],
    ids=["revision", "merge", "init"],
)
def test_a_tree_that_is_read_only_is_named(
    words: tuple[str, ...], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with offline_bench(folder, caplog) as bench:
        if words[0] != "revision":
            for side in ("mongo", "postgres"):
                path = bench.tree.path(side, "c3c3")
                path.write_text(path.read_text().replace("'a1b2'", "'a1a1'"))
        if words[0] == "merge":
            bench.cli("init")
        bench.cli("history")  # what is imported late, nobody may read afterwards
        row = Row(
            "read-only", words, ("cannot be written to: Permission denied", "{root}")
        )
        before = tree_image(bench.root)
        with without_rights(bench.root):
            done = bench.cli(*words)
        check_refusal(done, row, (), {"root": str(bench.root)})
        assert tree_image(bench.root) == before


def _never_answers() -> int:
    reading, _writing = os.pipe()
    return reading


@pytest.mark.parametrize("stdin", ["closed", "silent", "empty"])
def test_without_a_terminal_nothing_is_asked_and_nothing_hangs(
    stdin: str, live: Live, nursery: Nursery
) -> None:
    assert live.bench.cli(*UP).exit_code == 0
    before = live.bench.image()
    url = live.postgres.set(username="canary_owner")
    env = {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "MONGO_URI": live.mongo.url(live.name),
    }
    ways: dict[str, dict[str, Any]] = {
        "closed": {"preexec_fn": lambda: os.close(0)},
        "silent": {"stdin": _never_answers()},
        "empty": {"stdin": subprocess.DEVNULL},
    }
    done = flask(nursery, live.root, "downgrade", env=env, wait_s=60, **ways[stdin])
    row = Row("ask", ("downgrade",), ("no terminal to ask for", "--yes"))
    check_refusal(done, row, (), {})
    after = live.bench.image()
    for side in ("postgres", "mongo"):
        assert after[side] == before[side]
