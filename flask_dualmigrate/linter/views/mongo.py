"""What the rules of Mongo scripts check: the operations, and the state before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...ops import (
    AddField,
    CopyField,
    CreateCollection,
    CreateIndex,
    DropCollection,
    DropField,
    DropIndex,
    MongoOperations,
    Operation,
    RenameCollection,
    RenameField,
)
from ...ops.views import readers_of, sources_of
from ...runtime.user_code import line_running_in
from .facts import UNKNOWN, Facts, collection_of
from .source import Source

Op = TypeVar("Op", bound=Operation)


class LinedOperations(MongoOperations):
    """An `op` that knows the line of the script of each operation."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.lines: list[int | None] = []

    def _record(self, operation: Op) -> Op:
        self.lines.append(line_running_in(self._path))
        return super()._record(operation)


@dataclass(frozen=True)
class Placed:
    """One operation, with what is known of its place.

    existing: its collection existed before the script.

    indexes: how many its collection has then, according to the scripts; has_target: an
    earlier operation gave documents the field that this one renames or copies to.
    views: those that the scripts have created on its collection.
    """

    operation: Operation
    line: int | None
    existing: bool
    indexes: int = 0
    has_target: bool = False
    views: tuple[str, ...] = ()


@dataclass(frozen=True)
class MongoView:
    """One function of a script.

    why_not_standalone: returns why an operation cannot run on a standalone server.
    """

    said: tuple[Placed, ...]
    source: Source
    facts: Facts = UNKNOWN
    why_not_standalone: Callable[[Operation], str | None] = lambda operation: None

    def of(self, kind: type[Op]) -> Iterator[tuple[Op, Placed]]:
        for said in self.said:
            if isinstance(said.operation, kind):
                yield said.operation, said


@dataclass
class Collections:
    """What the scripts have created so far: indexes and fields of each collection.

    reads: view -> the collections that its definition names.
    """

    indexes: dict[str, set[str]] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=dict)
    reads: dict[str, frozenset[str]] = field(default_factory=dict)

    def place(
        self, operations: tuple[Operation, ...], lines: list[int | None]
    ) -> tuple[Placed, ...]:
        """Return operations, each with the state before it, and learn from each."""
        made: set[str] = set()
        found = []
        for operation, line in zip(operations, lines, strict=True):
            name = collection_of(operation) or ""
            target = getattr(operation, "new_name", getattr(operation, "target", None))
            self._take(operation, name)
            if isinstance(operation, CreateCollection):
                made.add(name)
            elif isinstance(operation, RenameCollection) and name in made:
                made.add(operation.new_name)
            found.append(
                Placed(
                    operation,
                    line,
                    existing=name not in made,
                    indexes=1 + len(self.indexes.get(name, ())),
                    has_target=target in self._before.get(name, ()),
                    views=tuple(readers_of(name, self.reads)),
                )
            )
        return tuple(found)

    _before: dict[str, set[str]] = field(default_factory=dict)

    def _take(self, operation: Operation, name: str) -> None:
        indexes = self.indexes.setdefault(name, set())
        fields = self.fields.setdefault(name, set())
        self._before[name] = set(fields)
        match operation:
            case CreateIndex():
                indexes.add(operation.name)
            case DropIndex():
                indexes.discard(operation.name)
            case DropCollection() | CreateCollection():
                indexes.clear()
                fields.clear()
                self.reads[name] = sources_of(getattr(operation, "options", {}))
            case RenameCollection():
                for known in (self.indexes, self.fields):
                    known[operation.new_name] = known.pop(name, set())
            case AddField():
                fields.add(operation.field)
            case CopyField():
                fields.add(operation.target)
            case RenameField():
                fields.discard(operation.field)
                fields.add(operation.new_name)
            case DropField():
                fields.discard(operation.field)


def code_names(function: Any) -> set[str]:
    """Return the names and strings in a function's code."""
    inner = getattr(function, "func", function)  # of a functools.partial
    code = getattr(inner, "__code__", None)
    found: set[str] = set()
    todo = [code] if code is not None else []
    while todo:
        each = todo.pop()
        found |= set(each.co_names)
        for constant in each.co_consts:
            if isinstance(constant, str):
                found.add(constant)
            elif isinstance(constant, tuple):
                found |= {item for item in constant if isinstance(item, str)}
            elif hasattr(constant, "co_names"):
                todo.append(constant)
    return found
