"""The floors of the package: one a folder, imports to a lower one only, no cycle.

No wing knows the other, and what is below the wings knows no driver. `embedded` stands
on the errors alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import flask_dualmigrate

ROOT = Path(flask_dualmigrate.__file__).parent

Stair = tuple[tuple[str, ...], ...]
"""Names by floor, from the ground up."""

STAIR: Stair = (
    ("text", "revisions", "sql"),
    ("errors", "indexes"),
    ("runtime", "ops", "embedded"),
    ("config", "backups", "tree"),
    ("alembic_scripts", "backend"),
    ("linter", "run"),
    ("generate", "mongo", "postgres", "health"),
    ("at_head", "environment"),
    ("verbs",),
    ("proving",),
    ("results",),
    ("cli",),
    ("extension",),
    ("api", "commands"),
    ("__init__",),
)
"""Folders and modules of the root."""

OWN = "."
"""In a stair of rooms: the modules of the folder itself."""

ROOMS: Mapping[str, Stair] = {
    "cli": (("views",), (OWN,)),
    "generate": (("source", "tables"), ("alembic", "mongo"), (OWN,)),
    "linter": (("advice", "views"), ("rules",), (OWN,)),
    "mongo": (
        ("server", "scripts"),
        ("expressions",),
        ("journal",),
        ("asides", "lock"),
        ("backup", "batches"),
        ("forecast", "mongosh", "restore"),
        ("operations",),
        ("indexes", "preflight", "run"),
        (OWN,),
    ),
    "postgres": (
        ("server",),
        ("backup", "journal", "lock"),
        ("run",),
        ("preflight", "restore"),
        ("dialects",),
        ("indexes", "scripts"),
        (OWN,),
    ),
    "proving": (("scratch",), ("snapshots",), ("data",), (OWN,)),
}
"""Folder -> the floors of its own folders."""

WINGS = {"generate", "mongo", "postgres"}
SPINE = {
    *("text", "revisions", "sql", "errors", "indexes", "runtime", "config"),
    *("backups", "tree", "backend", "run", "results"),
}
DRIVERS = {"pymongo", "bson", "psycopg", "flask_pymongo", "flask_sqlalchemy"}
SQL_ALLOWED = {"sql"}
"""What of the spine may know SQLAlchemy."""


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


def _is_package(name: str) -> bool:
    return (ROOT / Path(*name.split(".")) / "__init__.py").exists()


def _package_of(name: str) -> list[str]:
    parts = [] if name == "__init__" else name.split(".")
    return parts if _is_package(name) or not parts else parts[:-1]


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
                is_module = full in MODULES and (
                    source == name or alias.name not in _names_of(source)
                )
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


def _floors(stair: Stair) -> dict[str, int]:
    return {name: floor for floor, names in enumerate(stair) for name in names}


FLOOR = _floors(STAIR)


def _room(name: str) -> str:
    """Return the folder of a module in its folder of the root; OWN: it is in none.

    A module that the table names has a floor of its own.
    """
    parts = name.split(".")
    if len(parts) == 2 and parts[1] in _floors(ROOMS.get(parts[0], ())):
        return parts[1]
    return parts[1] if len(parts) > 2 or (_is_package(name) and parts[1:]) else OWN


def test_the_stair_names_every_folder_once_and_nothing_else() -> None:
    assert sorted(name for names in STAIR for name in names) == sorted(
        {_part(name) for name in MODULES}
    )


@pytest.mark.parametrize("folder", sorted(ROOMS))
def test_the_rooms_name_every_folder_once_and_nothing_else(folder: str) -> None:
    there = {_room(name) for name in MODULES if _part(name) == folder}

    assert sorted(name for names in ROOMS[folder] for name in names) == sorted(there)


def test_a_folder_that_has_folders_says_on_which_floors_they_are() -> None:
    assert {_part(name) for name in MODULES if _room(name) != OWN} == set(ROOMS)


def test_the_other_tables_name_what_is_there() -> None:
    assert {*MODULES, *FLOOR} >= WINGS | SPINE | SQL_ALLOWED


def test_imports_point_to_a_lower_floor() -> None:
    upwards = [
        (name, imported)
        for name in MODULES
        for imported in IMPORTS[name]
        if _part(imported) != _part(name)
        and FLOOR[_part(imported)] >= FLOOR[_part(name)]
    ]

    assert upwards == []


@pytest.mark.parametrize("folder", sorted(ROOMS))
def test_imports_point_to_a_lower_floor_within_a_folder(folder: str) -> None:
    floors = _floors(ROOMS[folder])
    upwards = [
        (name, imported)
        for name in MODULES
        for imported in IMPORTS[name]
        if _part(name) == _part(imported) == folder
        and _room(imported) != _room(name)
        and floors[_room(imported)] >= floors[_room(name)]
    ]

    assert upwards == []


def test_there_is_no_import_cycle() -> None:
    closed: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in closed:
            for imported in IMPORTS[name]:
                visit(imported, (*path, name))
            closed.add(name)

    for name in MODULES:
        visit(name, ())


def test_the_root_is_small() -> None:
    assert len(list(ROOT.glob("*.py"))) <= 12


def test_no_name_of_a_package_hides_one_of_its_modules() -> None:
    hidden = {
        (package, module)
        for package, _, module in (name.rpartition(".") for name in MODULES)
        if package and module in _functions_of(package)
    }

    assert hidden == set()


def test_the_commands_stand_in_files_that_are_named_as_those_of_the_functions() -> None:
    functions = {name for name in MODULES if _part(name) == "api"}
    commands = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and name.startswith("cli.")
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "command"
    }

    assert {name.removeprefix("cli.") for name in commands} == {
        name.removeprefix("api.") for name in functions - {"api", "api.environment"}
    }


def test_no_public_name_hides_a_module() -> None:
    modules = {_part(name) for name in MODULES}

    assert set(flask_dualmigrate.__all__).isdisjoint(modules)


def _functions_of(package: str) -> set[str]:
    """Return the names that the __init__ of a package takes out of its modules."""
    return {
        alias.asname or alias.name
        for node in MODULES[package].body
        if isinstance(node, ast.ImportFrom) and node.level and node.module
        for alias in node.names
    }


@pytest.mark.parametrize("part", ["ops", *sorted(SPINE)])
def test_what_is_below_the_wings_has_no_driver_in_it(part: str) -> None:
    refused = {*DRIVERS, "flask", *(() if part in SQL_ALLOWED else ("sqlalchemy",))}
    if part == "ops":
        refused.add("alembic")
    found = {
        (name, foreign)
        for name in MODULES
        if _part(name) == part
        for foreign in _foreign_imports(name) & refused
    }

    assert found == set()


@pytest.mark.parametrize("wing", sorted(WINGS))
def test_a_wing_does_not_know_the_other(wing: str) -> None:
    into = {_part(i) for n in MODULES if _part(n) == wing for i in IMPORTS[n]}

    assert into.isdisjoint(WINGS - {wing})


def test_the_environment_alone_wires_the_wings_but_for_the_look_at_each_start() -> None:
    into = {
        (name, imported)
        for name in MODULES
        for imported in IMPORTS[name]
        if _part(name) not in {"at_head", "environment", *WINGS}
        and _part(imported) in WINGS
    }

    assert into == set()


def test_the_embedded_servers_stand_on_the_errors_alone() -> None:
    below = {_part(i) for n in MODULES if _part(n) == "embedded" for i in IMPORTS[n]}

    assert below <= {"embedded", "errors"}


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
