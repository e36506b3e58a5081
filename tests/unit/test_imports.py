"""The floors of the house: imports point down, and no wing knows the other.

    8 api          the verbs as functions
    7 extension    DualMigrate
    6 cli, health  options in, results out; the answers to probes
    5 commands     one function a verb
    4 environment  a run on both sides; sides wires the wings; executor, console, …
    3 plan         status, generate, results, indexes (values of them); the wings:
                   autogenerate, postgres, mongo
    2 script       lockfile, journal, backend, config, ops
    1 errors       revision, crashpoints, stopping, user_code

Within a floor a module imports only from the steps below its own. `embedded` stands
beside the house, on the errors alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flask_dualmigrate

ROOT = Path(flask_dualmigrate.__file__).parent

STAIR = (
    ("sql", "text"),
    ("crashpoints", "errors", "regular_file", "revision"),
    ("stopping", "units", "user_code"),
    ("events", "hooks", "limits", "literals"),
    ("backups", "config", "journal", "lockfile", "ops", "process_lock", "script_file"),
    ("graph", "holder", "restoration", "run"),
    ("backend", "script", "embedded"),
    ("indexes", "proofs", "recording", "side_scripts", "survey"),
    ("lint",),
    ("plan", "autogenerate", "postgres", "mongo"),
    ("consistency", "forerunner", "status", "generate", "restorable"),
    ("backup_results", "failure", "recovery", "results"),
    ("backing_up", "executor", "history", "restoring", "console", "server_wait"),
    ("cases", "lock_wait", "same_values"),
    ("sides",),
    ("environment",),
    ("sampling",),
    ("emptied",),
    ("pairing", "preview", "surveying"),
    (
        "asides",
        "authoring",
        "backup_commands",
        "commands",
        "index_commands",
        "linting",
        "repairing",
        "restores",
        "unlocking",
        "verifying",
    ),
    ("testing",),
    ("cli", "health"),
    ("extension",),
    ("api",),
    ("__init__",),
)
STEP = {name: number for number, names in enumerate(STAIR) for name in names}

WINGS = {"autogenerate", "postgres", "mongo"}
SPINE = (
    *("backups", "crashpoints", "errors", "revision", "text"),
    *("config", "journal", "lockfile", "script_file", "graph", "backend", "script"),
    *(
        "indexes",
        "side_scripts",
        "plan",
        "status",
        "generate",
        "results",
        "executor",
        "failure",
        "history",
        "restoration",
        "restoring",
        "console",
        "waiting",
    ),
)
DRIVERS = {"pymongo", "bson", "psycopg", "flask_pymongo", "flask_sqlalchemy"}

# What reaches into a wing besides sides.py. It may shrink, and must not grow.
INTO_THE_WINGS = {
    ("authoring", "autogenerate"),
    ("authoring", "postgres.errors"),
    ("commands", "autogenerate"),
    ("commands", "mongo.recording"),
    ("commands", "postgres.errors"),
    ("generate", "autogenerate"),
}


def _modules() -> dict[str, ast.Module]:
    """Return dotted name under the package -> its parsed source."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(
            parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts
        )
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = _modules()


def _package_of(name: str) -> list[str]:
    parts = [] if name == "__init__" else name.split(".")
    is_package = (ROOT / Path(*parts) / "__init__.py").exists()
    return parts if is_package else parts[:-1]


def _names_of(package: str) -> set[str]:
    """Return what the __init__ of a package takes from its modules, by name."""
    if package not in MODULES:
        return set()
    nodes = [n for n in MODULES[package].body if isinstance(n, ast.ImportFrom)]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def _own_imports(name: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports, wherever it does."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                assert not alias.name.startswith("flask_dualmigrate"), alias.name
        elif isinstance(node, ast.ImportFrom) and node.level:
            package = _package_of(name)
            base = package[: len(package) - node.level + 1]
            if node.module:
                base = [*base, *node.module.split(".")]
            for alias in node.names:
                source, full = ".".join(base), ".".join([*base, alias.name])
                is_module = full in MODULES and alias.name not in _names_of(source)
                yield full if is_module else source or "__init__"


def _foreign_imports(name: str) -> set[str]:
    found = set()
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found


IMPORTS = {name: set(_own_imports(name)) - {name} for name in MODULES}


def _part(name: str) -> str:
    return name.split(".")[0]


def test_every_module_has_a_floor() -> None:
    assert {_part(name) for name in MODULES} == set(STEP)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_to_a_lower_step(name: str) -> None:
    upwards = [
        imported
        for imported in IMPORTS[name]
        if _part(imported) != _part(name) and STEP[_part(imported)] >= STEP[_part(name)]
    ]

    assert upwards == []


def test_there_is_no_import_cycle() -> None:
    closed: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in closed:
            for imported in IMPORTS[name]:
                # A package stands for what its __init__ takes from its own modules.
                if imported != _part(name):
                    visit(imported, (*path, name))
            closed.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("name", [n for n in MODULES if _part(n) == "ops"])
def test_the_language_of_a_mongo_script_has_no_driver_in_it(name: str) -> None:
    assert _foreign_imports(name).isdisjoint(
        {*DRIVERS, "sqlalchemy", "alembic", "flask"}
    )


@pytest.mark.parametrize("name", [n for n in MODULES if _part(n) in SPINE])
def test_the_spine_has_no_driver_in_it(name: str) -> None:
    assert _foreign_imports(name).isdisjoint({*DRIVERS, "sqlalchemy", "flask"})


@pytest.mark.parametrize("name", [n for n in MODULES if _part(n) in WINGS])
def test_a_wing_does_not_know_the_other(name: str) -> None:
    assert {_part(n) for n in IMPORTS[name]}.isdisjoint(WINGS - {_part(name)})


def test_the_sides_alone_wire_the_wings() -> None:
    into = {
        (name, imported)
        for name in MODULES
        for imported in IMPORTS[name]
        if _part(name) not in {"sides", *WINGS} and _part(imported) in WINGS
    }

    assert into <= INTO_THE_WINGS


@pytest.mark.parametrize("name", [n for n in MODULES if _part(n) == "embedded"])
def test_the_embedded_servers_stand_on_the_errors_alone(name: str) -> None:
    assert {_part(n) for n in IMPORTS[name]} <= {"embedded", "errors"}


def test_only_the_extension_and_the_cli_touch_the_current_app() -> None:
    touching = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "current_app"
    }

    assert {_part(name) for name in touching} <= {"extension", "cli"}


def test_only_the_cli_prints_and_exits() -> None:
    speaking = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "click.echo", "click.secho", "sys.exit")
    }

    assert {n for n in speaking if _part(n) != "cli"} <= {"embedded.__main__"}
