"""One script: read once, hashed, compiled, and run.

Alembic does not do this, so that an error names the file and the line, and a broken
file is found before any database is touched. What is hashed is what runs, whatever
happens to the file meanwhile.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
import threading
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from alembic.script.base import Script
from alembic.script.revision import CycleDetected

from ..errors import TreeError
from ..runtime.user_code import FAILURES, why_undone
from .regular_file import read_regular_file

ID_PATTERN = re.compile(r"[a-z0-9_]{1,32}")
"""The form of a revision id; alembic_version holds 32 characters."""

PLACES = frozenset({"head", "heads", "base"})
"""Names of positions in the history, which no revision or branch may use."""


_EXTRAS = {"beanie": 'Install it with: pip install "Flask-DualMigrate[beanie]"'}
"""Name of a module that scripts import -> what to do if it is missing."""

_FIX = "Fix it, or install what it imports; no database was touched."


_loading = threading.RLock()
"""Held while a script runs: threads loading the same script share its module name."""


@dataclasses.dataclass(frozen=True)
class ScriptFile:
    """A script as it was read; nothing of it has run."""

    path: Path
    source: bytes
    code: CodeType

    @cached_property
    def checksum(self) -> str:
        """The SHA-256 as hex, ignoring line endings and a BOM."""
        return checksum(self.source)


class LoadedScript(Script):
    """A script that was run, and the file that it was read from."""

    def __init__(self, module: Any, revision_id: str, file: ScriptFile) -> None:
        super().__init__(module, revision_id, str(file.path))
        self.file = file


def read_script(path: Path) -> ScriptFile:
    """Read and compile one script.

    Raises TreeError naming the file, and the line or byte if known.
    """
    source = _read(path)
    text = _decode(source, path)
    try:
        # Without this module's own `annotations` import: it would break a dataclass.
        code = compile(text, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise TreeError(
            f"A script does not compile: {getattr(error, 'msg', error)}",
            where=f"{path}:{line}" if line else str(path),
            hint="Fix it there; no database was touched.",
        ) from error
    return ScriptFile(path, source, code)


def run_script(file: ScriptFile) -> LoadedScript:
    """Run the module level of a script. Raises TreeError like `read_script`.

    The module stays in `sys.modules` until it is loaded again: dataclasses, pydantic
    and Beanie look there for the names in a class's annotations, sometimes only when
    the class is first used.
    """
    path = file.path
    module = ModuleType(_module_name(path))
    module.__file__ = str(path)
    try:
        with _loading:
            sys.modules[module.__name__] = module
            exec(file.code, module.__dict__)
    # A script that calls sys.exit() must not end the command as if all were well.
    except FAILURES as error:
        sys.modules.pop(module.__name__, None)
        raise TreeError(
            f"A script cannot be loaded: {_in_one_line(error)}",
            where=f"{path}{_line_in(path, error)}",
            hint=_EXTRAS.get(str(getattr(error, "name", "")), _FIX),
        ) from error
    return _as_script(module, file)


def _module_name(path: Path) -> str:
    """Return a name for a script's module: partners have the same file name."""
    return f"{path.stem}_{_digest_of(path.absolute().parent)}"


@lru_cache(maxsize=4)
def _digest_of(folder: Path) -> str:
    """Return what tells the scripts of a folder from those of another."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def _as_script(module: ModuleType, file: ScriptFile) -> LoadedScript:
    path = file.path
    revision_id = getattr(module, "revision", None)
    if not isinstance(revision_id, str) or not hasattr(module, "down_revision"):
        raise TreeError(
            "A file in the tree is not a migration script: it has no revision",
            where=str(path),
            hint="Move it elsewhere, or set revision and down_revision in it.",
        )
    if not ID_PATTERN.fullmatch(revision_id) or revision_id in PLACES:
        raise TreeError(
            f"{revision_id!r} is not a valid revision id: use 1 to 32 of a-z, 0-9 and "
            "_, but not head, heads or base",
            where=str(path),
            hint="Change it in both scripts.",
        )
    _check_names(module, path)
    if not callable(getattr(module, "upgrade", None)):
        raise TreeError(
            "A script has no upgrade() function",
            where=str(path),
            hint="Write one; `pass` is enough if there is nothing to do.",
        )
    _check_functions(module, path)
    try:
        return LoadedScript(module, revision_id, file)
    except CycleDetected as error:
        raise TreeError(
            f"Revision {revision_id} follows itself, or depends on itself",
            where=str(path),
            hint="Fix its down_revision or its depends_on in both scripts.",
        ) from error


def _check_functions(module: ModuleType, path: Path) -> None:
    for name in ("upgrade", "downgrade", "verify"):
        function = getattr(module, name, None)
        why = why_undone(function)
        if why is not None:
            line = getattr(getattr(function, "__code__", None), "co_firstlineno", None)
            raise TreeError(
                f"A script's {name}() {why}",
                where=f"{path}:{line}" if line else str(path),
                hint="Write it as a plain `def`, without a yield; in a Mongo script "
                "op.run(fn) takes an `async def fn(db)`.",
            )


def _check_names(module: ModuleType, path: Path) -> None:
    for name in ("down_revision", "depends_on", "branch_labels"):
        value = getattr(module, name, None)
        several = isinstance(value, list | tuple | set)
        names = () if value is None else value if several else (value,)
        if not all(isinstance(item, str) and item.strip() for item in names):
            raise TreeError(
                f"{name} must be a string, several strings or None, not {value!r}",
                where=str(path),
                hint="Fix it in both scripts.",
            )


def _read(path: Path) -> bytes:
    try:
        return read_regular_file(path)
    except OSError as error:
        raise TreeError(
            f"A script cannot be read: {error.strerror}",
            where=str(path),
            hint="Move it elsewhere, or allow this account to read it.",
        ) from error


def _decode(data: bytes, path: Path) -> str:
    try:
        # Not utf-8-sig, whose offsets do not count the BOM.
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TreeError(
            f"A script is not UTF-8: byte {error.start} is not",
            where=str(path),
            hint="Save it as UTF-8.",
        ) from error


def _in_one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _line_in(path: Path, error: BaseException) -> str:
    """Return ``:line`` of the innermost frame of a traceback inside the script."""
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f":{line}" if line else ""


def checksum(source: bytes) -> str:
    """Return a script's SHA-256 as hex, ignoring line endings and a BOM."""
    text = source.removeprefix(b"\xef\xbb\xbf")
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return hashlib.sha256(text).hexdigest()
